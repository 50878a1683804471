"""The one test of the matrix; plugin.py makes a cell of the plan out of each of its parameters."""

from __future__ import annotations

import pytest

from device_matrix.attempt.worker import Worker
from device_matrix.cells import Cell
from device_matrix.pytest_plugin.plugin import run_cell


def test_cell(cell: Cell, matrix_worker: Worker, request: pytest.FixtureRequest) -> None:
    """A real call from one device over one network does what its scenario asks."""
    run_cell(matrix_worker, cell, request.node)
