"""Finds Chromium and chromedriver, and builds the command line of a device's browser."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bedrock.child_environment import own_environment_cleaned
from bedrock.errors import EnvironmentLacks
from bedrock.short_command import run_and_read
from calls.targets.trust import key_digests

BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
CHROMEDRIVER_PATHS = ("/usr/lib/chromium/chromedriver", "/usr/lib/chromium-browser/chromedriver")
VERSION_TIMEOUT_S = 60.0

DISABLED_FEATURES = (
    # Host candidates need raw addresses: the far end has no multicast DNS, and the selected pair must be provable.
    "WebRtcHideLocalIpsWithMdns",
    # Background work of a desktop browser would load the shaped link and use up the CPU quota.
    "Translate",
    "OptimizationHints",
    "MediaRouter",
    "DialMediaRouteProvider",
    "InterestFeedContentSuggestions",
    "CertificateTransparencyComponentUpdater",
    "AutofillServerCommunication",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
)


def find_browser() -> str:
    """Returns the path of Chromium. Raises EnvironmentLacks when there is none."""
    for name in BROWSER_NAMES:
        if found := shutil.which(name):
            return found
    bundled = _bundled_browser()
    if bundled is not None:
        return bundled
    raise EnvironmentLacks("there is no Chromium", hint="apt-get install chromium, or: playwright install chromium")


def find_chromedriver() -> str:
    """Returns the path of chromedriver. Raises EnvironmentLacks when there is none."""
    found = shutil.which("chromedriver") or next((path for path in CHROMEDRIVER_PATHS if Path(path).exists()), None)
    if found is None:
        raise EnvironmentLacks("there is no chromedriver", hint="apt-get install chromium-driver")
    return found


@functools.cache
def browser_version(path: str) -> str:
    """Returns the version that the browser reports, e.g. ``156.0.8078.79``. Raises EnvironmentLacks."""
    try:
        asked = run_and_read([path, "--version"], timeout_s=VERSION_TIMEOUT_S)
        asked.check_returncode()
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvironmentLacks(f"{path} does not start: {error}", hint="apt-get install --reinstall chromium") from None
    version = re.search(r"\d+(\.\d+){1,3}", asked.stdout)
    if version is None:
        raise EnvironmentLacks(f"'{path} --version' printed no version: '{asked.stdout.strip()}'")
    return version[0]


def browser_arguments(secure_origins: Sequence[str], *, over_loopback: bool = False) -> list[str]:
    """Returns the browser switches of both drivers; ``over_loopback`` allows media over loopback."""
    return [
        *(["--allow-loopback-in-peer-connection"] if over_loopback else []),
        *([f"--ignore-certificate-errors-spki-list={','.join(trusted)}"] if (trusted := key_digests()) else []),
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        "--autoplay-policy=no-user-gesture-required",
        f"--unsafely-treat-insecure-origin-as-secure={','.join(secure_origins)}",
        f"--disable-features={','.join(DISABLED_FEATURES)}",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-domain-reliability",
        "--disable-client-side-phishing-detection",
        "--disable-default-apps",
        "--disable-extensions",
        "--disable-field-trial-config",
        "--disable-gpu",
        "--disable-quic",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows",
        "--disable-renderer-backgrounding",
        "--force-color-profile=srgb",
        "--metrics-recording-only",
        "--mute-audio",
        "--no-default-browser-check",
        "--no-first-run",
        "--no-sandbox",
        "--no-proxy-server",
        "--password-store=basic",
    ]


def _bundled_browser() -> str | None:
    from playwright.sync_api import sync_playwright

    with own_environment_cleaned(), sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None
