"""A few seconds of what `tools/chaos` does for as long as one likes: without cuts, which take root."""

from __future__ import annotations

from pathlib import Path

from chaos.network import Network
from chaos.run import run

SEED = 11


def test_clients_histories_can_be_explained_whatever_happens_to_processes_and_disks(tmp_path: Path) -> None:
    outcome = run(tmp_path, Network(), size=3, seconds=12, seed=SEED, clients=5)
    assert outcome.violations == [], f"seed {SEED}\n{outcome.page}"
    assert len(outcome.load.acknowledged) > 100, outcome.page
    assert len(outcome.events) > 2
