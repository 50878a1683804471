"""How long a person is left alone after a call."""

COOLDOWN_S = 2.5
"""A person counts as busy this long after a call: the other side of a slow link hears of the end that much later."""
