from __future__ import annotations

import os
import subprocess
import sys

import pytest
from real_links import needs_links

from bedrock.project import PROJECT_ROOT

pytestmark = [needs_links, pytest.mark.integration]

LEAK_CHECK = PROJECT_ROOT / "tests" / "network_profiles" / "leak_check.py"
TESTS = LEAK_CHECK.parent.parent
ALONE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]


def test_nothing_is_left_however_a_link_ends() -> None:
    env = {**os.environ, "PYTHONPATH": f"{PROJECT_ROOT}:{TESTS}"}
    done = subprocess.run(
        [*ALONE, sys.executable, str(LEAK_CHECK)], capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 0, done.stdout + done.stderr
    left = [line for line in done.stdout.splitlines() if " left: " in line]
    assert len(left) == 6 * 5
    assert [line for line in left if not line.endswith("left: none")] == []
    # Whoever is killed cannot clean up: there the sweeper had something to do.
    assert "process" in done.stdout.partition("owner killed:")[2].partition("daemon killed:")[0]
