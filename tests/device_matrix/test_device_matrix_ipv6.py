"""A cell against a service on IPv6: in a module of its own, for one process has one Playwright at a time."""

from __future__ import annotations

from pathlib import Path

from test_device_matrix_cells import PLAYWRIGHT_CELL, legs_of, matrix_worker, require_whole_call, run
from test_device_matrix_cells import pytestmark as needs_a_matrix

pytestmark = needs_a_matrix


def test_a_target_on_ipv6_is_called_over_the_same_links(tmp_path: Path) -> None:
    """The far end signs in by IPv6; the device reaches the service at its link's own address, which is IPv4."""
    with matrix_worker(tmp_path, with_appium=False, host="::1") as worker:
        assert worker.settings.target_url.startswith("http://[::1]:")
        result = run(worker, PLAYWRIGHT_CELL)
        require_whole_call(worker, result)
        assert len(legs_of(worker, result.call_id)) == 2
