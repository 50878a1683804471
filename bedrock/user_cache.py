"""Finds the user's cache folder (XDG base directories), for files that can be made again."""

from __future__ import annotations

import os
from pathlib import Path

from bedrock.child_environment import home_folder


def cache_folder() -> Path:
    """Returns our folder in the user's cache. It may not exist yet."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if root.startswith("/") else home_folder() / ".cache") / "ringfence"
