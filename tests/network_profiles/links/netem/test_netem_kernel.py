"""The netem backend in a kernel that has it, booted here as a process: see ``netem_kernel/kernel.py``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from changing_profile import FIGURES, figure_names, prove_changing
from netem_kernel.kernel import KERNEL, missing_prerequisites, run_inside
from real_links import needs_links
from waiting import HANG_LIMIT_S, eventually

from bedrock.project import PROJECT_ROOT

TESTS = PROJECT_ROOT / "tests"
HERE = TESTS / "network_profiles"
OF_ANY_LINK = (
    "test_nothing_goes_round_the_link",
    "test_a_closed_link_leaves_no_device_no_process_no_namespace_and_no_claim",
    "test_a_killed_daemon_takes_everything_and_is_told_of",
    "test_a_killed_owner_takes_daemon_and_device_and_the_sweeper_the_rest",
)
"""Those tests of any link in which the backends differ most: the kernel without netem runs them on the other one."""

needs_kernel = pytest.mark.skipif(bool(missing_prerequisites()), reason="; ".join(missing_prerequisites()))
pytestmark = [pytest.mark.integration]


@needs_kernel
@pytest.mark.patient
def test_netem_links_hold_in_a_kernel_that_has_it(tmp_path: Path) -> None:
    pytest_inside = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(PROJECT_ROOT / "pyproject.toml"),
        "--rootdir", str(PROJECT_ROOT), "-o", f"pythonpath={HERE} {TESTS}",
    ]  # fmt: skip
    tests = [f"{HERE / 'links' / 'test_open_link.py'}::{name}" for name in OF_ANY_LINK]
    done = run_inside(
        [*pytest_inside, *tests, str(HERE / "netem_kernel" / "inside_links.py")], tmp_path, timeout_s=HANG_LIMIT_S
    )
    assert done.exit_code == 0, done.output
    assert " passed" in done.output
    assert "skipped" not in done.output


@needs_kernel
@pytest.mark.patient
def test_network_verify_proves_a_lossy_a_slow_and_a_changing_link_of_netem(tmp_path: Path) -> None:
    wanted = ["hspa_lossy", "edge_275g", "rfc8867_variable"]
    argv = [sys.executable, "-m", "ringfence", "network", "verify", "--backend", "netem", "--json", "--budget-s", "3"]
    done = run_inside(["env", f"PYTHONPATH={PROJECT_ROOT}", *argv, *wanted], tmp_path, timeout_s=HANG_LIMIT_S)
    assert done.exit_code == 0, done.output
    proofs = json.loads(done.output[done.output.index("[") :])
    assert [(proof["profile"], proof["backend"], proof["misses"]) for proof in proofs] == [
        (profile, "netem", []) for profile in wanted
    ]


@needs_links  # not a patient one: the kernels of the others would take its processes' turn
def test_a_userspace_link_that_changes_is_what_the_model_says() -> None:
    evidence = prove_changing("userspace")
    assert evidence.backend == "userspace"
    assert evidence.misses == []
    assert figure_names(evidence) >= FIGURES


@needs_kernel
@pytest.mark.patient
def test_a_kernel_that_takes_too_long_is_ended_with_all_its_processes(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="not done within 3 s"):
        run_inside(["sh", "-c", "echo started; exec sleep 600"], tmp_path, timeout_s=3.0)
    assert eventually(lambda: not kernels_of(tmp_path)), kernels_of(tmp_path)


def kernels_of(folder: Path) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if KERNEL in line and str(folder) in line]
