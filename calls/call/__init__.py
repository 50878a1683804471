"""The rules of a call: states, outcomes, blame, what a scenario expects."""
