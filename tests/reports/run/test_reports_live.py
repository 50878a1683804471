from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from waiting import HANG_LIMIT_S

from reports.run.live import LiveReader, LiveWriter


def test_events_are_read_once_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "live" / "swarm.jsonl"
    reader = LiveReader(path)
    assert reader.read_new() == []
    writer = LiveWriter(path)
    writer.emit("second", at_s=1.5, users=3)
    writer.emit("end")
    assert reader.read_new() == [{"event": "second", "at_s": 1.5, "users": 3}, {"event": "end"}]
    assert reader.read_new() == []


def test_a_half_written_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "matrix.jsonl"
    reader = LiveReader(path)
    path.write_bytes(b'{"event": "start", "ce')
    assert reader.read_new() == []
    with path.open("ab") as file:
        file.write(b'll": "a"}\n')
    assert reader.read_new() == [{"event": "start", "cell": "a"}]


def test_lines_that_are_no_objects_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "matrix.jsonl"
    path.write_bytes(b'nonsense\n[1]\n{"event": "end"}\n')
    assert LiveReader(path).read_new() == [{"event": "end"}]


def test_lines_of_several_processes_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "matrix.jsonl"
    program = (
        "import sys; from pathlib import Path; from reports.run.live import LiveWriter\n"
        "writer = LiveWriter(Path(sys.argv[1]))\n"
        "for number in range(200): writer.emit('start', cell=sys.argv[2] * 300, number=number)"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, str(path), letter]) for letter in "abc"]
    assert [process.wait(HANG_LIMIT_S) for process in processes] == [0, 0, 0]
    events = LiveReader(path).read_new()
    assert len(events) == 600
    for letter in "abc":
        assert [event["number"] for event in events if event["cell"] == letter * 300] == list(range(200))
