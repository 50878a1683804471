from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bedrock.compiled import CompiledSet
from bedrock.project import PROJECT_ROOT
from network_profiles.links.compiled import LINKS

LINK_AS_JSON = """
import json, random, sys
if sys.argv[1]:
    from bedrock.compiled_finder import serve_from
    serve_from(sys.argv[1])
from network_profiles.model import link
from network_profiles.model.shape import PlainShape
one = link.LinkDirection(PlainShape(800.0, 40.0, 6.0, 0.03, 3.0, 120.0), random.Random("7/down"))
sizes = random.Random(3)
print(link.__file__.endswith(".so"))
print(json.dumps([one.offer(0.008 * n, sizes.randrange(60, 1400)) for n in range(5000)]))
"""


def deliveries(folder: Path | None) -> tuple[str, str]:
    argv = [sys.executable, "-S", "-c", LINK_AS_JSON, str(folder or "")]
    env = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    compiled, packets = subprocess.run(argv, capture_output=True, text=True, check=True, env=env).stdout.splitlines()
    return compiled, packets


def test_a_compiled_link_delivers_packet_for_packet_what_the_interpreted_one_does() -> None:
    folder = LINKS.find()
    if folder is None:
        pytest.skip("no compiled copy of this source: python -m network_profiles.links.compiled")
    interpreted, compiled = deliveries(None), deliveries(folder)
    assert (interpreted[0], compiled[0]) == ("False", "True")
    assert interpreted[1] == compiled[1]


def test_only_a_copy_of_exactly_this_source_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("RINGFENCE_COMPILED", raising=False)
    source = tmp_path / "one.py"
    source.write_text("# first\n")
    made = CompiledSet("test", ("one",), root=tmp_path)
    folder = made._folder()
    folder.mkdir(parents=True)
    assert made.find() is None
    (folder / "whole").touch()
    assert made.find() == folder
    monkeypatch.setenv("RINGFENCE_COMPILED", "0")
    assert made.find() is None
    monkeypatch.delenv("RINGFENCE_COMPILED")
    source.write_text("# changed\n")
    assert made.find() is None
