"""Deadlines with microsecond precision."""
