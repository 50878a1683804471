"""Reads who imports whom among modules, every kind of import among them, and finds the circles.

Imports inside functions and under ``TYPE_CHECKING`` count too: they tie two modules together as much as others do.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Import:
    """One import of one module by another."""

    importer: str
    imported: str
    path: Path
    line: int


def module_name(path: Path, root: Path) -> str:
    """Returns the dotted name of a file; a package goes by its folder's name."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(modules: Mapping[str, Path], trees: Mapping[str, ast.Module]) -> Iterator[Import]:
    """Yields every import of one of ``modules`` by another."""
    for importer, tree in trees.items():
        path = modules[importer]
        package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = _base(node, package)
                names = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base for alias in node.names]
            else:
                continue
            for name in dict.fromkeys(names):
                if name in modules and name != importer:
                    yield Import(importer, name, path, node.lineno)


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def circles(imports: Iterable[Import]) -> list[list[Import]]:
    """Returns one shortest circle for each knot of modules, and of rooms: folders that import each other.

    Rooms are compared with their siblings only. A package's ``__init__`` is the package, and no sibling of its modules.
    """
    levels: dict[str, dict[tuple[str, str], Import]] = {"": {}}
    for one in imports:
        levels[""].setdefault((one.importer, one.imported), one)
        shared = _shared_parent(one)
        if shared is not None:
            siblings = (_child(one.importer, shared), _child(one.imported, shared))
            levels.setdefault(shared, {}).setdefault(siblings, one)
    # Two modules of one folder that import each other are a circle of modules and one of siblings: it is told once.
    return list({frozenset(circle): circle for edges in levels.values() for circle in _circles(edges)}.values())


def _shared_parent(one: Import) -> str | None:
    """Returns the package that both modules stand in, or None where one of them is that package, or there is none."""
    importer, imported = one.importer.split("."), one.imported.split(".")
    depth = 0
    while depth < min(len(importer), len(imported)) and importer[depth] == imported[depth]:
        depth += 1
    return ".".join(importer[:depth]) if 0 < depth < min(len(importer), len(imported)) else None


def _child(module: str, parent: str) -> str:
    return ".".join(module.split(".")[: parent.count(".") + 2])


def _circles(edges: Mapping[tuple[str, str], Import]) -> Iterator[list[Import]]:
    """Yields a shortest circle through each node, leaving out nodes that stand in one already."""
    graph: dict[str, list[str]] = {}
    for importer, imported in sorted(edges):
        graph.setdefault(importer, []).append(imported)
    seen: set[str] = set()
    for start in sorted(graph):
        way = None if start in seen else _way_back(graph, start)
        if way:
            seen.update(way)
            yield [edges[pair] for pair in zip(way, [*way[1:], start], strict=True)]


def _way_back(graph: Mapping[str, list[str]], start: str) -> list[str] | None:
    before: dict[str, str] = {}
    queue = [start]
    for node in queue:
        for other in graph.get(node, ()):
            if other == start:
                way = [node]
                while way[0] != start:
                    way.insert(0, before[way[0]])
                return way
            if other not in before:
                before[other] = node
                queue.append(other)
    return None
