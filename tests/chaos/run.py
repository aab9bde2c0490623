"""A run: a cluster, a load, faults one after the other, and what is to be said of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chaos.faults import Event, Faults
from chaos.load import Load
from chaos.network import Network
from chaos.nodes import Nodes
from chaos.verdict import bad_lines, report, violations

REST_SECONDS = 1.0


class Outcome(NamedTuple):
    """What became of a run."""

    page: str
    figures: dict[str, Any]
    violations: list[str]
    load: Load
    events: list[Event]


def run(
    directory: Path,
    network: Network,
    *,
    size: int,
    seconds: float,
    seed: int,
    clients: int = 8,
    pause_seconds: float = 0.01,
    pace: float = 1.0,
    kinds: list[str] | None = None,
    arguments: Sequence[str] = (),
    tell: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Run for so long; faults of some kinds only, if they are given, which last as long as usual times `pace`, and so
    do the rests between them. The nodes get the arguments besides their own."""
    random_ = random.Random(seed)
    nodes = Nodes(size, directory, network, *arguments)
    faults = Faults(nodes, random_)
    found: list[str] = []
    try:
        for node in nodes.ids:
            nodes.start(node)
        nodes.wait_for_leader()
        load = Load(nodes, clients, seed, pause_seconds)
        load.start()
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                load.wait(random_.uniform(0.2, REST_SECONDS) * pace)
                event = faults.one(load.wait, random_.choice(kinds) if kinds else "", pace=pace)
                began, ended = event.began - load.began, event.ended - load.began
                tell(f"{began:7.1f} to {ended:5.1f} s  {event.name:16} {event.what}")
                if event.name == "kill-all":
                    nodes.wait_for_leader()
            faults.undo()
            nodes.wait_for_leader()
            load.wait(REST_SECONDS)
        except TimeoutError as error:
            found.append(str(error))
        load.stop()
        nodes.look_for_surprises()
        found += nodes.surprises + faults.members.findings
        try:
            digests = nodes.wait_for_agreement()
            if len(set(digests.values())) != 1:
                found.append(f"the nodes' data differ: {digests}")
        except TimeoutError as error:
            found.append(str(error))
        tell("checking the histories")
        found += violations(load) + bad_lines(nodes)
        seconds = load.ended - load.began
        page, figures = report(
            load, faults.events, found, seconds=seconds, size=size, seed=seed, missing=faults.missing
        )
        return Outcome(page, figures, found, load, faults.events)
    finally:
        nodes.close()
        faults.close()
