"""The rules of a call: states, limits, outcomes, blame, and whether a scenario ended as expected."""
