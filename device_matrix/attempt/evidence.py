"""Collects everything known of a call before its browser and its link are closed, and writes it down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bedrock.errors import RingfenceError
from calls.records.record import Blame, LegRecord
from device_matrix.artifacts import CONSOLE, HEADERS, LINK, STATISTICS, Artifacts
from device_matrix.attempt.cell_environment import CellEnvironment
from device_matrix.attempt.leg import BrowserLegFacts, build_leg
from device_matrix.attempt.worker import Worker
from device_matrix.capture.link_drops import LinkDrops, link_drops
from device_matrix.capture.stats import AudioBothWays, audio_both_ways, sample_rows
from device_matrix.cells import Cell
from device_matrix.cpu.pressure import PressureGauge
from device_matrix.errors import CellEnvironmentError, FarEndLost, LinkUnusable
from device_matrix.hook.client import HookClient
from device_matrix.hook.samples import PeerConnectionStats, call_connection, read_connections
from device_matrix.network.emulated_link import audio_by_statistics
from device_matrix.pages.app_page import CallScreen
from device_matrix.scenarios.call_flow import CallContext

FAR_LEG_TIMEOUT_S = 20.0
BROKEN_FAR_LEG_TIMEOUT_S = 0.5


@dataclass(slots=True)
class CallEvidence:
    """Everything known of a call. A field keeps its default where its source was gone."""

    connections: list[PeerConnectionStats] = field(default_factory=list)
    timeline: list[CallScreen] = field(default_factory=list)
    audio: AudioBothWays = field(default_factory=lambda: AudioBothWays(None, None, None))
    far_leg: LegRecord | None = None
    drops: LinkDrops = field(default_factory=LinkDrops)
    cpu_s: float = 0.0
    throttled_s: float = 0.0
    pressure_ratio: float | None = None
    """Share of the call in which something on the test machine waited for a CPU."""
    ended_at_s: float = 0.0
    environment_errors: list[CellEnvironmentError] = field(default_factory=list)
    """The sources that were gone when they were asked."""

    @property
    def connection(self) -> PeerConnectionStats | None:
        return call_connection(self.connections)

    @contextlib.contextmanager
    def recording_errors(self) -> Iterator[None]:
        """Records the error of a source that is gone, so that the next source can be asked."""
        try:
            yield
        except CellEnvironmentError as error:
            self.environment_errors.append(error)


def collect_evidence(
    environment: CellEnvironment,
    hook: HookClient,
    context: CallContext,
    worker: Worker,
    artifacts: Artifacts,
    pressure: PressureGauge,
) -> CallEvidence:
    """Asks every source once. A source that is gone goes into ``environment_errors``; this never raises for it."""
    evidence = CallEvidence(ended_at_s=worker.clock.unix_s(), pressure_ratio=pressure.ratio())
    _collect_page(evidence, environment, hook, context, artifacts)
    context.call_id = context.call_id or next((shown.call_id for shown in evidence.timeline if shown.call_id), "")
    if context.call_id:
        # When a call broke off, its far end may hear of it much later, or never.
        timeout_s = FAR_LEG_TIMEOUT_S if context.hung_up_cleanly else BROKEN_FAR_LEG_TIMEOUT_S
        evidence.far_leg = environment.peer.finished_leg(context.call_id, timeout_s)
    _collect_audio(evidence, environment, context.intended_end_at_s or evidence.ended_at_s, artifacts)
    _collect_link(evidence, environment, artifacts)
    with contextlib.suppress(OSError):
        evidence.cpu_s, evidence.throttled_s = environment.group.used_s(), environment.group.throttled_s()
    return evidence


def _collect_page(
    evidence: CallEvidence,
    environment: CellEnvironment,
    hook: HookClient,
    context: CallContext,
    artifacts: Artifacts,
) -> None:
    collected: Any = []
    with evidence.recording_errors():
        collected = hook.collect()
        evidence.connections = read_connections(collected)
        evidence.timeline = context.page.call_timeline()
        if not hook.has_screenshot:
            hook.take_screenshot()
    with evidence.recording_errors():
        artifacts.text(CONSOLE, environment.browser.console())
    call_screen = [_plain(shown) for shown in evidence.timeline]
    artifacts.json(STATISTICS, {"connections": collected, "call_screen": call_screen})


def _collect_audio(evidence: CallEvidence, environment: CellEnvironment, until_s: float, artifacts: Artifacts) -> None:
    capture = environment.capture
    if capture is None:
        evidence.audio = audio_by_statistics(evidence.connection, evidence.far_leg, until_s=until_s)
        return
    capture.stop()
    capture.write_pcap(artifacts.path(HEADERS))
    evidence.audio = audio_both_ways(capture.device_tap, capture.host_tap, evidence.connection, until_s=until_s)


def _collect_link(evidence: CallEvidence, environment: CellEnvironment, artifacts: Artifacts) -> None:
    try:
        counters = environment.link.counters()
    except RingfenceError as error:
        lost = LinkUnusable(f"the link died: {error.message}", reason="link_died", hint=error.hint)
        evidence.environment_errors.append(lost)
        return
    evidence.drops = link_drops(counters, environment.counters_before)
    artifacts.json(LINK, _plain(counters))


def require_environment_alive(environment: CellEnvironment, evidence: CallEvidence, *, whole_call: bool) -> None:
    """Checks that every part of the harness lived to the call's end. Raises the CellEnvironmentError of a dead one.

    After a ``whole_call`` the far end must have a record; a call that failed may never have reached it.
    """
    if not environment.link.is_alive():
        raise LinkUnusable("the process that carries the link's packets died", reason="link_died")
    environment.peer.require_alive()
    for error in evidence.environment_errors:
        raise error
    if whole_call and evidence.far_leg is None:
        sentence = f"the far end wrote no record of the call within {FAR_LEG_TIMEOUT_S:.0f} s"
        raise FarEndLost(sentence, reason="no_far_leg")


def device_leg(
    evidence: CallEvidence,
    context: CallContext,
    environment: CellEnvironment,
    worker: Worker,
    cell: Cell,
    attempt: int,
    failure: tuple[str, Blame],
) -> LegRecord:
    """Returns the device's side of the call as a record. ``failure`` is the attempt's reason and blame."""
    sent = evidence.audio.sent
    return build_leg(
        BrowserLegFacts(
            run_id=worker.settings.run_id,
            writer=worker.name,
            cell=cell,
            generation=worker.networks[cell.network].generation,
            attempt=attempt,
            person=environment.user.name,
            peer=environment.peer.name,
            media=context.media,
            call_id=context.call_id,
            placed_at_s=context.placed_at_s or evidence.ended_at_s,
            intended_end_at_s=context.intended_end_at_s,
            ended_at_s=evidence.ended_at_s,
            planned_talk_s=context.sustain_s,
            hung_up_cleanly=context.hung_up_cleanly,
            timeline=evidence.timeline,
            connection=evidence.connection,
            heard=evidence.audio.heard,
            sent_packets=sent.packets if sent is not None else 0,
            link_lost=evidence.drops.lost,
            link_queue_dropped=evidence.drops.queue,
            link_outage_dropped=evidence.drops.outage,
            failure_reason=failure[0],
            failure_blame=failure[1],
        )
    )


def write_samples(evidence: CallEvidence, worker: Worker, cell: Cell, call_id: str) -> None:
    """Appends the call's one-second samples to the worker's segment writer."""
    shown = [(screen.at_s, screen.media or "audio", screen.quality) for screen in evidence.timeline]
    for connection in evidence.connections:
        rows = sample_rows(
            connection.samples,
            run_id=worker.settings.run_id,
            writer=worker.name,
            call_id=call_id,
            cell=cell.id,
            media_at=shown,
        )
        for row in rows:
            worker.samples.append(row)


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
