"""A few seconds of what `tools/chaos` does for as long as one likes; and that its faults are what they say they are."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from chaos.faults import Event
from chaos.load import Load
from chaos.network import NamespaceNetwork, Network, make_network
from chaos.nodes import Nodes
from chaos.run import run
from chaos.verdict import outages

SEED = 11


def test_clients_histories_can_be_explained_whatever_happens_to_processes_and_disks(tmp_path: Path) -> None:
    """Without cuts, which take root; and without changes of members, which take long."""
    kinds = ["kill-leader", "pause-leader", "transfer", "restart", "slow-disk", "broken-disk", "clock"]
    outcome = run(tmp_path, Network(), size=3, seconds=8, seed=SEED, clients=5, kinds=kinds)
    assert outcome.violations == [], f"seed {SEED}\n{outcome.page}"
    assert len(outcome.load.acknowledged) > 50, outcome.page
    assert len(outcome.load.transactions) > 10, outcome.page
    assert len(outcome.events) > 1


@pytest.fixture
def network() -> Iterator[NamespaceNetwork]:
    made = make_network()
    if not isinstance(made, NamespaceNetwork):
        pytest.skip("network namespaces take root and iproute2")
    yield made
    made.close()


ANSWER = "import socket, sys; s = socket.create_server((sys.argv[1], 6379)); print(flush=True)\nwhile True: s.accept()"
ASK = (
    "import socket, sys, time; began = time.monotonic()\n"
    "try: socket.create_connection((sys.argv[1], 6379), 0.5); print(time.monotonic() - began)\n"
    "except OSError: print('lost')"
)


def asked(network: NamespaceNetwork, sender: int, receiver: int) -> str:
    """How long one node takes to reach another, or "lost"."""
    command = [*network.command(sender), sys.executable, "-c", ASK, network.place(receiver)[0]]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_cuts_are_one_way_and_trouble_is_as_large_as_asked_for(network: NamespaceNetwork) -> None:
    host = network.place(2)[0]
    network.place(1)
    command = [*network.command(2), sys.executable, "-c", ANSWER, host]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline()
            assert asked(network, 1, 2) != "lost"
            for sender, receiver in ((1, 2), (2, 1)):
                network.cut(sender, receiver)
                assert asked(network, 1, 2) == "lost"
                socket.create_connection((host, 6379), 5).close()
                network.heal()
            if network.can_trouble:
                network.trouble([1, 2], 1.0, 0, 0)
                assert asked(network, 1, 2) == "lost"
                network.heal()
                network.trouble([1, 2], 0.0, 100, 120)
                assert float(asked(network, 1, 2)) >= 0.2
                network.heal()
            assert asked(network, 1, 2) != "lost"
        finally:
            server.kill()


def test_a_clock_jumps_when_it_is_told_to(tmp_path: Path) -> None:
    nodes = Nodes(1, tmp_path, Network())
    if not nodes.has_shims:
        pytest.skip("clocks are set by a library that takes a C compiler")
    try:
        nodes.start(1)
        nodes.wait_for_leader()
        for jump in (3600, -3600, 0):
            nodes.set_clock(1, jump)
            # TIME is the state's, which does not jump; when it saved, a node tells by the wall clock.
            nodes.ask(1, "SAVE")
            assert abs(nodes.ask(1, "LASTSAVE") - time.time() - jump) < 60
            seconds, _ = nodes.ask(1, "TIME")
            assert abs(int(seconds) - time.time()) < 60
    finally:
        nodes.close()


def test_an_outage_is_that_of_the_fault_in_which_it_begins() -> None:
    """Writes every tenth of a second, but for those between 5 and 7 s, and between 10 and 11.2 s."""
    acknowledged = [(x / 10, 0.01) for x in range(1, 200) if not (50 < x < 70 or 100 < x < 112)]
    load = SimpleNamespace(began=0.0, ended=20.0, acknowledged=acknowledged)
    events = [Event("a", "", 5.2, 5.5), Event("b", "", 6.5, 6.6), Event("c", "", 9.0, 9.1), Event("d", "", 15.0, 15.1)]
    found = {name: [round(each, 3) for each in values] for name, values in outages(cast(Load, load), events).items()}
    assert found == {"a": [1.8], "b": [0.5], "c": [1.2], "d": [0.1]}
