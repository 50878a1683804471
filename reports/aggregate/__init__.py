"""Figures of a run that no rule asks for, aggregated from its records."""
