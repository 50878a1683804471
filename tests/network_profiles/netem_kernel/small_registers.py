"""Starts a program that cannot read the whole register state of its children, and so falls back to the classic part.

User-mode Linux 6.1 keeps 2.7 kB for the registers of a process. A processor with AMX has 11 kB of them: the kernel
panics at its first process ("put_fp_registers"). Where the request for the whole state (PTRACE_GETREGSET) fails, it
uses the request for the classic part (PTRACE_GETFPREGS) instead, as on old processors. A seccomp filter lets it fail.

    python small_registers.py PROGRAM [ARGUMENT …]
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

PTRACE_GETREGSET = 0x4204
SYSCALL_PTRACE_X86_64 = 101
AUDIT_ARCH_X86_64 = 0xC000003E
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
"""Classic BPF: load a word of the call, compare it with a constant, answer."""
NUMBER_AT, ARCH_AT, FIRST_ARGUMENT_AT = 0, 4, 16
"""Offsets in ``struct seccomp_data``."""
ALLOW, FAIL = 0x7FFF0000, 0x00050000

PROGRAM = (
    (LOAD, 0, 0, ARCH_AT),
    (IF_EQUAL, 0, 5, AUDIT_ARCH_X86_64),
    (LOAD, 0, 0, NUMBER_AT),
    (IF_EQUAL, 0, 3, SYSCALL_PTRACE_X86_64),
    (LOAD, 0, 0, FIRST_ARGUMENT_AT),
    (IF_EQUAL, 0, 1, PTRACE_GETREGSET),
    (RETURN, 0, 0, FAIL | errno.EIO),
    (RETURN, 0, 0, ALLOW),
)


class FilterProgram(ctypes.Structure):
    """The kernel's ``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_whole_register_state() -> None:
    """Lets PTRACE_GETREGSET fail with EIO in this process and all it starts. Raises OSError where that is refused."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in PROGRAM)
    libc = ctypes.CDLL(None, use_errno=True)
    program = FilterProgram(len(PROGRAM), code)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "the kernel took no seccomp filter")


if __name__ == "__main__":
    if platform.machine() == "x86_64":
        refuse_whole_register_state()
    os.execvp(sys.argv[1], sys.argv[1:])
