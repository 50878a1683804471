"""The shape of a run in Locust's sense: everybody signs in, stays, and leaves when the master says that it is over.

How many *calls* there are is not its business: they arrive openly, see ``arrivals.py``.
"""

from __future__ import annotations

import logging

from locust import LoadTestShape

from bedrock.errors import RingfenceError
from loadtests.master.master import RunPhase, SwarmMaster
from loadtests.users import Probe

logger = logging.getLogger(__name__)


class WholeSwarm(LoadTestShape):
    """Starts all users of the plan, and stops them when the run has ended."""

    master: SwarmMaster | None = None
    _wanted: tuple[int, float] = (0, 1.0)

    def tick(self) -> tuple[int, float] | None:
        """Returns (users, users a second), or None when the run is over or could not be started."""
        if self.master is None or self.master.is_over:
            return None
        if self.master.phase is RunPhase.IDLE:
            try:
                users, rate_per_s, probes = self.master.prepare()
            except RingfenceError as error:
                self.master.refuse(error)
                return None
            except Exception as error:
                self.master.crashed(error)
                return None
            Probe.want(probes)
            self._wanted = (users, rate_per_s)
        return self._wanted
