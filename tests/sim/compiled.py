"""The simulator and what it simulates, compiled to C by mypyc: the same runs, to the last byte, twice as fast or more.

A copy of the sources is compiled once and kept below `build/`, under a digest of them; what changes them makes a new
one. mypyc cannot make a msgspec.Struct: modules with such classes stay as they are, but in the copy those of `SPLIT`
give theirs to a module beside them first. So do the few that do what mypyc has no words for (`UNCOMPILED`). A run has
the same digest as an uncompiled one; that is tried before a copy is used at all.

It takes some minutes, a C compiler and setuptools: it is for many hours of virtual time.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from sim.mutations import copy_sources, simulate

FOLDERS = ("raft", "resp", "keyspace", "shard", "cluster", "node")
"""Of redraft: what runs at each event."""
SPLIT = frozenset(
    {
        "redraft/cluster/config_group.py",
        "redraft/keyspace/keyspace.py",
        "redraft/node/peers.py",
        "redraft/raft/membership.py",
        "redraft/shard/shard.py",
        "tests/sim/disk.py",
    }
)
"""Modules that are compiled without their Structs and enumerations."""
TRIAL = ("--seeds", "1002", "--minutes-virtual", "0.2")
STRUCT = "(msgspec.Struct"
UNCOMPILED = frozenset(
    {
        "redraft/resp/reply.py",  # inherits from built-in types
        "tests/sim/mutations.py",
        "tests/sim/compiled.py",
        "tests/sim/shell.py",
        "tests/sim/page.py",
        "tests/sim/chaos.py",  # inherits from several classes
        "tests/sim/settings_chaos.py",
        "tests/sim/forgetting_chaos.py",
        "tests/sim/late_chaos.py",
        "tests/sim/directory_chaos.py",
        "tests/sim/drawing.py",  # walks what hypothesis does not export
        "tests/sim/any_commands.py",
    }
)
CONFIG = """
[tool.mypy]
strict = true
python_version = "{version}"
mypy_path = "tests"
implicit_reexport = true
ignore_missing_imports = true
warn_unused_ignores = false
disable_error_code = ["type-arg", "no-any-return"]

[[tool.mypy.overrides]]
module = ["support.*", "oracle.*"]
ignore_errors = true
"""
SETUP = """
from mypyc.build import mypycify
from setuptools import setup

setup(name="simulator", packages=[], package_dir={{"sim": "tests/sim"}}, ext_modules=mypycify(
    ["--config-file", "pyproject.toml", *{files!r}], opt_level="1", debug_level="0",
))
"""


class CompileError(Exception):
    """There is no compiled simulator."""


def compiled(root: Path, tell: Callable[[str], None]) -> Path:
    """The root of the compiled copy of a repository's sources; made now if it is not there. Raises CompileError."""
    whole = blake2b(f"{sys.version} {version('mypy')}".encode(), digest_size=8)
    for path in _sources(root):
        whole.update(path.read_bytes())
    copy = root / "build" / f"simulator-{whole.hexdigest()}"
    if copy.exists():
        return copy
    making = copy.with_suffix(".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    copy_sources(root, making)
    files = [str(path.relative_to(making)) for path in _sources(making)]
    files = [file for file in files if file.startswith("tests/sim/") or file.split("/")[1] in FOLDERS]
    files = [file for file in files if file not in UNCOMPILED and not file.endswith("__init__.py")]
    for file in [file for file in files if STRUCT in (making / file).read_text()]:
        if file in SPLIT:
            move_structs(making, file)
        else:
            files.remove(file)
    (making / "pyproject.toml").write_text(CONFIG.format(version=f"{sys.version_info[0]}.{sys.version_info[1]}"))
    (making / "setup.py").write_text(SETUP.format(files=files))
    tell(f"{len(files)} modules are compiled; that takes some minutes")
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    environment = {**os.environ, "MYPYPATH": "tests"}
    done = subprocess.run(command, cwd=making, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise CompileError(f"mypyc has failed in {making}:\n{(done.stdout + done.stderr)[-4000:]}")
    runs = [re.sub(" s in .* CPU", "", simulate(each, *TRIAL).stdout.splitlines()[0]) for each in (root, making)]
    if runs[0] != runs[1]:
        raise CompileError(f"what was compiled in {making} does something else:\n{runs[0]}\n{runs[1]}")
    making.rename(copy)
    return copy


def _sources(root: Path) -> Iterator[Path]:
    for folder in ("redraft", "tests/sim"):
        for path in sorted((root / folder).rglob("*.py")):
            if not path.name.startswith("test_"):
                yield path


def move_structs(copy: Path, file: str) -> None:
    """Move the Structs and enumerations of a module to one beside it."""
    path = copy / file
    module = ast.parse(path.read_text())
    lines = path.read_text().splitlines(keepends=True)
    moved = [node for node in module.body if isinstance(node, ast.ClassDef) and _is_moved(node)]
    imports = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {each.id for node in moved for each in ast.walk(node) if isinstance(each, ast.Name)}
    needed = [node for node in module.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in names]
    text = "".join("".join(lines[node.lineno - 1 : node.end_lineno]) + "\n\n" for node in [*imports, *needed, *moved])
    path.with_name(f"{path.stem}_structs.py").write_text(text)
    for node in reversed(moved):
        lines[node.lineno - 1 : node.end_lineno] = []
    name = file.removeprefix("tests/").removesuffix(".py").replace("/", ".")
    lines.insert(imports[-1].end_lineno or 0, f"from {name}_structs import {', '.join(node.name for node in moved)}\n")
    path.write_text("".join(lines))


def _is_moved(node: ast.ClassDef) -> bool:
    return bool(node.bases) and ast.unparse(node.bases[0]) in ("msgspec.Struct", "enum.IntEnum")
