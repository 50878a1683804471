"""Audio without a microphone: Opus, clips, conversational speech."""
