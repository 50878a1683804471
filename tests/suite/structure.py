"""Refuses structure that makes the code hard to find one's way in; names every finding with its file and its mending.

Checked are:

- A public class name stands in one module only.
- A function has at most 50 lines, a file 400.
- Nothing imports in a circle, neither modules nor folders.
- No module is called ``utils`` or the like.

Limits and excuses stand in ``structure.toml`` beside this file. The exit code is 0 without findings, else 1.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from import_graph import circles, imports_of, module_name

PROJECT = Path(__file__).resolve().parent.parent.parent
RULES = Path(__file__).with_name("structure.toml")
SOURCES = frozenset({".py", ".js", ".cjs", ".css", ".html"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What ``structure.toml`` says."""

    longest_function_lines: int
    longest_file_lines: int
    refused_names: frozenset[str]
    long_files: Mapping[str, str]
    long_functions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend."""

    place: str
    problem: str
    mending: str


@dataclass(frozen=True, slots=True)
class Code:
    """The modules of all packages, read once."""

    root: Path
    modules: Mapping[str, Path]
    trees: Mapping[str, ast.Module]

    def place(self, module: str, line: int) -> str:
        """Returns where something stands: path and line."""
        return f"{self.modules[module].relative_to(self.root)}:{line}"


def read_rules(path: Path = RULES) -> Rules:
    """Reads limits and excuses."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return Rules(
        longest_function_lines=table["longest_function_lines"],
        longest_file_lines=table["longest_file_lines"],
        refused_names=frozenset(table["refused_names"]),
        long_files=table["long_files"],
        long_functions=table["long_functions"],
    )


def packages_of(root: Path) -> list[str]:
    """Returns the packages that the wheel holds."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    packages: list[str] = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return packages


def read_code(root: Path, packages: list[str]) -> Code:
    """Reads every module of ``packages``."""
    modules = {module_name(path, root): path for package in packages for path in source_files(root, package, {".py"})}
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules.items()}
    return Code(root, modules, trees)


def source_files(root: Path, folder: str, suffixes: Set[str]) -> Iterator[Path]:
    """Yields the source files of a folder, without what was installed into it."""
    for path in sorted((root / folder).rglob("*")):
        if path.suffix in suffixes and "node_modules" not in path.parts and "__pycache__" not in path.parts:
            yield path


def class_names(code: Code) -> Iterator[Finding]:
    """Yields every public class whose name another module's class has, too."""
    places: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for module, tree in code.trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append((module, node.lineno))
    for name, found in sorted(places.items()):
        for module, line in found if len(found) > 1 else ():
            others = ", ".join(code.place(*other) for other in found if other != (module, line))
            yield Finding(
                code.place(module, line),
                f"class {name} stands in another module, too: {others}",
                "name all but one of them after their part of the field",
            )


def long_functions(code: Code, rules: Rules) -> Iterator[Finding]:
    """Yields every function that is too long, its docstring counted."""
    limit = rules.longest_function_lines
    for module, tree in code.trees.items():
        for name, node in _functions(tree, module):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > limit and name not in rules.long_functions:
                yield Finding(
                    code.place(module, node.lineno),
                    f"function {name.rpartition('.')[2]} has {lines} lines (allowed {limit})",
                    "split it, or make a table of what it lists",
                )


def _functions(node: ast.AST, inside: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        name = inside
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{inside}.{child.name}"
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, child
        yield from _functions(child, name)


def import_circles(code: Code) -> Iterator[Finding]:
    """Yields every circle of imports."""
    for circle in circles(imports_of(code.modules, code.trees)):
        first = circle[0]
        way = "; ".join(f"{code.place(one.importer, one.line)} imports {one.imported}" for one in circle)
        yield Finding(
            code.place(first.importer, first.line),
            f"imports go in a circle: {way}",
            "hand in what the lower one needs, or move what both need into a module below them",
        )


def long_files(root: Path, packages: list[str], rules: Rules) -> Iterator[Finding]:
    """Yields every source file that is too long, those of the tests among them."""
    limit = rules.longest_file_lines
    for folder in [*packages, "tests"]:
        for path in source_files(root, folder, SOURCES):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            name = path.relative_to(root).as_posix()
            if lines > limit and name not in rules.long_files:
                yield Finding(
                    f"{name}:1",
                    f"the file has {lines} lines (allowed {limit})",
                    "cut it into files of one idea each, or give its reason in tests/suite/structure.toml",
                )


def refused_names(code: Code, rules: Rules) -> Iterator[Finding]:
    """Yields every module or folder whose name says nothing of its field."""
    for module in code.modules:
        name = module.rpartition(".")[2]
        if rules.refused_names & set(name.split("_")):
            yield Finding(code.place(module, 1), f"the name {name} says nothing", "name it after what it is for")


def idle_excuses(root: Path, code: Code, rules: Rules) -> Iterator[Finding]:
    """Yields every excuse that excuses nothing any more."""
    strict = Rules(rules.longest_function_lines, rules.longest_file_lines, frozenset(), {}, {})
    packages = list(dict.fromkeys(module.split(".")[0] for module in code.modules))
    files = {finding.place.rpartition(":")[0] for finding in long_files(root, packages, strict)}
    functions = {
        name
        for module, tree in code.trees.items()
        for name, node in _functions(tree, module)
        if (node.end_lineno or node.lineno) - node.lineno + 1 > rules.longest_function_lines
    }
    for name in [*(rules.long_files.keys() - files), *(rules.long_functions.keys() - functions)]:
        yield Finding("tests/suite/structure.toml", f"{name} needs no excuse any more", "take its line out")


def check(root: Path, packages: list[str], rules: Rules) -> list[Finding]:
    """Returns every finding."""
    code = read_code(root, packages)
    return [
        *class_names(code),
        *long_functions(code, rules),
        *import_circles(code),
        *long_files(root, packages, rules),
        *refused_names(code, rules),
        *idle_excuses(root, code, rules),
    ]


def main() -> int:
    """Prints every finding; returns the exit code."""
    found = check(PROJECT, packages_of(PROJECT), read_rules())
    for finding in found:
        print(f"{finding.place}: {finding.problem}\n    {finding.mending}")
    if found:
        print(f"\nstructure: {len(found)} things to mend. The limits stand in tests/suite/structure.toml.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
