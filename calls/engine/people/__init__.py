"""The people who are signed in at an engine."""
