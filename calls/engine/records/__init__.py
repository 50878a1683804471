"""The engine's rows on their way to disk."""
