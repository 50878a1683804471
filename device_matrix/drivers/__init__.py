"""Drives browsers with Playwright or through an Appium server; both give the same Browser (protocol.py)."""
