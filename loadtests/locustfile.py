"""``locust -f loadtests/locustfile.py``: the swarm, with Locust's web UI or without, in one process or in many.

Nothing is started when this file is imported: Locust forks ``--processes`` after the import.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Locust runs this file by its path, from any folder: the packages beside it must be found. It has put the working
# directory before them, where a file named as one of ours would be taken instead; and it drops the first entry again.
_HERE = Path(__file__).parent
_OTHERS = [entry for entry in sys.path if Path(entry).absolute() not in (Path.cwd(), _HERE, _HERE.parent)]
sys.path[:] = [str(_HERE), str(_HERE.parent), *_OTHERS]

from bedrock import crash  # noqa: E402

with crash.reporting("locust"):
    from loadtests.locust_hooks import install
    from loadtests.user_shape import WholeSwarm
    from loadtests.users import Person, Probe

    install()

__all__ = ["Person", "Probe", "WholeSwarm"]
