"""Accounts, who is online, who may call whom."""
