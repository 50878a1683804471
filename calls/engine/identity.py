"""Says which engine of which run this process is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MATRIX_ROLE = "matrix_engine"
ROLES = ("engine", MATRIX_ROLE)


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """Names the run, the run folder and the writer of this engine's rows."""

    run_folder: Path
    run_id: str
    writer: str
    role: str

    @property
    def source(self) -> str:
        """The ``source`` column of this engine's rows."""
        return "matrix" if self.role == MATRIX_ROLE else "swarm"

    @property
    def peers_are_ours(self) -> bool:
        """Whether both ends of each call run in our engines (swarm). In the matrix the far end is a browser."""
        return self.role != MATRIX_ROLE
