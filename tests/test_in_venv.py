"""tools/in_venv.py: a command of tools/ runs by the clone's own Python, whatever it was called with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"
MAKES_VENV = """#!/bin/sh
echo "venv $1"
mkdir -p "$(dirname "$0")/../.venv/bin"
ln -sf {python} "$(dirname "$0")/../.venv/bin/python"
"""
PROBE = """import sys
from in_venv import enter
enter()
print(sys.executable, *sys.argv[1:])
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with a command, and a tools/venv that only says that it was called."""
    tools = tmp_path.resolve() / "tools"
    tools.mkdir()
    shutil.copy(TOOLS / "in_venv.py", tools)
    (tools / "venv").write_text(MAKES_VENV.format(python=sys.executable))
    (tools / "venv").chmod(0o755)
    (tools / "probe").write_text(PROBE)
    return tools.parent


def called(clone: Path, python: str | Path = sys.executable, **environment: str) -> tuple[int, list[str]]:
    """The exit status and the output of the command."""
    command = [python, clone / "tools" / "probe", "--seed", "7"]
    kept = {name: value for name, value in os.environ.items() if name != "REDRAFT_TOOL"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**kept, **environment})
    return done.returncode, done.stdout.splitlines()


def test_the_venv_is_made_and_the_command_goes_on_in_it_with_its_arguments(clone: Path) -> None:
    assert called(clone) == (0, ["venv test", f"{clone}/.venv/bin/python --seed 7"])


def test_in_the_venv_nothing_is_made(clone: Path) -> None:
    called(clone)
    assert called(clone, clone / ".venv" / "bin" / "python") == (0, [f"{clone}/.venv/bin/python --seed 7"])


def test_a_copy_of_the_sources_has_no_venv(clone: Path) -> None:
    assert called(clone, REDRAFT_TOOL="1") == (0, [f"{sys.executable} --seed 7"])


def test_where_no_venv_can_be_made_the_command_does_not_begin(clone: Path) -> None:
    (clone / "tools" / "venv").write_text("#!/bin/sh\necho no python\nexit 1\n")
    assert called(clone) == (1, ["no python"])
