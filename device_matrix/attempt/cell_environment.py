"""Opens what a cell needs before its call: link, CPU group, browser, two users, the far end, the service."""

from __future__ import annotations

import contextlib
import os
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
from device_matrix.network.emulated_link import CDP_BACKEND, EmulatedLink, measure_in_browser
from device_matrix.peer.far_end import SignedInPeer
from device_matrix.peer.target_admin import MatrixUser
from network_profiles import NetworkProfile
from network_profiles.links.open_link import LinkCounters, ShapedLink, open_link
from network_profiles.verification.proof import Evidence, measure

MEASURE_BUDGET_S = 3.0
MEASURE_TIMEOUT_S = 60.0
LAUNCH_TIMEOUT_S = 60.0
CPU_LIMIT_TIMEOUT_S = 40.0


@dataclass(frozen=True, slots=True)
class CellEnvironment:
    """What is open while the call runs."""

    link: ShapedLink | EmulatedLink
    counters_before: LinkCounters
    """The link's counters after its measurement and before the call."""
    shaping: Evidence
    group: CpuGroup | NoCpuGroup
    cpu: CpuSpeed | None
    """The measured effect of the CPU limit; None where this machine can limit nothing."""
    browser: Browser
    capture: LinkCapture | None
    """None where the browser shapes its own packets: there is no link to capture at."""
    user: MatrixUser
    """The user whom the device signs in."""
    peer: SignedInPeer
    url: str
    """The service as the device reaches it: at the host end of its own link."""


def open_cell_environment(
    stack: contextlib.ExitStack, worker: Worker, cell: Cell, attempt: int, artifacts: Artifacts, steps: StepLog
) -> CellEnvironment:
    """Opens everything; ``stack`` closes it in reverse order. Raises CellEnvironmentError for what cannot be opened."""
    opening = _Opening(stack, worker, cell, attempt, artifacts, steps)
    return opening.over_loopback() if worker.settings.backend == CDP_BACKEND else opening.over_link()


