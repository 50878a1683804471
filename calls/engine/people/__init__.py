"""The people signed in at an engine."""
