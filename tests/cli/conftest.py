"""A stopped node's directory, and `redraft` run on it in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from redraft.cli.main import main


class Ended(NamedTuple):
    """What a command line came to."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def records(self) -> list[dict[str, Any]]:
        """The objects that it has printed."""
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def redraft(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run the command: `redraft("log", "dump", path)`."""

    def run(*words: object) -> Ended:
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as error:
            status = int(error.code or 0)
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the directory is."""
    return tmp_path / "node"
