"""Reports a crash of ringfence: exit code 70, one sentence on stderr, the traceback in a file. Never a verdict.

Python ends with 1 after an uncaught exception, and 1 means that the product failed. So every program of ours runs
inside ``reporting``. This module imports only the standard library and ``bedrock``: link daemons use it, too.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bedrock.errors import RingfenceError
from bedrock.exit_codes import ExitCode
from bedrock.user_cache import cache_folder

RUN_FOLDER = "RINGFENCE_CRASH_FOLDER"
"""Environment variable: the folder of the run that a process belongs to. Children inherit it."""
_LONGEST_REASON = 300


@contextlib.contextmanager
def reporting(program: str) -> Iterator[None]:
    """Turns an uncaught exception into a report and exit code 70. A RingfenceError has its own exit code and
    sentence.
    """
    try:
        yield
    except RingfenceError as error:
        print(f"{program}: {error}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr, flush=True)
        raise SystemExit(int(error.exit_code)) from None
    except Exception as error:
        report(program, error)
        raise SystemExit(int(ExitCode.CRASHED)) from None


def set_run_folder(run_folder: Path | None) -> None:
    """Sets where this process and its later children write tracebacks. None: not in a run folder."""
    if run_folder is None:
        os.environ.pop(RUN_FOLDER, None)
    else:
        os.environ[RUN_FOLDER] = str(run_folder.absolute())


def report(program: str, error: BaseException) -> str:
    """Writes the traceback to a file and prints one sentence on stderr, which it returns. Never raises."""
    import traceback  # here: dozens of link daemons would pay for this import and never need it

    return report_text(program, "".join(traceback.format_exception(error)), why=reason(error))


def report_text(program: str, text: str, *, why: str = "") -> str:
    """Like ``report``, with a traceback that is already text. Its last line is the reason when ``why`` is empty."""
    run_folder = _run_folder()
    file = _write(program, text, run_folder)
    why = why or one_line(text.strip().rpartition("\n")[2])
    sentence = f"{program} crashed. This is a bug in ringfence, not a result of the test: {why}"
    sentence += f"; traceback in {file}" if file is not None else ""
    sentence += f"; run folder {run_folder}" if run_folder is not None else ""
    with contextlib.suppress(Exception):
        print(sentence if file is not None else f"{text.rstrip()}\n{sentence}", file=sys.stderr, flush=True)
    return sentence


def reason(error: BaseException) -> str:
    """Returns the exception in one line that any terminal can show."""
    with contextlib.suppress(Exception):
        return one_line(f"{type(error).__name__}: {error}")
    return type(error).__name__


def one_line(text: str) -> str:
    """Returns text in one line of bounded length, without control characters."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))
    return shown[:_LONGEST_REASON].rstrip(": ")


def traceback_of(pid: int) -> Path | None:
    """Returns the traceback file of process ``pid``, a child of ours; None without one."""
    run_folder = _run_folder()
    beside_database = [run_folder / "service"] if run_folder is not None else []
    for folder in [*_folders(run_folder), *beside_database, _temporary_folder()]:
        with contextlib.suppress(OSError):
            for file in sorted(folder.glob(f"*crash-*-{pid}.txt"), reverse=True):
                return file
    return None


def describe_exit(exit_code: int, pid: int) -> str:
    """Returns how a child of ours ended, as a part of a sentence: exit code, signal, or a crash and its traceback."""
    if exit_code < 0:
        return f"was killed by signal {-exit_code}"
    if exit_code == ExitCode.PASS:
        return "ended in order with exit code 0, as after SIGTERM"
    if exit_code != ExitCode.CRASHED:
        return f"ended with exit code {exit_code}"
    file = traceback_of(pid)
    return "crashed, which is a bug in ringfence" + (f" (traceback in {file})" if file is not None else "")


def ended_by_crash(exit_code: int) -> bool:
    """Returns whether a child of ours crashed: by its own report, or by a signal that we did not send."""
    return exit_code == ExitCode.CRASHED or exit_code < 0


def _run_folder() -> Path | None:
    named = os.environ.get(RUN_FOLDER, "")
    with contextlib.suppress(OSError, ValueError):
        if named and Path(named).is_dir():
            return Path(named)
    return None


def _write(program: str, text: str, run_folder: Path | None) -> Path | None:
    plain = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in program)
    name = f"crash-{plain}-{time.strftime('%Y-%m-%dT%H%M%S')}-{os.getpid()}.txt"
    for folder in _folders(run_folder):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = folder / name
            with file.open("a", encoding="utf-8", errors="backslashreplace") as written:
                written.write(text)
            return file
    with contextlib.suppress(OSError):
        import tempfile

        # Everybody may write there, so the name must not be guessable.
        descriptor, path = tempfile.mkstemp(prefix="ringfence-", suffix=f"-{name}", dir=_temporary_folder())
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as written:
            written.write(text)
        return Path(path)
    return None


def _temporary_folder() -> Path:
    return Path(os.environ.get("TMPDIR") or "/tmp")


def _folders(run_folder: Path | None) -> Iterator[Path]:
    """Yields the folders where a traceback may go, best first."""
    if run_folder is not None:
        yield run_folder / "logs"
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield cache_folder() / "crashes"
