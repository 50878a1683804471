"""Checks the machine, one function a check. No check changes anything."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bedrock.child_environment import home_folder
from bedrock.errors import EnvironmentLacks
from bedrock.short_command import run_and_read
from bedrock.user_folder import tmpdir_problem, user_folder
from calls.records.record import Tier
from device_matrix.cpu import cpu_limit
from device_matrix.drivers.appium_server import appium_modules
from network_profiles.links import private_network, rootless
from network_profiles.links.backends import BACKEND_NAMES, backend
from ringfence.doctor.finding import Finding
from ringfence.doctor.tuning import check_tuning

MINIMUM_DESCRIPTORS = 4096
"""Far more than 100 calls need: two UDP sockets and two WebSockets each, and some logs and pipes."""

EMPTY_TOP_GROUP = (
    "mkdir /sys/fs/cgroup/init && for pid in $(cat /sys/fs/cgroup/cgroup.procs); do "
    "echo $pid > /sys/fs/cgroup/init/cgroup.procs; done"
)
"""Moves a container's processes out of its top control group."""
SHARED_MEMORY = "/dev/shm"

SWARM = frozenset({Tier.PACKETS, Tier.MEDIA})
BROWSER = frozenset({Tier.BROWSER})


def check_python() -> Finding:
    """Python 3.11 or newer."""
    ok = sys.version_info >= (3, 11)
    return Finding("Python", ok, sys.version.split()[0], "" if ok else "apt-get install python3.11", SWARM | BROWSER)


def check_root() -> Finding:
    """Root, or a user namespace in its place, for namespaces, TUN devices and control groups. Never stops a run."""
    if os.geteuid() == 0:
        detail = "root of a user namespace" if rootless.in_user_namespace() else "root"
        return Finding("rights", True, detail)
    missing = rootless.missing_prerequisites()
    user = f"user id {os.geteuid()}"
    if not missing:
        detail = f"{user}: links and browsers run in a user namespace; browsers run without CPU limits"
        return Finding("rights", True, detail)
    return Finding("rights", False, f"{user}, no shaped links: {'; '.join(missing)}", "sudo make run")


def check_links() -> list[Finding]:
    """Tries both backends of shaped links, and says which of them a run uses by default."""
    if os.geteuid() != 0:
        return []  # a run tries them in its user namespace; without one it uses the browser's own emulation
    missing = {name: backend(name).missing_prerequisites() for name in BACKEND_NAMES}
    usable = [name for name in BACKEND_NAMES if not missing[name]]
    findings = []
    for name in BACKEND_NAMES:
        title = f"{name} links"
        if missing[name]:
            blocked = frozenset() if usable or rootless.in_user_namespace() else BROWSER
            findings.append(Finding(title, False, "; ".join(missing[name]), "", blocked))
        else:
            how = "used by default" if name == usable[0] else f"usable with --backend {name}"
            findings.append(Finding(title, True, how))
    return findings


def check_programs() -> list[Finding]:
    """Programs on PATH."""
    wanted = [
        ("ip", "iproute2", BROWSER),
        ("nsenter", "util-linux", BROWSER),
        ("setpriv", "util-linux", SWARM | BROWSER),
        ("chromium", "chromium", BROWSER),
        ("chromedriver", "chromium-driver", BROWSER),
        ("node", "nodejs", BROWSER),
    ]
    return [_program(name, package, tiers) for name, package, tiers in wanted]


def check_appium() -> Finding:
    """The Appium server and its Chromium driver, from the committed package.json."""
    modules = appium_modules()
    detail = ", ".join(f"{name} {version}" for name, version in modules.items()) or "not installed"
    return Finding("Appium", len(modules) == 2, detail, "" if len(modules) == 2 else "make setup", BROWSER)


def check_cpu_limit() -> Finding:
    """A cgroup controller for CPU quotas."""
    missing = cpu_limit.missing_prerequisites()
    if not missing:
        return Finding("CPU limits", True, f"cgroup {cpu_limit.cpu_controller()}")
    if os.geteuid() == 0 and not rootless.in_user_namespace():
        if cpu_limit.is_occupied():
            return Finding("CPU limits", False, "; ".join(missing), EMPTY_TOP_GROUP, BROWSER)
        return Finding("CPU limits", False, "; ".join(missing), "mount -t cgroup2 none /sys/fs/cgroup", BROWSER)
    return Finding("CPU limits", False, f"browsers run without CPU limits: {'; '.join(missing)}", "sudo make run")


