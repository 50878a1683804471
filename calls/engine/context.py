"""Holds what all calls of one engine share."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bedrock.clock import Clock
from calls.bridge.messages import Configure
from calls.call.call_limits import CallLimits
from calls.engine.health.shortage import Shortage
from calls.engine.identity import EngineIdentity
from calls.engine.records.probe_scoring_client import ProbeScoringClient
from calls.engine.records.recorder import Recorder
from calls.media.factory import MediaFactory
from calls.targets.protocol import Target


@dataclass(frozen=True, slots=True)
class Context:
    """Created when the engine is configured."""

    identity: EngineIdentity
    configure: Configure
    clock: Clock
    target: Target
    media: MediaFactory
    recorder: Recorder
    probes: ProbeScoringClient
    shortage: Shortage

    @property
    def limits(self) -> CallLimits:
        """Time limits of every call."""
        given = self.configure
        return CallLimits(
            setup_s=given.setup_limit_s,
            ring_s=given.ring_limit_s,
            gap_ms=given.gap_limit_ms,
            confirm_s=given.confirm_limit_s,
        )

    def random_of(self, *what: str) -> random.Random:
        """Returns a random source for one purpose; the same in every run with the same seed."""
        return random.Random("/".join([str(self.configure.seed), *what]))
