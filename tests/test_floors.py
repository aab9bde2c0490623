"""Imports go down the floors only, and what is one floor's business is imported nowhere else (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import redraft

ROOT = Path(redraft.__file__).parent

FLOORS = {
    0: [
        "__init__", "addresses", "errors", "ids", "clock", "settings", "options", "inert_options", "option_kinds",
        "config_file", "integers", "levels",
    ],
    1: ["raft", "values", "rdb", "resp", "slots"],
    2: ["storage", "keyspace"],
    3: ["commands"],
    4: ["shard", "cluster"],
    5: ["node"],
    6: ["server"],
    7: ["cli"],
    8: ["__main__"],
}  # fmt: skip
"""What stands on each floor: a package, or a module at the top."""

FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}

ONLY_IN = {
    "trio": {"server"},
    "rocksdict": {"storage"},
    "socket": {"cli", "server"},
    "select": {"server"},
    "threading": {"server"},
    "hiredis": {"resp", "shard"},
    "anycrc": {"rdb"},
}
"""Libraries, and the only packages that may import them. Packages that are sans-IO know none of the first five."""

CLOCKS_AND_CHANCE = {
    "time": {"cli", "server", "storage", "clock"},
    "random": {"commands", "keyspace", "node", "raft", "server", "shard"},
}
"""`random` is imported for the type of what is handed in; only the server makes one that is not seeded."""


def sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def place(path: Path) -> str:
    """The package, or the top module, that a file belongs to."""
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> Iterator[str]:
    """The full names of the modules that a file imports, those for type checking included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_from_lower_floors_and_its_own_place_only(path: Path) -> None:
    here = place(path)
    assert here in FLOOR_OF, f"{here} has no floor"
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "redraft" or len(parts) < 2 or parts[1] == "__version__":
            continue
        there = parts[1]
        lower = FLOOR_OF[there] < FLOOR_OF[here] or FLOOR_OF[here] == FLOOR_OF[there] == 0
        assert lower or there == here, f"{path} imports {name}, which is not below it"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_is_imported_where_it_belongs_only(path: Path) -> None:
    for name in imports(path):
        top = name.partition(".")[0]
        allowed = {**ONLY_IN, **CLOCKS_AND_CHANCE}.get(top)
        assert allowed is None or place(path) in allowed, f"{path} imports {name}"


def test_every_folder_says_what_lives_there() -> None:
    for path in ROOT.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text())) or path.parent == ROOT, path


def test_every_module_opens_with_what_it_is_for() -> None:
    for path in sources():
        assert ast.get_docstring(ast.parse(path.read_text())) or path == ROOT / "__init__.py", path
