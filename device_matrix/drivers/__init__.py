"""Who drives a browser: Playwright, or an Appium server. Both give the same small Browser (protocol.py)."""
