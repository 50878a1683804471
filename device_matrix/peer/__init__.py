"""Runs the far end of a call, and calls the target's admin API."""
