from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from real_links import link_devices, needs_links, stays_after
from waiting import eventually

from network_profiles.bench import link as bench_link
from network_profiles.bench.link import bench, growth
from network_profiles.bench.traffic import AUDIO_PACKETS_PER_S, FRAME_PACKETS, FRAMES_PER_S
from ringfence.__main__ import run_command


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (2, [1, 2]), (24, [1, 2, 4, 8, 16, 24]), (8, [1, 2, 4, 8])])
def test_links_double_up_to_the_most(most: int, counts: list[int]) -> None:
    assert growth(most) == counts


@needs_links
@pytest.mark.integration
def test_links_carry_the_traffic_that_is_stated_and_cost_something() -> None:
    before = link_devices()
    one, two = bench([1, 2], 1.0, backend="userspace")
    assert not stays_after(before)
    each = 2 * (FRAMES_PER_S * FRAME_PACKETS + AUDIO_PACKETS_PER_S)
    assert one.packets_per_s == pytest.approx(each, rel=0.05)
    assert two.packets_per_s == pytest.approx(2 * each, rel=0.05)
    assert (one.lost_packets, two.lost_packets) == (0, 0)
    assert one.core_ratio > 0.0
    assert two.core_ratio > 0.0
    assert 0.0 < one.delay_error_p50_ms <= one.delay_error_p99_ms
    assert one.memory_mb_per_link > 1.0


def test_the_cpu_time_of_all_links_is_summed() -> None:
    with subprocess.Popen(["sh", "-c", "kill -STOP $$; :"]) as stopped:
        assert eventually(lambda: " (sh) T " in Path(f"/proc/{stopped.pid}/stat").read_text())
        link = cast(Any, SimpleNamespace(pid=stopped.pid))
        spent_s = bench_link._cpu_s([link])
        assert spent_s > 0
        assert bench_link._cpu_s([link] * 3) == pytest.approx(3 * spent_s)
        stopped.send_signal(signal.SIGKILL)


@needs_links
@pytest.mark.integration
def test_the_bench_goes_into_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["bench", "link", "--max", "1", "--seconds", "1", "--backend", "userspace", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [step["links"] for step in printed["steps"]] == [1]
    assert printed["steps"][0]["backend"] == "userspace"
    assert "packets/s" in printed["traffic"]
