"""Builds the W3C capabilities of Appium sessions on phones. The matrix does not use them yet.

They follow the documentation of the Appium drivers (UiAutomator2 8.x, XCUITest) and stand ready for a driver of phones.
No phone, emulator or Mac has run them here: only a contract test checks what they contain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from device_matrix.drivers.appium_capabilities import NEW_COMMAND_TIMEOUT_S, Capabilities


@dataclass(frozen=True, slots=True)
class SessionPorts:
    """The host ports of one phone session. Two sessions that share a port break each other."""

    system_port: int
    chromedriver_port: int
    mjpeg_port: int


def uiautomator2_capabilities(udid: str, *, ports: SessionPorts, arguments: Sequence[str]) -> Capabilities:
    """Capabilities of Chrome on an Android phone or emulator (UiAutomator2 8.1 or later, Android 8.0 or later).

    Chrome on a phone asks for camera and microphone in an Android dialog that chromedriver cannot see.
    ``chromedriverGrantPermissions`` grants both in advance.
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
