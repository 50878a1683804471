"""Holds the one test of the matrix; pytest_plugin/plugin.py gives it each cell of the plan as a parameter."""

from __future__ import annotations

import pytest

from device_matrix.attempt.worker import Worker
from device_matrix.cells import Cell
from device_matrix.pytest_plugin.cell_run import run_cell


def test_cell(cell: Cell, matrix_worker: Worker, request: pytest.FixtureRequest) -> None:
    """Places a real call from one device over one network, and checks it by its scenario."""
    run_cell(matrix_worker, cell, request.node.user_properties)
