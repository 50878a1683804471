"""Where a process runs: which machine, which process, and from which address its media reach the target."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from bedrock.errors import EnvironmentLacks

AUTO = "auto"
LOOPBACK = "127.0.0.1"
_DISCARD_PORT = 9
WORKER_NUMBER = "RINGFENCE_WORKER"
"""Environment variable: the number of this worker among those of its run, where somebody numbered them."""
CANNOT_LISTEN = "the Locust master cannot listen for its workers at"
"""How the sentence begins with which a master ends whose port is taken."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def machine_id() -> str:
    """Returns what two processes have in common when each can see the other's process number."""
    return f"{_BOOT_ID.read_text(encoding='utf-8').strip()} {os.readlink('/proc/self/ns/pid')}"


def network_id() -> str:
    """Returns what two processes have in common when a loopback address means the same to both."""
    return f"{_BOOT_ID.read_text(encoding='utf-8').strip()} {os.readlink('/proc/self/ns/net')}"


def process_identity() -> dict[str, Any]:
    """Returns who this process is, for ``is_dead`` in another."""
    process = psutil.Process()
    return {"machine": machine_id(), "pid": process.pid, "born_s": process.create_time()}


def is_dead(one: dict[str, Any]) -> bool:
    """Whether a process is certainly gone. False where nobody can know: on another machine."""
    if one["machine"] != machine_id():
        return False
    try:
        process = psutil.Process(one["pid"])
        return process.create_time() != one["born_s"] or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def media_address(wanted: str, target_url: str) -> str:
    """Returns the address, IPv4 or IPv6, that a worker's calls send and receive on.

    ``auto`` stands for the address that the kernel would reach the target from: loopback for a target on loopback.
    Raises EnvironmentLacks when ``wanted`` is not an address of this machine, or nothing leads to the target.
    """
    if wanted != AUTO:
        with socket.socket(socket.AF_INET6 if ":" in wanted else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((wanted, 0))
            except OSError:
                hint = "'ip addr' lists them; auto finds the one that reaches the target"
                raise EnvironmentLacks(f"--media-address {wanted} is no address of this machine", hint=hint) from None
        return wanted
    host = urlsplit(target_url).hostname or LOOPBACK
    problem: OSError = OSError("it has no address")
    try:
        found = socket.getaddrinfo(host, _DISCARD_PORT, type=socket.SOCK_DGRAM)
    except OSError as error:
        found, problem = [], error
    for family, _, _, _, address in found:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                # Sends nothing: connecting a datagram socket only asks for the route.
                probe.connect(address)
                return str(probe.getsockname()[0])
        except OSError as error:
            problem = error
    raise EnvironmentLacks(f"no way leads from this machine to {host}: {problem.strerror or problem}")


def require_free_port(host: str, port: int) -> None:
    """Raises EnvironmentLacks when nobody can listen at ``host`` and ``port`` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EnvironmentLacks(
                f"the web UI cannot listen at {host or 'every address'}, port {port}: {error.strerror or error}",
                hint="name another port with --web-port, or end the program that has it",
            ) from None


def is_loopback(url: str) -> bool:
    """Whether a URL names the machine that reads it."""
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host.startswith("127.") or host == "::1"
