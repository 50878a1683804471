"""Builds the policy of allowed Appium sessions: what ``chromium_capabilities`` and ``browser_arguments`` ask for."""

from __future__ import annotations

import json

from bedrock.user_folder import user_folder
from device_matrix.drivers.chromium import browser_arguments
from device_matrix.drivers.wrapper import BROWSER_WRAPPER, CHROMEDRIVER_WRAPPER

POLICY_VARIABLE = "RINGFENCE_APPIUM_POLICY"
"""The environment variable that hands the policy to ``appium_server/gate.cjs``."""
CAPABILITIES = (
    "platformName", "browserName", "appium:automationName", "appium:executable", "appium:autodownloadEnabled",
    "appium:chromedriverPort", "appium:newCommandTimeout", "goog:chromeOptions", "goog:loggingPrefs",
)  # fmt: skip
BROWSER_OPTIONS = ("binary", "args", "mobileEmulation")
SESSION_SWITCHES = ("--headless", "--remote-debugging-pipe", "--user-data-dir")


def policy() -> str:
    """Returns the policy as JSON. It allows programs only in our scratch folders, and browser switches by name."""
    given = browser_arguments(["http://127.0.0.1"], over_loopback=True) + browser_arguments(["http://127.0.0.1"])
    return json.dumps(
        {
            "scratch": str(user_folder()),
            "browser": BROWSER_WRAPPER,
            "chromedriver": CHROMEDRIVER_WRAPPER,
            "capabilities": CAPABILITIES,
            "browser_options": BROWSER_OPTIONS,
            "switches": sorted({argument.partition("=")[0] for argument in (*given, *SESSION_SWITCHES)}),
        }
    )
