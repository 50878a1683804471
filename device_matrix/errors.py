"""Defines the errors that end an attempt before the product could be judged.

EnvironmentLacks                 (bedrock) a prerequisite is missing
`-- CellEnvironmentError         an attempt ended without a verdict on the product
    |-- DeviceUnavailable        no browser, driver, Appium server or CPU group, or it died during the attempt
    |-- LinkUnusable             the link does not match its profile, so figures taken over it would be wrong
    |-- FarEndLost               our own answering engine is gone or cannot sign in
    |-- TargetUnavailable        the service does not answer its admin or health API
    `-- PageNotLoaded            the browser runs, but its connection to the service was refused or broke

All of these are the harness's fault: the attempt is an ``environment_error`` and may be retried. The product's own
faults are a ProductFailure (scenarios/expectation.py), and are never retried.
"""

from __future__ import annotations

from bedrock.errors import EnvironmentLacks
from calls.records.record import Blame


class CellEnvironmentError(EnvironmentLacks):
    """Root of the tree above; carries the reason and the blame for ``cell.json``."""

    reason = "environment"
    blame = Blame.UNKNOWN

    def __init__(self, message: str, *, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        if reason:
            self.reason = reason


class DeviceUnavailable(CellEnvironmentError):
    """The browser, its driver or its CPU group could not be started, or died during the attempt."""

    reason = "device_unavailable"
    blame = Blame.DEVICE


class LinkUnusable(CellEnvironmentError):
    """The shaped link could not be opened, or its measurement does not match its profile."""

    reason = "link_off"
    blame = Blame.NETWORK


class FarEndLost(CellEnvironmentError):
    """The answering engine is gone, or never started."""

    reason = "far_end_lost"
    blame = Blame.GENERATOR


class TargetUnavailable(CellEnvironmentError):
    """The service does not answer the harness itself."""

    reason = "target_unavailable"
    blame = Blame.TARGET


class PageNotLoaded(CellEnvironmentError):
    """The browser runs but could not load the app, and gives Chromium's error code."""

    reason = "page_not_loaded"
    blame = Blame.TARGET

    CHROMIUM_CODE_PREFIX = "net::ERR_"
    """The start of Chromium's error codes."""
