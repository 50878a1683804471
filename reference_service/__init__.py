"""The calling service under test: messaging, and voice and video calls signalled through the same threads."""
