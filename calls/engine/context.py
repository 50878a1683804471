"""What every call of one engine shares."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bedrock.clock import Clock
from calls.bridge.messages import Configure
from calls.call.state_machine import Limits
from calls.engine.health.shortage import Shortage
from calls.engine.identity import EngineIdentity
from calls.engine.records.probe_scoring_client import ProbeDesk
from calls.engine.records.recorder import Recorder
from calls.media.factory import MediaFactory
from calls.targets.protocol import Target


@dataclass(frozen=True, slots=True)
class Context:
    """Made once the engine is configured."""

    identity: EngineIdentity
    configure: Configure
    clock: Clock
    target: Target
    media: MediaFactory
    recorder: Recorder
    probes: ProbeDesk
    shortage: Shortage

    @property
    def limits(self) -> Limits:
        """Of every call."""
        given = self.configure
        return Limits(
            setup_s=given.setup_limit_s,
            ring_s=given.ring_limit_s,
            gap_ms=given.gap_limit_ms,
            confirm_s=given.confirm_limit_s,
        )

    def random_of(self, *what: str) -> random.Random:
        """Returns a random source that is the same in every run with the same seed, for one purpose."""
        return random.Random("/".join([str(self.configure.seed), *what]))
