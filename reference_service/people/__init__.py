"""Accounts, who follows whom, who is online."""
