"""Aggregates the figures of a run that no rule needs, from its records."""
