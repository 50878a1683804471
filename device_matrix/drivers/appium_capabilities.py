"""Builds the W3C capabilities of an Appium session: desktop Chromium as an emulated device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device_matrix.devices import Device

NEW_COMMAND_TIMEOUT_S = 60
"""How long the server waits for our next command before it ends the session."""

Capabilities = Mapping[str, Any]


def chromium_capabilities(
    device: Device,
    *,
    chrome_major: str,
    browser: Path,
    chromedriver: Path,
    chromedriver_port: int,
    arguments: Sequence[str],
) -> Capabilities:
    """Capabilities of appium-chromium-driver: ``browser`` and ``chromedriver`` are wrappers, nothing is downloaded."""
    return {
        "platformName": "linux",
        "browserName": "chrome",
        "appium:automationName": "Chromium",
        "appium:executable": str(chromedriver),
        "appium:autodownloadEnabled": False,
        "appium:chromedriverPort": chromedriver_port,
        "appium:newCommandTimeout": NEW_COMMAND_TIMEOUT_S,
        "goog:chromeOptions": {
            "binary": str(browser),
            "args": list(arguments),
            "mobileEmulation": {
                "deviceMetrics": {
                    "width": device.viewport.width_px,
                    "height": device.viewport.height_px,
                    "pixelRatio": device.device_pixel_ratio,
                    "touch": True,
                    "mobile": True,
                },
                "userAgent": device.user_agent_for(chrome_major),
            },
        },
        "goog:loggingPrefs": {"browser": "ALL"},
    }
