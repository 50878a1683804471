"""Limits the time of every step of an attempt, even of one that waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Watchdog:
    """While entered, calls ``on_stuck`` once, on its own thread, when nothing fed it for ``limit_s``."""

    def __init__(
        self, limit_s: float, on_stuck: Callable[[], None], changed: threading.Condition | None = None
    ) -> None:
        """``changed`` is the condition that a feed notifies; tests hand in their own."""
        self._limit_s = limit_s
        self._on_stuck = on_stuck
        self._changed = changed or threading.Condition()
        self._fed = 0
        self._stopped = False
        self.fired = False
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def feed(self) -> None:
        """Starts the time anew: a new step has begun."""
        with self._changed:
            self._fed += 1
            self._changed.notify()

    def __enter__(self) -> Watchdog:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _watch(self) -> None:
        with self._changed:
            while not self._stopped:
                seen = self._fed
                self._changed.wait(self._limit_s)
                if not self._stopped and self._fed == seen:
                    self.fired = True
                    break
        if self.fired:
            self._on_stuck()
