"""Measures open links and compares the figures with their profile: the proof that a link matches it."""
