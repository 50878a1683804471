"""Judges a run: is it valid, does it keep its rules, what is the verdict."""
