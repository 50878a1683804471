"""Loads the matrix's pytest plugin, pytest_plugin/plugin.py."""

from __future__ import annotations

pytest_plugins = ["device_matrix.pytest_plugin.plugin"]
