"""Makes the folder a pytest run of its own: see plugin.py."""

from __future__ import annotations

pytest_plugins = ["device_matrix.pytest_plugin.plugin"]