@dataclass(frozen=True, slots=True)
class _Opening:
    """Opens one environment, a part at a time; ``stack`` owns every part."""

    stack: contextlib.ExitStack
    worker: Worker
    cell: Cell
    attempt: int
    artifacts: Artifacts
    steps: StepLog

    @property
    def device(self) -> Device:
        return self.worker.devices[self.cell.device]

    @property
    def profile(self) -> NetworkProfile:
        return self.worker.networks[self.cell.network]

    def over_link(self) -> CellEnvironment:
        """Opens an environment over a shaped link.

        The link is measured while the browser starts on an empty page: the link and the CPU are tested by different
        work, and the browser sends no packets yet.
        """
        self.steps.begin("open_link")
        link = self._link()
        pool = self.stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="link-proof"))
        measured = pool.submit(measure, link, self.profile, budget_s=MEASURE_BUDGET_S)

        self.steps.begin("people")
        user, other = self._users()
        url = self.worker.admin.listen(link.host_address)
        self.stack.callback(_stop_listening, self.worker, link.host_address)
        peer = self._peer(other, link.host_address)

        self.steps.begin("launch")
        group = self._cpu_group(pids_behind_link(link))
        exec_prefix = list(link.exec_prefix)
        if isinstance(group, NoCpuGroup):
            exec_prefix += NICE_PREFIX
            # A browser that starts with all of the CPU would make its own link late during the measurement.
            wait([measured], MEASURE_TIMEOUT_S)
        work_folder = self.stack.enter_context(scratch_folder())
        browser = self._browser(url, group, exec_prefix, work_folder, emulated_network=None)

        self.steps.begin("measure_link")
        shaping = self._proven(measured)
        capture = LinkCapture(link_pid=link.pid, host_device=link.device)
        self.stack.callback(capture.stop)
        capture.start()
        # The limit comes last: starting a desktop browser is no part of a phone's call.
        cpu = self._cpu_limit(browser, group)
        try:
            before = link.counters()
        except RingfenceError as error:
            raise LinkUnusable(f"the link died: {error.message}", reason="link_died", hint=error.hint) from error
        return CellEnvironment(link, before, shaping, group, cpu, browser, capture, user, peer, url)

    def over_loopback(self) -> CellEnvironment:
        """Opens an environment without a link: the browser emulates the network, and the emulation is measured."""
        link = EmulatedLink()
        self.steps.begin("people")
        user, other = self._users()
        url = self.worker.settings.target_url
        peer = self._peer(other, link.host_address)

        self.steps.begin("launch")
        work_folder = self.stack.enter_context(scratch_folder())
        group = self._cpu_group(pids_of_browser(work_folder))
        emulated = emulated_conditions(self.profile)
        browser = self._browser(url, group, link.exec_prefix, work_folder, emulated_network=emulated)

        self.steps.begin("measure_link")
        shaping = measure_in_browser(browser, self.profile)
        self.artifacts.json(SHAPING, shaping.to_dict())
        if not shaping.ok:
            misses = "; ".join(shaping.misses)
            raise LinkUnusable(f"the browser's network emulation does not match profile '{self.profile.id}': {misses}")
        cpu = self._cpu_limit(browser, group)
        return CellEnvironment(link, link.counters(), shaping, group, cpu, browser, None, user, peer, url)

    def _link(self) -> ShapedLink:
        settings = self.worker.settings
        seed = zlib.crc32(f"{settings.seed}:{self.cell.id}:{self.attempt}".encode())
        try:
            return self.stack.enter_context(
                open_link(self.profile, seed=seed, name=self.cell.id, backend=settings.backend)
            )
        except RingfenceError as error:
            sentence = f"the link could not be opened: {error.message}"
            raise LinkUnusable(sentence, reason="no_link", hint=error.hint) from error

    def _users(self) -> tuple[MatrixUser, MatrixUser]:
        """Creates the device's user and the far end's, for this attempt only: earlier attempts cannot interfere."""
        unique = uuid.uuid4().hex[:10]
        user = MatrixUser(f"{self.worker.name}-{unique}-device", self.device.title, uuid.uuid4().hex)
        other = MatrixUser(f"{self.worker.name}-{unique}-far", "Amina", uuid.uuid4().hex)
        self.worker.admin.seed_friends(user, other)
        return user, other

    def _peer(self, user: MatrixUser, media_address: str) -> SignedInPeer:
        return self.stack.enter_context(
            self.worker.far_end.signed_in(user, media_address=media_address, cell=self.cell, attempt=self.attempt)
        )

    def _cpu_group(self, pids: Callable[[], list[int]]) -> CpuGroup | NoCpuGroup:
        """Returns the browser's control group; where there can be none, ``pids`` finds the browser's processes."""
        group = NoCpuGroup(pids) if cpu_limit.missing_prerequisites() else CpuGroup()
        self.stack.callback(group.release)
        self.stack.enter_context(self.worker.stop_request.kills_on_stop(group))
        return group

    def _browser(
        self,
        url: str,
        group: CpuGroup | NoCpuGroup,
        exec_prefix: Sequence[str],
        work_folder: Path,
        *,
        emulated_network: Mapping[str, Any] | None,
    ) -> Browser:
        spec = LaunchSpec(
            device=self.device,
            exec_prefix=exec_prefix,
            group=group,
            work_folder=work_folder,
            secure_origins=[_origin(url)],
            init_script=init_script(self.device),
            environment={"TMPDIR": str(work_folder)},
            emulated_network=emulated_network,
        )
        return self.stack.enter_context(self.worker.driver(self.cell.driver).launch(spec, LAUNCH_TIMEOUT_S))

    def _proven(self, measured: Future[Evidence]) -> Evidence:
        """Waits for the measurement. Raises LinkUnusable where the link does not match its profile."""
        try:
            shaping = measured.result(MEASURE_TIMEOUT_S)
        except FutureTimeout:
            sentence = f"the link's measurement took longer than {MEASURE_TIMEOUT_S:.0f} s"
            raise LinkUnusable(sentence, reason="link_unproven") from None
        except RingfenceError as error:
            raise LinkUnusable(f"the link could not be measured: {error.message}", reason="link_unproven") from error
        self.artifacts.json(SHAPING, shaping.to_dict())
        if not shaping.ok:
            missed = f"the link does not match profile '{self.profile.id}': {'; '.join(shaping.misses)}"
            if shaping.machine_was_late:
                raise LinkUnusable(f"{missed} ({shaping.lateness})", reason="link_late")
            raise LinkUnusable(missed)
        return shaping

    def _cpu_limit(self, browser: Browser, group: CpuGroup | NoCpuGroup) -> CpuSpeed | None:
        """Limits the browser's CPU and measures the effect; None where there is no control group."""
        if isinstance(group, NoCpuGroup):
            return None
        # Playwright has no time limit for a script: one in a browser that hangs ends with its browser.
        with Watchdog(CPU_LIMIT_TIMEOUT_S, group.kill):
            return limit_and_measure(browser, group, quota_cores(self.device, os.cpu_count() or 1), self.worker.clock)


def _stop_listening(worker: Worker, address: str) -> None:
    with contextlib.suppress(RingfenceError):
        worker.admin.stop_listening(address)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
