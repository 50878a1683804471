"""The scripts that run in the page, in a real browser on plain local pages: the hook, and the call screen's watch."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import HANG_LIMIT_S

from calls.records.record import Blame
from device_matrix.cpu import cpu_limit
from device_matrix.cpu.cpu_limit import CpuGroup
from device_matrix.devices import catalogue
from device_matrix.drivers.playwright_driver import PlaywrightBrowser, PlaywrightDriver
from device_matrix.drivers.protocol import LaunchSpec, PageTimeout
from device_matrix.errors import DeviceUnavailable, PageNotLoaded
from device_matrix.hook import init_script
from device_matrix.hook.samples import call_connection, read_connections
from device_matrix.pages.app_page import AppPage

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(bool(cpu_limit.missing_prerequisites()), reason="no control groups that are ours to write"),
]

LOOPBACK_CALL = """async () => {
  const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
  for (const connection of [near, far]) {
    connection.ontrack = ({ streams }) => { Object.assign(new Audio(), { srcObject: streams[0] }).play(); };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    for (const track of stream.getTracks()) connection.addTrack(track, stream);
  }
  const describe = async (connection) => {
    await connection.setLocalDescription();
    while (connection.iceGatheringState !== 'complete') await new Promise((resolve) => setTimeout(resolve, 10));
    return connection.localDescription;
  };
  await far.setRemoteDescription(await describe(near));
  await near.setRemoteDescription(await describe(far));
  window.ends = [near, far];
  const end = performance.now() + HANG_LIMIT_MS;
  // What was heard stands in the statistics a little later: a browser answers with those of 50 ms ago.
  const received = async (connection) => [...(await connection.getStats()).values()].some(
    (report) => report.type === 'inbound-rtp' && report.packetsReceived > 0);
  const isOn = async () => window.ringfenceHook.heard() && await received(near) && await received(far);
  while (!await isOn() && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await window.ringfenceHook.sampleNow();
}""".replace("HANG_LIMIT_MS", str(HANG_LIMIT_S * 1000))

CALL_SCREEN_PAGE = """<body data-signaling="online"><div id="app"></div><script>
  function show(state, more) {
    const screen = document.querySelector('[data-testid=call-screen]') ?? document.createElement('section');
    screen.dataset.testid = 'call-screen';
    Object.assign(screen.dataset, { state, callId: 'c1', media: 'video', fallback: 'none', quality: 'good' }, more);
    if (!screen.isConnected) document.getElementById('app').append(screen);
  }
</script></body>"""


@pytest.fixture(scope="module")
def driver() -> Iterator[PlaywrightDriver]:
    made = PlaywrightDriver()
    made.start()
    yield made
    made.close()


@pytest.fixture
def group() -> Iterator[CpuGroup]:
    made = CpuGroup()
    yield made
    made.release()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A Unix socket's path holds 108 bytes, and Chromium puts one below its folder: pytest's own are too deep."""
    with tempfile.TemporaryDirectory(prefix="rf-page-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def browser(driver: PlaywrightDriver, group: CpuGroup, short_folder: Path) -> Iterator[PlaywrightBrowser]:
    device = catalogue()["galaxy-a03-core"]
    spec = LaunchSpec(
        device=device,
        exec_prefix=["env"],
        group=group,
        work_folder=short_folder,
        secure_origins=["http://127.0.0.1:1"],
        init_script=init_script(device),
        environment={"TMPDIR": str(short_folder)},
    )
    with driver.launch(spec, HANG_LIMIT_S) as launched:
        yield launched


def open_page(browser: PlaywrightBrowser, tmp_path: Path, html: str) -> AppPage:
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><meta name="viewport" content="width=device-width">{html}')
    app = AppPage(browser)
    app.open(page.as_uri(), HANG_LIMIT_S)
    return app


def test_a_call_that_knows_nothing_of_the_hook_is_measured(browser: PlaywrightBrowser, tmp_path: Path) -> None:
    open_page(browser, tmp_path, "<body></body>")
    assert browser.evaluate("() => [innerWidth, devicePixelRatio, navigator.deviceMemory]") == [360, 2, 2]
    assert browser.evaluate("() => navigator.hardwareConcurrency") == 8
    browser.evaluate(LOOPBACK_CALL)
    browser.evaluate("() => window.ends[0].close()")
    connections = read_connections(browser.evaluate("() => window.ringfenceHook.take()"))
    assert len(connections) == 2
    assert connections[0].closed_at_ms is not None
    call = call_connection(connections)
    assert call is not None
    assert call.ice_at_ms is not None
    assert call.connected_at_ms is not None
    assert call.first_audio_at_ms is not None
    assert call.created_at_ms < call.ice_at_ms <= call.connected_at_ms <= call.first_audio_at_ms
    last = call.samples[-1]
    assert last.audio_in is not None
    assert last.audio_in.packets_received > 0
    assert last.audio_in.codec is not None
    assert last.audio_in.codec.mime_type == "audio/opus"
    assert last.pair is not None
    assert last.pair.local.address, "raw addresses, no multicast DNS names"


def test_the_constructor_stays_what_pages_expect(browser: PlaywrightBrowser, tmp_path: Path) -> None:
    open_page(browser, tmp_path, "<body></body>")
    checks = """() => {
      const connection = new RTCPeerConnection();
      return [connection instanceof RTCPeerConnection, typeof RTCPeerConnection.generateCertificate,
        RTCPeerConnection.name, Object.keys(window).includes('ringfenceHook')];
    }"""
    assert browser.evaluate(checks) == [True, "function", "RTCPeerConnection", False]


def test_the_call_screen_is_followed_with_its_moments(browser: PlaywrightBrowser, tmp_path: Path) -> None:
    app = open_page(browser, tmp_path, CALL_SCREEN_PAGE)
    assert app.wait_call({"state": ["calling"]}, timeout_s=0.1) is None
    browser.evaluate("() => { show('calling'); setTimeout(() => show('in-call'), 100); }")
    shown = app.wait_call({"state": ["in-call"]}, {"state": ["ended"]}, timeout_s=HANG_LIMIT_S)
    assert shown is not None
    assert (shown.state, shown.call_id, shown.media) == ("in-call", "c1", "video")
    browser.evaluate("() => show('in-call', { media: 'audio', fallback: 'low-audio' })")
    fallen = app.wait_call({"media": ["audio"], "fallback": ["audio", "low-audio"]}, timeout_s=HANG_LIMIT_S)
    assert fallen is not None
    browser.evaluate("() => show('ended', { endReason: 'hangup' })")
    ended = app.wait_call({"state": ["ended"]}, timeout_s=HANG_LIMIT_S)
    assert ended is not None
    assert ended.end_reason == "hangup"
    timeline = app.call_timeline()
    assert [screen.state for screen in timeline] == ["calling", "in-call", "in-call", "ended"]
    assert [screen.at_s for screen in timeline] == sorted(screen.at_s for screen in timeline)


def test_what_the_page_does_not_do_in_time_is_no_trouble_of_ours(browser: PlaywrightBrowser, tmp_path: Path) -> None:
    app = open_page(browser, tmp_path, '<body data-signaling="offline"><button id="off" disabled>x</button></body>')
    with pytest.raises(PageTimeout):
        browser.click("#nowhere", 0.2)
    with pytest.raises(PageTimeout):
        browser.click("#off", 0.2)
    with pytest.raises(PageTimeout):
        app.hang_up(0.2)


def test_a_service_that_refuses_the_page_is_no_death_of_the_browser(browser: PlaywrightBrowser) -> None:
    with socket.socket() as nobody:  # bound and not listening: whoever connects is refused
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(PageNotLoaded, match="net::ERR_CONNECTION_REFUSED") as caught:
            browser.open(f"http://127.0.0.1:{nobody.getsockname()[1]}/", HANG_LIMIT_S)
    assert (caught.value.reason, caught.value.blame) == ("page_not_loaded", Blame.TARGET)
    assert browser.crash() == ""


def test_a_browser_that_was_killed_is_said_to_be_gone(browser: PlaywrightBrowser, group: CpuGroup) -> None:
    group.kill()
    with pytest.raises(DeviceUnavailable) as caught:
        browser.evaluate("() => new Promise(() => {})")
    assert caught.value.reason == "browser_died"
