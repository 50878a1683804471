"""The time after a call in which a person is not called again."""

COOLDOWN_S = 2.5
"""A person counts as busy this long after a call. On a slow link, the other side learns of the end that much later."""
