from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.integration
@pytest.mark.parametrize("media", ["audio", "video"])
def test_the_bench_holds_calls_and_loses_nothing(media: str) -> None:
    argv = [sys.executable, "-m", "calls.media.bench", "--calls", "10", "--seconds", "1.5", "--media", media, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=50, check=True)
    engine = json.loads(done.stdout)["engine"]
    assert engine["calls"] == 10
    assert (engine["lost"], engine["dropped"], engine["callback_errors"]) == (0, 0, 0)
    assert engine["packets_sent"] >= 10 * 2 * 50
    assert 0 < engine["cpu_ratio"] < 1
    assert engine["calls_per_core"] > 30
    assert engine["setup_cpu_ms"] < 60
    assert done.stderr == ""
