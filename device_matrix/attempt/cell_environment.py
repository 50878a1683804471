"""Everything that has to stand before a device can call: link, CPU group, browser, people, far end, the service."""

from __future__ import annotations

import contextlib
import os
import uuid
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from urllib.parse import urlsplit

from bedrock.clock import Clock
from bedrock.errors import RingfenceError
from bedrock.scratch import scratch_folder
from device_matrix.artifacts import SHAPING, Artifacts, StepLog
from device_matrix.attempt.watchdog import Watchdog
from device_matrix.attempt.worker import Worker
from device_matrix.capture.rtp_capture import LinkCapture
from device_matrix.cells import Cell
from device_matrix.cpu import cpu_limit
from device_matrix.cpu.cpu_limit import CpuGroup, quota_cores
from device_matrix.cpu.speed import CpuSpeed, limit_and_measure
from device_matrix.cpu.unlimited import NICE_PREFIX, NoCpuGroup, pids_behind_link, pids_of_browser
from device_matrix.devices import Device
from device_matrix.drivers.network_emulation import emulated_conditions
from device_matrix.drivers.protocol import Browser, LaunchSpec
from device_matrix.errors import LinkUnusable
from device_matrix.hook import init_script
from device_matrix.network.emulated_link import BACKEND, EmulatedLink, measure_in_browser
from device_matrix.peer.far_end import SignedInPeer
from device_matrix.peer.target_admin import SeededUser
from network_profiles.links.open_link import LinkCounters, ShapedLink, open_link
from network_profiles.verification.proof import Evidence, measure

MEASURE_BUDGET_S = 3.0
MEASURE_TIMEOUT_S = 60.0
LAUNCH_TIMEOUT_S = 60.0
HOLD_TIMEOUT_S = 40.0


@dataclass(frozen=True, slots=True)
class CellEnvironment:
    """What is open while the call runs."""

    link: ShapedLink | EmulatedLink
    counters_before: LinkCounters
    """Of the link, after it was measured and before the call."""
    shaping: Evidence
    group: CpuGroup | NoCpuGroup
    cpu: CpuSpeed | None
    """What the device was held to, as measured; None where nothing can hold it."""
    browser: Browser
    capture: LinkCapture | None
    """None where the browser shapes its own packets: then there is no link to listen at."""
    person: SeededUser
    peer: SignedInPeer
    url: str
    """The service as the device reaches it: at the host end of its own link."""


def open_cell_environment(
    stack: contextlib.ExitStack, worker: Worker, cell: Cell, attempt: int, artifacts: Artifacts, steps: StepLog
) -> CellEnvironment:
    """Opens everything; ``stack`` closes it, the last first. Raises CellEnvironmentError for what cannot be had.

    The link is measured while the browser starts on an empty page: what is asked of the link and of the CPU are
    different things, and nothing of the browser travels yet.
    """
    device, profile = worker.devices[cell.device], worker.networks[cell.network]
    if worker.settings.backend == BACKEND:
        return _open_over_loopback(stack, worker, cell, attempt, artifacts, steps)
    steps.begin("open_link")
    seed = zlib.crc32(f"{worker.settings.seed}:{cell.id}:{attempt}".encode())
    try:
        link = stack.enter_context(open_link(profile, seed=seed, name=cell.id, backend=worker.settings.backend))
    except RingfenceError as error:
        raise LinkUnusable(
            f"the link could not be opened: {error.message}", reason="no_link", hint=error.hint
        ) from error
    measuring = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="link-proof"))
    measured = measuring.submit(measure, link, profile, budget_s=MEASURE_BUDGET_S)

    steps.begin("people")
    person, other = _people(device.title, worker.name)
    worker.admin.seed_friends(person, other)
    url = worker.admin.listen(link.host_address)
    stack.callback(_stop_listening, worker, link.host_address)
    peer = stack.enter_context(
        worker.far_end.signed_in(other, media_address=link.host_address, cell=cell, attempt=attempt)
    )

    steps.begin("launch")
    group = _cpu_group(stack, worker, pids_behind_link(link))
    exec_prefix = list(link.exec_prefix)
    if isinstance(group, NoCpuGroup):
        exec_prefix += NICE_PREFIX
        # A browser that starts with all of the CPU would make its own link late in the middle of the proof.
        wait([measured], MEASURE_TIMEOUT_S)
    work_folder = stack.enter_context(scratch_folder())
    spec = LaunchSpec(
        device=device,
        exec_prefix=exec_prefix,
        group=group,
        work_folder=work_folder,
        secure_origins=[_origin(url)],
        init_script=init_script(device),
        environment={"TMPDIR": str(work_folder)},
    )
    browser = stack.enter_context(worker.driver(cell.driver).launch(spec, LAUNCH_TIMEOUT_S))

    steps.begin("measure_link")
    try:
        shaping = measured.result(MEASURE_TIMEOUT_S)
    except FutureTimeout:
        raise LinkUnusable(
            f"the link was not measured within {MEASURE_TIMEOUT_S:.0f} s", reason="link_unproven"
        ) from None
    except RingfenceError as error:
        raise LinkUnusable(f"the link could not be measured: {error.message}", reason="link_unproven") from error
    artifacts.json(SHAPING, shaping.to_dict())
    if not shaping.ok:
        missed = f"the link is not what '{profile.id}' says: {'; '.join(shaping.misses)}"
        if shaping.machine_was_late:
            raise LinkUnusable(f"{missed} ({shaping.lateness})", reason="link_late")
        raise LinkUnusable(missed)

    capture = LinkCapture(link_pid=link.pid, host_device=link.device)
    stack.callback(capture.stop)
    capture.start()
    # Only now: starting a desktop browser is nothing that a phone's user waits for in a call.
    cpu = _limit(browser, group, device, worker.clock)
    try:
        before = link.counters()
    except RingfenceError as error:
        raise LinkUnusable(f"the link died: {error.message}", reason="link_died", hint=error.hint) from error
    return CellEnvironment(link, before, shaping, group, cpu, browser, capture, person, peer, url)


