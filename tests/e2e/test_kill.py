"""kill -9 under load: what was acknowledged is there after the restart, and nothing was applied twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tools import load


@pytest.mark.parametrize("pipeline", [1, 16])
def test_acknowledged_writes_survive_kill_9_and_are_applied_once(tmp_path: Path, pipeline: int) -> None:
    report = load("crash").run(tmp_path, rounds=3, clients=8, pipeline=pipeline, seed=20261123 + pipeline)
    assert report.acknowledged > 0
    assert report.lost == 0, report
    assert report.applied_twice == 0, report
