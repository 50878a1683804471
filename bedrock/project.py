"""Tells where our top packages are: in a checkout, or in site-packages."""

from __future__ import annotations

from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds ``bedrock``, ``calls`` and the other top packages."""
