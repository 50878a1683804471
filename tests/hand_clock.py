"""A clock that stands until a test moves it."""

from __future__ import annotations


class HandClock:
    """Both of its times are ``now_s``."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return self.now_s
