"""A phone's processor on this machine: limits, measured speed, pressure."""
