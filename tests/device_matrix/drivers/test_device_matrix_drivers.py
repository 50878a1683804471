"""What the drivers are told: wrappers, switches, capabilities."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tls_front import certificate
from waiting import HANG_LIMIT_S

from calls.targets.trust import CA_FILE_VARIABLE, trust
from device_matrix.devices import catalogue
from device_matrix.drivers.appium_capabilities import chromium_capabilities
from device_matrix.drivers.chromium import browser_arguments
from device_matrix.drivers.phone_capabilities import SessionPorts, uiautomator2_capabilities, xcuitest_capabilities
from device_matrix.drivers.wrapper import write_browser_wrapper, write_chromedriver_wrapper
from device_matrix.hook import init_script

PORTS = SessionPorts(system_port=8201, chromedriver_port=9601, mjpeg_port=9301)
STANDARD_CAPABILITIES = {"platformName", "browserName"}


def require_prefixes(capabilities: dict[str, Any]) -> None:
    assert all(":" in name or name in STANDARD_CAPABILITIES for name in capabilities)


def test_the_browser_wrapper_joins_the_group_and_becomes_the_browser(tmp_path: Path) -> None:
    browser = tmp_path / "fake browser"
    browser.write_text('#!/bin/sh\necho "$$|$TMPDIR|$1|$2"\n')
    browser.chmod(0o755)
    join = tmp_path / "cgroup procs"
    wrapper = write_browser_wrapper(
        tmp_path,
        browser=str(browser),
        exec_prefix=["env", "--"],
        join_paths=[join],
        environment={"TMPDIR": "/some where"},
    )
    started = subprocess.Popen([wrapper, "--flag=a b", "c"], stdout=subprocess.PIPE, text=True)
    printed, _ = started.communicate(timeout=HANG_LIMIT_S)
    assert printed.strip() == f"{started.pid}|/some where|--flag=a b|c", "the pid stays what the driver knows"
    assert join.read_text().strip() == "0", "0 is the process that writes"


def test_a_browser_that_cannot_join_its_group_does_not_start(tmp_path: Path) -> None:
    wrapper = write_browser_wrapper(
        tmp_path, browser="true", exec_prefix=[], join_paths=[tmp_path / "no" / "cgroup.procs"], environment={}
    )
    assert subprocess.run([wrapper], stderr=subprocess.DEVNULL, check=False, timeout=HANG_LIMIT_S).returncode == 126


def test_descriptors_3_and_4_pass_through_the_wrapper(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    wrapper = write_chromedriver_wrapper(tmp_path, chromedriver="/bin/sh", environment={})
    command = f'exec 4>&{writer} "{wrapper}" -c "echo through >&4"'
    subprocess.run(["bash", "-c", command], pass_fds=[writer], check=True, timeout=HANG_LIMIT_S)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "through\n"


def test_features_are_switched_off_in_one_switch_and_origins_are_trusted_in_one() -> None:
    arguments = browser_arguments(["http://10.213.0.1:8080", "http://10.213.0.5:8080"])
    names = [argument.partition("=")[0] for argument in arguments]
    assert len(names) == len(set(names))
    assert "--unsafely-treat-insecure-origin-as-secure=http://10.213.0.1:8080,http://10.213.0.5:8080" in arguments
    features = next(argument for argument in arguments if argument.startswith("--disable-features="))
    assert "WebRtcHideLocalIpsWithMdns" in features


def test_a_certificate_of_the_user_s_own_is_trusted_by_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switch = "--ignore-certificate-errors-spki-list="
    monkeypatch.setenv(CA_FILE_VARIABLE, "")
    assert not [argument for argument in browser_arguments([]) if argument.startswith(switch)]
    pem, _ = certificate(tmp_path)
    trust(pem)
    (digest,) = [argument.removeprefix(switch) for argument in browser_arguments([]) if argument.startswith(switch)]
    assert len(base64.b64decode(digest)) == 32


def test_chromium_capabilities_download_nothing_and_carry_the_device() -> None:
    device = catalogue()["redmi-go"]
    capabilities = dict(
        chromium_capabilities(
            device,
            chrome_major="156",
            browser=Path("/w/browser"),
            chromedriver=Path("/w/chromedriver"),
            chromedriver_port=9555,
            arguments=["--remote-debugging-pipe"],
        )
    )
    require_prefixes(capabilities)
    assert capabilities["appium:automationName"] == "Chromium"
    assert capabilities["appium:autodownloadEnabled"] is False
    assert capabilities["appium:executable"] == "/w/chromedriver"
    assert capabilities["appium:chromedriverPort"] == 9555
    options = capabilities["goog:chromeOptions"]
    assert options["binary"] == "/w/browser"
    metrics = options["mobileEmulation"]["deviceMetrics"]
    assert metrics == {"width": 360, "height": 640, "pixelRatio": 2.0, "touch": True, "mobile": True}
    assert "Chrome/156.0.0.0 Mobile" in options["mobileEmulation"]["userAgent"]


def test_android_capabilities_hold_what_parallel_sessions_must_not_share() -> None:
    capabilities = dict(uiautomator2_capabilities("R58M1", ports=PORTS, arguments=["--x"]))
    require_prefixes(capabilities)
    assert capabilities["appium:udid"] == "R58M1"
    assert {capabilities[f"appium:{name}"] for name in ("systemPort", "chromedriverPort", "mjpegServerPort")} == {
        8201,
        9601,
        9301,
    }
    assert capabilities["appium:chromedriverGrantPermissions"] is True


def test_ios_capabilities_hold_what_parallel_sessions_must_not_share(tmp_path: Path) -> None:
    capabilities = dict(xcuitest_capabilities("00008101-1", ports=PORTS, derived_data=tmp_path))
    require_prefixes(capabilities)
    assert capabilities["appium:wdaLocalPort"] == 8201
    assert capabilities["appium:mjpegServerPort"] == 9301
    assert capabilities["appium:derivedDataPath"] == str(tmp_path)


@pytest.mark.parametrize(("device", "memory"), [("itel-a16", "0.5"), ("galaxy-a03-core", "2"), ("pixel-9", "8")])
def test_the_hook_tells_the_page_the_devices_own_memory_in_the_steps_of_the_standard(device: str, memory: str) -> None:
    assert f'"deviceMemoryGb": {memory},' in init_script(catalogue()[device])
