"""``locust -f loadtests/locustfile.py``: the swarm, with Locust's web UI or without, in one process or in many.

Nothing is started when this file is imported: Locust forks ``--processes`` after the import.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Locust runs this file by its path, from any folder: the packages beside it must be found.
sys.path.insert(0, str(Path(__file__).parent.parent))

from bedrock import crash

with crash.told("locust"):
    from loadtests.life_cycle import install
    from loadtests.shape import WholeSwarm
    from loadtests.users import Person, Probe

    install()

__all__ = ["Person", "Probe", "WholeSwarm"]
