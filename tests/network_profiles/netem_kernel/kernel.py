"""Boots a kernel with netem as a plain process (user-mode Linux), for machines whose own kernel may have none.

It runs on the host's own file system (read-only, through hostfs), so the Python and packages of these tests run inside
too. It boots in a second or two and needs no root, no disk image and no virtualisation. Programs inside see their own
processes, namespaces and devices, and none of the host's. Its timers are the host's high-resolution ones, as long as
the host has a free core (measured: 0.15 ms late).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bedrock.child_process import spawn

KERNEL = "linux.uml"
MODULES = Path("/usr/lib/uml/modules")
INIT = Path(__file__).parent / "init.sh"
MEMORY_MB = 640
_CPU_INFO = Path("/proc/cpuinfo")
_AS_ONE = ("unshare", "--pid", "--fork", "--kill-child", "sh", "-c", '"$@"; exit "$?"', "sh")
"""The kernel is several processes of the host. In a namespace of their own all end with the first, however we do. That
is a shell: a kernel that panics aborts itself, which the first process of a namespace cannot, and it would try for ever
on a core of its own."""
_AHEAD_OF_OTHERS = ("chrt", "--rr", "2")
"""One rank before links and engines: what runs inside is measured to the millisecond, whatever the other tests do."""


_WITH_AVX = (
    "AVX512F", "AVX512VL", "AVX512BW", "AVX2", "AVX", "FMA", "FMA4", "AVX_Fast_Unaligned_Load", "XSAVEC", "XSAVE",
)  # fmt: skip


class Registers(NamedTuple):
    """What the kernel needs to keep the registers of its processes."""

    launcher: tuple[str, ...] = ()
    """What starts it."""
    environment: tuple[str, ...] = ()
    """What all inside must have in their environment, from the first process on."""


class Finished(NamedTuple):
    """How a command inside ended."""

    exit_code: int
    output: str
    """Of stdout and stderr."""


def missing_prerequisites() -> list[str]:
    """Returns what this machine missing_prerequisites to boot the kernel, a sentence each."""
    missing = []
    if shutil.which(KERNEL) is None or not MODULES.exists():
        missing.append(f"'{KERNEL}' is not on this machine (apt-get install user-mode-linux)")
    if shutil.which("modprobe") is None and shutil.which("modprobe", path="/usr/sbin:/sbin") is None:
        missing.append("'modprobe' is not on this machine (apt-get install kmod)")
    return missing


def run_inside(argv: Sequence[str], folder: Path, *, timeout_s: float) -> Finished:
    """Boots the kernel, runs ``argv`` in it as root, and returns when both have ended.

    ``folder``, an empty one, is the only part of the host that can be written from inside; it is the working folder and
    $TMPDIR there. Raises TimeoutError, with what was said so far, when that takes longer than ``timeout_s``.
    """
    (folder / "argv").write_bytes(b"\0".join(argument.encode() for argument in argv) + b"\0")
    console = folder / "console"
    registers = _registers()
    as_root = (*_AS_ONE, *_AHEAD_OF_OTHERS) if os.geteuid() == 0 else ()
    kernel = spawn(
        "user-mode Linux",
        [
            *as_root, *registers.launcher, KERNEL, f"mem={MEMORY_MB}M", "rootfstype=hostfs", "rootflags=/", "ro",
            "quiet", f"init={INIT}", f"uml_dir={folder}", "con=null", "con0=null,fd:1", f"JOB={folder}",
            f"MODULES={MODULES}", *registers.environment,
        ],
        log_path=console,
    )  # fmt: skip
    try:
        kernel.popen.wait(timeout_s)
    except subprocess.TimeoutExpired:
        said = _read(folder / "output") + _read(console)
        raise TimeoutError(f"not done within {timeout_s:.0f} s inside {KERNEL}:\n{said}") from None
    finally:
        kernel.stop(timeout_s=0.1)
    exit_code = _read(folder / "exit_code").strip()
    if not exit_code:
        raise OSError(f"{KERNEL} ended without running the command:\n{_read(console)}")
    return Finished(int(exit_code), _read(folder / "output"))


def _registers() -> Registers:
    """Returns what is needed where the register state (AMX) is larger than this kernel has room for: it would panic.

    With the classic part of the state alone, the kernel loses the upper halves of AVX registers at every page fault. So
    libc, numpy and OpenSSL are told to do without.
    """
    if "amx_tile" not in _CPU_INFO.read_text():
        return Registers()
    return Registers(
        (sys.executable, str(Path(__file__).parent / "small_registers.py")),
        (
            f"GLIBC_TUNABLES=glibc.cpu.hwcaps=-{',-'.join(_WITH_AVX)}", "NPY_DISABLE_CPU_FEATURES=X86_V3,X86_V4",
            "OPENBLAS_CORETYPE=Nehalem", "OPENSSL_ia32cap=~0x1000000000000000:0",
        ),
    )  # fmt: skip


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
