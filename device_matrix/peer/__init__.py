"""The other side of a call, and the target's admin API."""