def _open_over_loopback(
    stack: contextlib.ExitStack, worker: Worker, cell: Cell, attempt: int, artifacts: Artifacts, steps: StepLog
) -> CellEnvironment:
    """The same without links: the browser shapes its own packets, and its emulation is measured before the call."""
    device, profile = worker.devices[cell.device], worker.networks[cell.network]
    path = EmulatedLink()
    steps.begin("people")
    person, other = _people(device.title, worker.name)
    worker.admin.seed_friends(person, other)
    url = worker.settings.target_url
    peer = stack.enter_context(
        worker.far_end.signed_in(other, media_address=path.host_address, cell=cell, attempt=attempt)
    )
    steps.begin("launch")
    work_folder = stack.enter_context(scratch_folder())
    group = _cpu_group(stack, worker, pids_of_browser(work_folder))
    spec = LaunchSpec(
        device=device,
        exec_prefix=path.exec_prefix,
        group=group,
        work_folder=work_folder,
        secure_origins=[_origin(url)],
        init_script=init_script(device),
        environment={"TMPDIR": str(work_folder)},
        emulated_network=emulated_conditions(profile),
    )
    browser = stack.enter_context(worker.driver(cell.driver).launch(spec, LAUNCH_TIMEOUT_S))
    steps.begin("measure_link")
    shaping = measure_in_browser(browser, profile)
    artifacts.json(SHAPING, shaping.to_dict())
    if not shaping.ok:
        raise LinkUnusable(f"the browser's emulation is not what '{profile.id}' says: {'; '.join(shaping.misses)}")
    cpu = _limit(browser, group, device, worker.clock)
    return CellEnvironment(path, path.counters(), shaping, group, cpu, browser, None, person, peer, url)


def _cpu_group(stack: contextlib.ExitStack, worker: Worker, pids: Callable[[], list[int]]) -> CpuGroup | NoCpuGroup:
    """Returns what will hold the browser; where that can be no control group, ``pids`` finds its processes."""
    group = NoCpuGroup(pids) if cpu_limit.lacks() else CpuGroup()
    stack.callback(group.release)
    stack.enter_context(worker.stop_request.kills_on_stop(group))
    return group


def _limit(browser: Browser, group: CpuGroup | NoCpuGroup, device: Device, clock: Clock) -> CpuSpeed | None:
    if isinstance(group, NoCpuGroup):
        return None
    # Playwright has no time limit for a script: one in a browser that hangs ends with its browser.
    with Watchdog(HOLD_TIMEOUT_S, group.kill):
        return limit_and_measure(browser, group, quota_cores(device, os.cpu_count() or 1), clock)


def _people(device_title: str, worker_name: str) -> tuple[SeededUser, SeededUser]:
    """Two people of this attempt alone: nothing that an earlier one left in the service can be in the way."""
    unique = uuid.uuid4().hex[:10]
    return (
        SeededUser(f"{worker_name}-{unique}-device", device_title, uuid.uuid4().hex),
        SeededUser(f"{worker_name}-{unique}-far", "Amina", uuid.uuid4().hex),
    )


def _stop_listening(worker: Worker, address: str) -> None:
    with contextlib.suppress(RingfenceError):
        worker.admin.stop_listening(address)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
