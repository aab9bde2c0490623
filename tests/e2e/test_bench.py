"""tools/bench: a small run measures a real server and writes down what it found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "tools" / "bench"
RUN_SECONDS = 120


@pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="redis-benchmark is not installed")
def test_the_bench_tool_measures_redraft_and_writes_the_figures_as_json(tmp_path: Path) -> None:
    written, data = tmp_path / "bench.json", tmp_path / "data"
    data.mkdir()
    options = ["--requests", "500", "--rounds", "1", "--pipelines", "1", "--tests", "ping"]
    command = [sys.executable, str(BENCH), *options, "--json", str(written), "--directory", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    found = json.loads(written.read_text())
    runs = [run for run in found["runs"] if run["server"] == "redraft"]
    assert [(run["test"], run["requests"]) for run in runs] == [("ping_inline", 500), ("ping_mbulk", 500)]
    for run in runs:
        assert run["requests_per_s"] > 0
        assert 0 < run["p50_ms"] <= run["p99_ms"]
    medians = [run["requests_per_s"] for run in found["medians"] if run["server"] == "redraft"]
    assert medians == [run["requests_per_s"] for run in runs], "the median of one round is that round"
    assert list(data.iterdir()) == [], "the servers' directories are gone"


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_the_bench_tool_compares_heavy_commands(tmp_path: Path) -> None:
    written = tmp_path / "heavy.json"
    command = [BENCH, "--heavy", "--members", "500", "--seconds", "0.01", "--only", "geo-count,sort-by,pfmerge"]
    done = subprocess.run([*command, "--json", written], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(written.read_text())
    assert list(found) == ["geo-count", "sort-by", "pfmerge"]
    assert all(case["redraft"]["cpu_us"] > 0 and case["redis"]["others_ms"] > 0 for case in found.values())
