"""Lists the names that others build on: modules' functions with their parameters, classes with their members.

The list stands in ``public_names.toml`` beside this file, and a test compares it with the code. After a change that is
meant, write it anew with ``python tests/suite/public_names.py``, and say in the changelog what was renamed.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import tomli_w

PROJECT = Path(__file__).resolve().parent.parent.parent
LIST = Path(__file__).with_name("public_names.toml")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_names(source: str) -> list[str]:
    """Returns the public names of a module: those of ``__all__`` where it has one, else all that it defines."""
    body = ast.parse(source).body
    shown = next((_strings(node) for node in body if _names(node) == ["__all__"]), None)
    found = list(_definitions(body, ""))
    if shown is not None:
        defined = [name for name in found if name.partition(".")[0].partition("(")[0] in shown]
        known = {name.partition(".")[0].partition("(")[0] for name in defined}
        found = [*defined, *(name for name in shown if name not in known)]
    return sorted(found)


def _definitions(body: list[ast.stmt], inside: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            shown = f"({', '.join(_parameters(node.args, method=bool(inside)))})"
            is_property = any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list)
            yield f"{inside}{node.name}{'' if is_property else shown}"
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield f"{inside}{node.name}"
            yield from _definitions(node.body, f"{inside}{node.name}.")
        else:
            yield from (f"{inside}{name}" for name in _names(node) if not name.startswith("_"))


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _parameters(arguments: ast.arguments, *, method: bool) -> Iterator[str]:
    positional = [one.arg for one in [*arguments.posonlyargs, *arguments.args]]
    yield from positional[1:] if method and positional[:1] in (["self"], ["cls"]) else positional
    if arguments.vararg:
        yield f"*{arguments.vararg.arg}"
    elif arguments.kwonlyargs:
        yield "*"
    yield from (one.arg for one in arguments.kwonlyargs)
    if arguments.kwarg:
        yield f"**{arguments.kwarg.arg}"


def _strings(node: ast.stmt) -> list[str]:
    return [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def read_module(root: Path, module: str) -> list[str]:
    """Returns the public names of a module by its dotted name; none where there is no such module."""
    path = root.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return public_names(path.read_text(encoding="utf-8")) if path.exists() else []


def read_list(path: Path = LIST) -> dict[str, list[str]]:
    """Reads which names each public module has."""
    return {module: table["names"] for module, table in tomllib.loads(path.read_text(encoding="utf-8")).items()}


def main() -> int:
    """Writes the list anew for the modules that it has."""
    tables = tomllib.loads(LIST.read_text(encoding="utf-8"))
    for module, table in tables.items():
        table["names"] = read_module(PROJECT, module)
        if not table["names"]:
            print(f"{module}: there is no such module. Write its new name into {LIST.relative_to(PROJECT)}.")
            return 1
    LIST.write_text(tomli_w.dumps(tables), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
