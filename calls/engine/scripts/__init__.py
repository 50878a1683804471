"""Carries out what a scenario does during a call."""
