"""What the master knows of workers that come, stall, die and ship their records. No processes of Locust here."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import psutil
import pytest
from hand_clock import HandClock
from waiting import HANG_LIMIT_S

from bedrock.errors import EnvironmentLacks
from loadtests.master.liveness import GRACE_S, LivenessChange, WorkerLiveness
from loadtests.records import upload
from loadtests.records.machine import is_dead, machine_id, media_address, process_identity
from loadtests.records.receive import REFUSED, UploadReceiver, has_mark, leave_mark
from loadtests.records.upload import CHUNK_BYTES, RecordUploader
from loadtests.wire.clock_offset import ClockOffset


@pytest.fixture(scope="module", autouse=True)
def hub() -> Iterator[None]:
    """gevent's event loop, which no single test owns."""
    gevent.sleep(0)
    yield
    gevent.get_hub().destroy(destroy_loop=True)


PROJECT = Path(__file__).parents[3]


class Workers:
    """A master as far as liveness looks at it."""

    def __init__(self, count: int) -> None:
        self.clients = {f"w{slot}": SimpleNamespace(id=f"w{slot}", state="running") for slot in range(count)}
        self.clock = HandClock()
        self.liveness = WorkerLiveness(self, {f"w{slot}": slot for slot in range(count)}, self.clock)


def test_a_stalled_worker_is_away_then_back() -> None:
    workers = Workers(2)
    assert workers.liveness.poll() == []
    workers.clients["w1"].state = "missing"
    assert workers.liveness.poll() == [(LivenessChange.AWAY, 1)]
    workers.clock.now_s += GRACE_S - 1
    assert workers.liveness.poll() == []
    workers.clients["w1"].state = "running"
    assert workers.liveness.poll() == [(LivenessChange.BACK, 1)]
    assert workers.liveness.away == set()


def test_a_worker_that_stays_away_is_given_up_and_may_still_come_back() -> None:
    workers = Workers(1)
    workers.clients["w0"].state = "missing"
    assert workers.liveness.poll() == [(LivenessChange.AWAY, 0)]
    workers.clock.now_s += GRACE_S + 1
    assert workers.liveness.poll() == [(LivenessChange.GONE, 0)]
    assert workers.liveness.gone == {0}
    workers.clients["w0"].state = "running"
    assert workers.liveness.poll() == [(LivenessChange.BACK, 0)]
    assert workers.liveness.gone == set()


def test_a_dead_process_of_this_machine_is_given_up_at_once() -> None:
    workers = Workers(1)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    it = {"machine": machine_id(), "pid": child.pid, "born_s": psutil.Process(child.pid).create_time()}
    workers.liveness.identify(0, it)
    assert not is_dead(it)
    assert is_dead({**it, "born_s": it["born_s"] - 60}), "a process number that somebody else has now"
    assert not is_dead({**it, "machine": "another", "pid": 1}), "nobody can know of another machine"
    assert workers.liveness.poll() == []
    child.communicate()
    assert workers.liveness.poll() == [(LivenessChange.AWAY, 0), (LivenessChange.GONE, 0)]
    assert workers.liveness.poll() == [], "Locust has not missed its heartbeats yet, and it is not back"
    assert process_identity()["machine"] == machine_id()


def test_the_surest_exchange_tells_the_offset_of_a_clock() -> None:
    clock = ClockOffset()
    assert clock.best is None
    clock.receive(100.0, 100.5, 100.8)  # slow: 0.4 s either way
    clock.receive(200.0, 200.101, 200.002)  # quick: 1 ms either way, the master 100 ms ahead
    best = clock.best
    assert best is not None
    assert best.offset_ms == pytest.approx(100)
    assert best.uncertainty_ms == pytest.approx(1)
    assert best.is_far_off
    clock.receive(300.0, 300.0004, 300.0008)
    assert clock.best is not None
    assert not clock.best.is_far_off


def test_media_go_where_the_target_is() -> None:
    assert media_address("auto", "http://127.0.0.1:8086") == "127.0.0.1"
    assert media_address("127.0.0.7", "http://127.0.0.1:8086") == "127.0.0.7"
    with pytest.raises(EnvironmentLacks, match=r"192\.0\.2\.7 is no address of this machine"):
        media_address("192.0.2.7", "http://127.0.0.1:8086")
    assert media_address("127.0.0.7", "http://[::1]:8086") == "127.0.0.7"
    with pytest.raises(EnvironmentLacks, match=r"no way leads from this machine to no\.such\.name\.invalid"):
        media_address("auto", "http://no.such.name.invalid:8086")


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this kernel has no IPv6")
def test_media_go_over_ipv6_where_the_target_is_there() -> None:
    assert media_address("auto", "http://[::1]:8086") == "::1"
    assert media_address("::1", "http://[::1]:8086") == "::1"
    with pytest.raises(EnvironmentLacks, match="2001:db8::7 is no address of this machine"):
        media_address("2001:db8::7", "http://[::1]:8086")


