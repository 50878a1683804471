"""How a level is judged, how the knee is found, and what is remembered of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bedrock.errors import InputError
from calls.bench.capacity import Capacity, capacity_file, last_bench, save_capacity
from calls.bench.knee import Search, find_knee
from calls.bench.machine import choose_core, this_machine
from calls.bench.media import memory_slope_mb
from calls.bench.step import BenchStep

SEARCH = Search(first=60, most=5000, resolution=0.02)


def step(calls: int, **changed: float) -> BenchStep:
    plain = BenchStep(
        arm="engine",
        media="audio",
        calls=calls,
        seconds=1.0,
        cpu_ratio=0.5,
        cpu_ms_per_call_second=2.0,
        send_late_p50_ms=0.5,
        send_late_p99_ms=1.0,
        send_late_max_ms=2.0,
        packets_due=100 * calls,
        packets_sent=100 * calls,
        packets_received=100 * calls,
        lost=0,
        rss_mb=100 + 0.25 * calls,
        stolen_ratio=0.0,
    )
    return msgspec.structs.replace(plain, **changed)


class Core:
    """A core that carries ``knee`` calls, and late packets above that."""

    def __init__(self, knee: int) -> None:
        self.knee = knee
        self.asked: list[int] = []

    def measure(self, calls: int) -> BenchStep:
        self.asked.append(calls)
        late_ms = 1.0 if calls <= self.knee else 30.0
        return step(calls, cpu_ratio=min(1.0, 0.96 * calls / self.knee), send_late_p99_ms=late_ms)


@pytest.mark.parametrize("knee", [1, 7, 59, 60, 61, 237, 900, 4999])
def test_the_knee_is_found_within_the_resolution_in_few_steps(knee: int) -> None:
    core = Core(knee)
    found = find_knee(core.measure, SEARCH)
    assert found.held is not None
    assert found.broke is not None
    assert knee - max(1, 0.02 * knee) <= found.held.calls <= knee < found.broke.calls
    assert len(core.asked) <= 20


def test_a_core_that_carries_all_that_is_asked_has_no_broken_level() -> None:
    found = find_knee(Core(100_000).measure, SEARCH)
    assert found.held is not None
    assert (found.held.calls, found.broke) == (5000, None)


def test_a_core_that_carries_nothing_has_no_level_that_held() -> None:
    found = find_knee(lambda calls: step(calls, lost=1), SEARCH)
    assert found.held is None
    assert found.broke is not None
    assert found.broke.calls == 1


def test_one_hiccup_does_not_decide() -> None:
    core, hiccups = Core(237), [True]

    def measure(calls: int) -> BenchStep:
        if calls > 100 and hiccups:
            hiccups.clear()
            return step(calls, lost=1)
        return core.measure(calls)

    found = find_knee(measure, SEARCH)
    assert found.held is not None
    assert 232 <= found.held.calls <= 237


def test_a_level_is_taken_again_when_the_host_stole_the_core() -> None:
    core, stolen = Core(237), [0.2, 0.2]

    def measure(calls: int) -> BenchStep:
        if calls > 100 and stolen:
            return step(calls, send_late_p99_ms=50.0, stolen_ratio=stolen.pop())
        return core.measure(calls)

    found = find_knee(measure, SEARCH)
    assert found.held is not None
    assert 232 <= found.held.calls <= 237


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, ""),
        ({"lost": 1}, "lost 1 of 1000 packets"),
        ({"send_late_p99_ms": 5.0}, ""),
        ({"send_late_p99_ms": 5.1}, "send lateness p99 5.1 ms"),
        ({"packets_sent": 989}, "sent 989 of 1000 packets due"),
        ({"packets_sent": 991}, ""),
        ({"cpu_ratio": 0.98}, "98% of the core in use"),
    ],
)
def test_each_criterion_breaks_a_level_and_names_itself(changed: dict[str, float], says: str) -> None:
    assert step(10, **changed).broken_by() == says


def test_memory_a_call_is_the_slope_while_levels_rose() -> None:
    steps = [step(60), step(150), step(300), step(200, rss_mb=999.0)]
    assert memory_slope_mb(steps) == pytest.approx(0.25)
    assert memory_slope_mb(steps[:1]) is None


def capacity(machine: str) -> Capacity:
    return Capacity(
        machine=machine, calls_per_core=500, video_calls_per_core=None, setups_per_s_core=400.0, at_s=1_800_000_000.0
    )


def test_the_last_bench_is_remembered_for_this_machine_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert last_bench() is None
    assert save_capacity(capacity(this_machine().fingerprint)) == capacity_file()
    assert last_bench() == capacity(this_machine().fingerprint)
    save_capacity(capacity("another"))
    assert last_bench() is None
    capacity_file().write_text("{")
    assert last_bench() is None


def test_a_core_that_we_may_not_use_is_refused() -> None:
    with pytest.raises(InputError, match="--core: 4095 is not one of"):
        choose_core(4095)
