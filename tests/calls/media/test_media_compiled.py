"""The compiled packet path: the same source in not quite the same language, so it passes the same tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from calls.compiled import PACKETS

HERE = Path(__file__).parent
PROGRAM = """
import sys
from calls import compiled
assert compiled.use()
import calls.media.ice.transport
assert not calls.media.ice.transport.__file__.endswith(".py")
import pytest
sys.exit(pytest.main(["-q", "-n", "0", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


@pytest.mark.integration
@pytest.mark.skipif(PACKETS.find() is None, reason="nothing is compiled here: 'make setup' does it, given a C compiler")
def test_compiled_legs_pass_the_tests_of_legs() -> None:
    files = [str(HERE / name) for name in ("test_media_leg.py", "test_media_packets.py")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *files], cwd=HERE.parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
