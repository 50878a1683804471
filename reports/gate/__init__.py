"""Decides the verdict of a run: checks its validity and evaluates its SLO rules."""
