"""The W3C capabilities of the three kinds of Appium session.

``chromium_capabilities`` is what the matrix runs: desktop Chromium as an emulated device. The two builders for phones
follow the drivers' own documentation (UiAutomator2 8.x, XCUITest); no phone, emulator or Mac has run them here, so a
contract test on what they contain is all that stands behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_matrix.devices import Device

NEW_COMMAND_TIMEOUT_S = 60
"""How long the server waits for our next command before it takes the device back."""

Capabilities = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SessionPorts:
    """The host's ports that one phone session needs for itself; two sessions that share one break each other."""

    system_port: int
    chromedriver_port: int
    mjpeg_port: int


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


def uiautomator2_capabilities(udid: str, *, ports: SessionPorts, arguments: Sequence[str]) -> Capabilities:
    """Capabilities of Chrome on an Android phone or emulator (UiAutomator2 8.1 or later, Android 8.0 or later).

    The phone's Chrome asks Android for camera and microphone in a dialog that chromedriver cannot see;
    ``chromedriverGrantPermissions`` answers it beforehand.
    """
    return {
        "platformName": "Android",
        "browserName": "Chrome",
        "appium:automationName": "UiAutomator2",
        "appium:udid": udid,
        "appium:systemPort": ports.system_port,
        "appium:chromedriverPort": ports.chromedriver_port,
        "appium:mjpegServerPort": ports.mjpeg_port,
        "appium:chromedriverGrantPermissions": True,
        "appium:newCommandTimeout": NEW_COMMAND_TIMEOUT_S,
        "goog:chromeOptions": {"args": list(arguments)},
        "goog:loggingPrefs": {"browser": "ALL"},
    }


def xcuitest_capabilities(udid: str, *, ports: SessionPorts, derived_data: Path) -> Capabilities:
    """Capabilities of Safari on an iPhone or a simulator (XCUITest; the Appium server has to run on a Mac).

    iOS has no fake capture device: the microphone is the phone's own.
    """
    return {
        "platformName": "iOS",
        "browserName": "Safari",
        "appium:automationName": "XCUITest",
        "appium:udid": udid,
        "appium:wdaLocalPort": ports.system_port,
        "appium:mjpegServerPort": ports.mjpeg_port,
        "appium:derivedDataPath": str(derived_data),
        "appium:autoAcceptAlerts": True,
        "appium:newCommandTimeout": NEW_COMMAND_TIMEOUT_S,
    }
