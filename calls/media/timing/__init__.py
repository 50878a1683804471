"""Deadlines with microseconds of precision."""