class Line:
    """Both ends of shipping, joined by a line that loses what it is told to lose."""

    def __init__(self, worker: Path, master: Path) -> None:
        self.receiver = UploadReceiver(master)
        self.pieces = 0
        self.largest = 0
        self.lose: set[int] = set()
        self.damage: set[int] = set()
        self.uploader = RecordUploader(worker, 1, self.send)

    def send(self, message: str, data: dict[str, Any]) -> None:
        self.pieces += 1
        self.largest = max(self.largest, len(data["data"]))
        if self.pieces in self.damage:
            data = {**data, "data": bytes(len(data["data"]))}
        answer = self.receiver.take(data)
        if self.pieces not in self.lose and answer is not None:
            gevent.spawn(self.uploader.receive, answer["file"], answer["offset"])


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    worker, master = tmp_path / "worker", tmp_path / "master"
    for name in ("calls", "health", "logs"):
        (worker / name).mkdir(parents=True)
    master.mkdir()
    return worker, master


def test_every_file_arrives_whole_over_a_bad_line(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "ANSWER_S", 0.02)
    worker, master = folders
    files = {
        "calls/swarm-1-000000.parquet": b"first" * 100,
        "calls/swarm-1-000001.parquet": bytes(range(256)) * 4000,
        "health/worker-1-000000.parquet": b"",
        "logs/engine-swarm-1.log": b"a line\n",
    }
    for name, data in files.items():
        (worker / name).write_bytes(data)
    (worker / "calls" / ".swarm-1-000002.parquet.99").write_bytes(b"half written")
    line = Line(worker, master)
    line.lose, line.damage = {1, 3}, {4}
    assert line.uploader.finish(10) == []
    assert {name: (master / name).read_bytes() for name in files} == files
    assert line.largest == CHUNK_BYTES
    assert not worker.exists(), "what the master has is not kept twice"
    assert not list(master.glob("*/.*")), "no half file is left"


def test_what_does_not_arrive_stays_and_is_told(folders: tuple[Path, Path]) -> None:
    worker, master = folders
    path = worker / "calls" / "swarm-1-000000.parquet"
    path.write_bytes(b"x")
    line = Line(worker, master)
    line.lose = set(range(1, 1000))
    assert line.uploader.finish(0.05) == [path]
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("name", ["../../etc/cron.d/x.parquet", "calls/../x.parquet", "manifest.json", "calls/.x.log"])
def test_a_file_with_no_place_in_a_run_folder_is_refused(tmp_path: Path, name: str) -> None:
    piece = {"slot": 0, "file": name, "offset": 0, "data": b"x", "last": True, "sum": zlib.crc32(b"x")}
    assert UploadReceiver(tmp_path).take(piece) is None
    assert not list(tmp_path.rglob("*"))


def test_the_masters_full_disk_is_answered_and_not_asked_again(tmp_path: Path) -> None:
    master, worker = tmp_path / "master", tmp_path / "worker"
    master.mkdir()
    (worker / "calls").mkdir(parents=True)
    file = worker / "calls" / "swarm-1-000000.parquet"
    file.write_bytes(b"rows" * 1000)
    (master / "calls").mkdir()
    (master / "calls" / f".{file.name}.part").symlink_to("/dev/full")
    receiver = UploadReceiver(master)
    asked: list[dict[str, Any]] = []

    def send(_message: str, data: dict[str, Any]) -> None:
        asked.append(data)
        answer = receiver.take(data)
        assert answer is not None
        uploader.receive(answer["file"], answer["offset"])

    uploader = RecordUploader(worker, 1, send)
    left = uploader.finish(HANG_LIMIT_S)
    assert [path.name for path in left] == [file.name]
    assert file.exists()
    assert len(asked) == 1
    assert receiver.problem.endswith("cannot be written: No space left on device")
    assert receiver.take(asked[0]) == {"file": f"calls/{file.name}", "offset": REFUSED}


def test_locust_deals_out_its_users_in_the_order_of_the_numbers_that_workers_were_started_with() -> None:
    code = (
        "from loadtests.locust_hooks import number_this_worker; from locust import runners; ids = []\n"
        "for number in (10, 2, 0): number_this_worker(number); ids.append(runners.uuid4().hex)\n"
        "print([ids.index(one) for one in sorted(ids)], len(set(ids)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT).stdout
    assert told == "[2, 1, 0] 3\n"


def test_a_worker_knows_its_masters_disk_by_a_mark(tmp_path: Path) -> None:
    text = leave_mark(tmp_path)
    assert has_mark(tmp_path, text)
    assert not has_mark(tmp_path, "another run's")
    assert not has_mark(tmp_path / "elsewhere", text)
