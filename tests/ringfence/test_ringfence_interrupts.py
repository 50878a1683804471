"""A run that is told to end twice ends once, in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from ringfence.cli.run import end_at_once
from ringfence.orchestration.conductor import undisturbed

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_second_sigterm_of_a_group_changes_nothing() -> None:
    signal.signal(signal.SIGTERM, end_at_once)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)


def test_nothing_breaks_off_the_end_of_a_run_and_afterwards_all_is_as_before() -> None:
    signal.signal(signal.SIGTERM, end_at_once)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with undisturbed():
        for number in SIGNALS:
            signal.raise_signal(number)
    for number in SIGNALS:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