def check_private_network() -> Finding:
    """A private network for Appium and chromedriver, which obey anybody who connects."""
    missing = private_network.missing_prerequisite()
    if not missing:
        return Finding("Appium's network", True, "private: no other user of this machine can reach it")
    if os.geteuid() != 0 and not rootless.missing_prerequisites():
        return Finding("Appium's network", True, "private, in the user namespace")
    return Finding("Appium's network", False, f"cells with Appium cannot run: {missing}", "sudo make run")


def check_temporary_files() -> Finding:
    """A private folder for sockets, browser profiles and records of remote workers."""
    try:
        folder = user_folder()
    except EnvironmentLacks as error:
        return Finding("temporary files", False, error.message, error.hint, SWARM | BROWSER)
    why = tmpdir_problem()
    detail = f"{folder}; TMPDIR is not used: {why}" if why else str(folder)
    return Finding("temporary files", True, detail)


def check_home() -> Finding:
    """A home folder, for caches."""
    home = home_folder()
    named = os.environ.get("HOME", "")
    if str(home) == named:
        return Finding("home folder", True, named)
    why = f"HOME is {named}, which this user cannot enter" if named else "HOME is not set"
    return Finding("home folder", True, f"{why}: using {home} instead")


def check_shared_memory() -> Finding:
    """``/dev/shm``, which DuckDB, Chromium and Python's libraries use."""
    ok = os.path.isdir(SHARED_MEMORY) and os.access(SHARED_MEMORY, os.W_OK)
    if ok:
        return Finding("shared memory", True, SHARED_MEMORY)
    detail = f"{SHARED_MEMORY} cannot be written; browsers use temporary files instead"
    return Finding("shared memory", False, detail, f"mount -t tmpfs none {SHARED_MEMORY}")


def check_descriptors() -> Finding:
    """The limit on open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ok = soft >= MINIMUM_DESCRIPTORS or hard >= MINIMUM_DESCRIPTORS
    return Finding(
        "open files", ok, f"{soft} (hard limit {hard})", "" if ok else f"ulimit -n {MINIMUM_DESCRIPTORS}", SWARM
    )


def check_phones() -> list[Finding]:
    """Android emulators and phones that ``adb`` sees. Both are optional."""
    if shutil.which("adb") is None:
        tiers = frozenset({Tier.EMULATOR, Tier.DEVICE})
        return [Finding("Android devices", False, "adb is not installed", "apt-get install adb", tiers)]
    listed = run_and_read(["adb", "devices"], timeout_s=20).stdout
    serials = [line.split("\t")[0] for line in listed.splitlines() if line.endswith("\tdevice")]
    emulators = [serial for serial in serials if serial.startswith("emulator-")]
    phones = [serial for serial in serials if serial not in emulators]
    return [
        _attached("Android emulators", emulators, "emulator -avd NAME", Tier.EMULATOR),
        _attached("Android phones", phones, "adb connect PHONE", Tier.DEVICE),
    ]


def run_checks() -> list[Finding]:
    """Runs every check and returns the findings."""
    single: list[Callable[[], Finding]] = [check_python, check_root]
    findings = [check() for check in single]
    findings += check_links()
    findings += check_programs()
    findings += [check_appium(), check_private_network(), check_cpu_limit(), check_descriptors()]
    findings += [check_temporary_files(), check_home(), check_shared_memory()]
    return findings + check_tuning() + check_phones()


def runnable_tiers(findings: list[Finding]) -> list[Tier]:
    """Returns the tiers that this machine can run."""
    blocked = {tier for finding in findings if not finding.ok for tier in finding.tiers}
    return [tier for tier in Tier if tier not in blocked]


def _program(name: str, package: str, tiers: frozenset[Tier]) -> Finding:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        return Finding(name, False, "not installed", f"apt-get install {package}", tiers)
    return Finding(name, True, str(Path(path)), "", tiers)


def _attached(name: str, serials: list[str], fix: str, tier: Tier) -> Finding:
    return Finding(name, bool(serials), ", ".join(serials) or "none", "" if serials else fix, frozenset({tier}))
