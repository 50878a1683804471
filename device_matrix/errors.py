"""What can end an attempt of a cell before the product was judged.

EnvironmentLacks                 (bedrock) the machine lacks a piece
|-- DeviceUnavailable            no browser, driver, Appium server or CPU group to be had, or it died in our hands
|-- LinkOff                      the link is not what its profile says: a figure taken over it would be a lie
|-- FarEndLost                   our own answering peer is gone or cannot sign in
|-- TargetUnavailable            the service does not answer its admin or health API
`-- PageNotLoaded                the browser lives, and its connection to the service was refused or broke

All of these are the harness's own trouble: the attempt is an ``environment_error`` and may be retried. What the
product did wrong is never an exception of this tree but a Judgement (scenarios/judgement.py), and is never retried.
"""

from __future__ import annotations

from bedrock.errors import EnvironmentLacks
from calls.records.record import Blame


class CellEnvironmentError(EnvironmentLacks):
    """Root of the tree above: carries the short code and the blame that ``cell.json`` shows."""

    reason = "environment"
    blame = Blame.UNKNOWN

    def __init__(self, message: str, *, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        if reason:
            self.reason = reason


class DeviceUnavailable(CellEnvironmentError):
    """The browser, its driver or its CPU group could not be had, or died in the middle of the call."""

    reason = "device_unavailable"
    blame = Blame.DEVICE


class LinkUnusable(CellEnvironmentError):
    """The shaped link could not be opened, or was measured and is not what its profile says."""

    reason = "link_off"
    blame = Blame.NETWORK


class FarEndLost(CellEnvironmentError):
    """The engine peer that answers is gone, or never came."""

    reason = "far_end_lost"
    blame = Blame.GENERATOR


class TargetUnavailable(CellEnvironmentError):
    """The service does not answer where the harness, not the device, asks it."""

    reason = "target_unavailable"
    blame = Blame.TARGET


class PageNotLoaded(CellEnvironmentError):
    """The browser could not load the app and says why: a refused or broken connection is no death of the browser."""

    reason = "page_not_loaded"
    blame = Blame.TARGET

    CHROMIUM_CODE_PREFIX = "net::ERR_"
    """Chromium's own codes begin like this."""
