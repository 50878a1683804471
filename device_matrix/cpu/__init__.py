"""Gives a browser the CPU of a phone: limits, their measured effect, and the machine's own shortage."""
