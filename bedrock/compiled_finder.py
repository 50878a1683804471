"""Imports compiled modules from a folder. Uses few imports, because processes that must stay small use it, too."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

SUFFIX: str = importlib.machinery.EXTENSION_SUFFIXES[0]
"""File name suffix of a compiled module; the full module name stands before it."""


class CompiledFinder:
    """Finds the compiled modules, and the shared library that they need, in one folder."""

    def __init__(self, folder: str) -> None:
        self._files = {
            name.removesuffix(SUFFIX): os.path.join(folder, name)
            for name in os.listdir(folder)
            if name.endswith(SUFFIX)
        }

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See ``importlib.abc.MetaPathFinder``."""
        file = self._files.get(fullname)
        return None if file is None else importlib.util.spec_from_file_location(fullname, file)


def serve_from(folder: str) -> None:
    """Makes later imports prefer the modules in ``folder`` to their sources. Raises OSError."""
    sys.meta_path.insert(0, CompiledFinder(folder))
