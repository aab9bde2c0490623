"""kill -9 under load: what was acknowledged is there after the restart, and nothing was applied twice."""

from __future__ import annotations

import importlib.util
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest


def crash_tool() -> ModuleType:
    path = Path(__file__).parents[2] / "tools" / "crash"
    loader = SourceFileLoader("crash_tool", str(path))
    spec = importlib.util.spec_from_loader("crash_tool", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("pipeline", [1, 16])
def test_acknowledged_writes_survive_kill_9_and_are_applied_once(tmp_path: Path, pipeline: int) -> None:
    report = crash_tool().run(tmp_path, rounds=3, clients=8, pipeline=pipeline, seed=20261123 + pipeline)
    assert report.acknowledged > 0
    assert report.lost == 0, report
    assert report.applied_twice == 0, report
