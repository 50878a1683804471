from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import psutil
import pytest
from real_links import is_running, link_devices, needs_links, stays_after
from waiting import HANG_LIMIT_S, eventually

from bedrock.errors import EnvironmentLacks, InputError
from network_profiles.catalogue.catalogue import load_catalogue
from network_profiles.links import run_command
from network_profiles.links.run_command import run_behind
from network_profiles.links.shaped_link import ShapedLink

pytestmark = [needs_links, pytest.mark.integration]
LTE = load_catalogue()["lte_good"]


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 128 + 15)])
def test_the_commands_exit_code_is_passed_on(script: str, code: int) -> None:
    assert run_behind(LTE, ["sh", "-c", script], 1) == code


def test_the_far_end_is_named_and_answers(capfd: pytest.CaptureFixture[str]) -> None:
    times_ms: list[float] = []

    def is_prompt() -> bool:
        assert run_behind(LTE, ["sh", "-c", "ping -n -c 1 $RINGFENCE_FAR_END"], 1) == 0
        times_ms.append(float(capfd.readouterr().out.partition("time=")[2].partition(" ms")[0]))
        return times_ms[-1] < LTE.rtt_ms + 25

    assert eventually(is_prompt), times_ms
    assert min(times_ms) > LTE.rtt_ms - 25


def test_the_far_end_in_an_argument_is_filled_in() -> None:
    assert run_behind(LTE, ["ping", "-n", "-q", "-c", "1", "$RINGFENCE_FAR_END"], 1) == 0


def test_a_link_that_is_refused_runs_nothing(tmp_path: Path) -> None:
    def refuse(link: ShapedLink) -> None:
        raise EnvironmentLacks(link.device)

    devices = link_devices()
    with pytest.raises(EnvironmentLacks, match=r"rf\d+"):
        run_behind(LTE, ["touch", str(tmp_path / "ran")], 1, before=refuse)
    assert not (tmp_path / "ran").exists()
    assert not stays_after(devices)


def test_the_command_has_our_input() -> None:
    script = (
        "import sys; from network_profiles import load_catalogue\n"
        "from network_profiles.links.run_command import run_behind; "
    )
    script += "sys.exit(run_behind(load_catalogue()['lte_good'], ['grep', '-q', 'typed'], 1))"
    assert subprocess.run([sys.executable, "-c", script], input=b"typed\n", check=False).returncode == 0


def test_no_command_is_an_input_error() -> None:
    with pytest.raises(InputError, match="is missing"):
        run_behind(LTE, [], 1)


def test_an_unknown_command_is_told_before_a_link_is_built() -> None:
    with pytest.raises(EnvironmentLacks, match="no command 'no-such-command'"):
        run_behind(LTE, ["no-such-command"], 1)


ANSWERS_42 = (
    "import os, signal; signal.signal(signal.SIGINT, lambda *_: os._exit(42)); print('up', flush=True)"
    "; [signal.pause() for _ in iter(int, 1)]"
)
INTERRUPTED = """
    import sys
    from network_profiles import load_catalogue
    from network_profiles.links.run_command import run_behind
    sys.exit(run_behind(load_catalogue()["lte_good"], [sys.executable, "-S", "-c", sys.argv[1]], 1))
"""
# Not a shell: one that is signalled while it starts a child may forget its trap.


@pytest.mark.parametrize("to_the_whole_group", [True, False])
def test_an_interrupt_is_the_commands_to_answer(to_the_whole_group: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED), ANSWERS_42],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "up\n"
        family = [one.pid for one in psutil.Process(runner.pid).children(recursive=True)]
        assert len(family) >= 2  # the command, and the daemon of its link
        if to_the_whole_group:
            subprocess.run(["kill", "-INT", "--", f"-{runner.pid}"], check=True)
        else:
            runner.send_signal(signal.SIGINT)
        assert runner.wait(HANG_LIMIT_S) == 42
    assert eventually(lambda: not any(is_running(pid) for pid in family))


def test_an_interrupt_while_the_command_is_being_started_still_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class InterruptedWhileStarting(subprocess.Popen[bytes]):
        def __init__(self, argv: list[str], *, env: dict[str, str]) -> None:
            super().__init__(argv, env=env, stdout=subprocess.PIPE)
            assert self.stdout is not None
            assert self.stdout.readline() == b"up\n"
            self.stdout.close()
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(run_command, "_INTERRUPT_GRACE_S", 0.2)
    with monkeypatch.context() as patched:
        # Only the command's own start is interrupted; the link's daemon has been started by then.
        patched.setattr(
            run_command, "subprocess", types.SimpleNamespace(**vars(subprocess) | {"Popen": InterruptedWhileStarting})
        )
        assert run_behind(LTE, [sys.executable, "-S", "-c", ANSWERS_42], 1) == 42
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
