"""Checks this machine: which prerequisites it has, which tiers it can run, and how to get what is missing."""
