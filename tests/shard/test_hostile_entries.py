"""Nothing that a client sends stops a replica that finds it in the log.

Every command of the table is put straight into the log, with arguments that often mean nothing, for databases that are
there and that are not, among the log's own words with numbers that no node would send. No replica stops, and replicas
of different settings and histories stay the same. REDRAFT_REPLICA_ROUNDS says how often (each round has a seed).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from redraft.commands.all import TABLE
from redraft.commands.table import Kind
from redraft.errors import CommandError
from support.replicas import Item, Replicas
from support.table_calls import EVERY, FIXTURES, drawn

ROUNDS = int(os.environ.get("REDRAFT_REPLICA_ROUNDS", "6"))
ENTRIES = 60
DATABASES = [0] * 12 + [1, 1, 15, 16, 20, 63, 1 << 20]


def item(random: Random, number: int) -> Item:
    """A part of an entry."""
    count = random.choice([1, 1, 1, 1, 2, 4])
    transaction = count > 1 and random.random() < 0.5
    commands = []
    for _ in range(count):
        argv = drawn(random, random.choice(EVERY))
        if transaction and TABLE.lookup_logged(argv).internal:
            argv = [b"FLUSHDB"]
        commands.append((random.choice(DATABASES), argv))
    blocking = len(commands) == 1 and TABLE.lookup_logged(commands[0][1]).blocking
    if blocking and TABLE.lookup_logged(commands[0][1]).kind is Kind.DATA_WRITE and random.random() < 0.7:
        return Item(commands, token=number)
    return Item(commands, transaction=transaction)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_no_command_in_the_log_stops_a_replica_or_sets_two_apart(seed: int) -> None:
    random = Random(seed)
    replicas = Replicas(seed, size=3)
    number = 0
    for position in range(ENTRIES):
        items = []
        if position % 20 == 0:
            items = [Item([(0, line.encode().split())]) for line in FIXTURES]
        for _ in range(random.choice([1, 2, 5])):
            number += 1
            items.append(item(random, number))
        replicas.apply(items)
        for _ in range(3):
            try:
                replicas.read(drawn(random, random.choice(EVERY)), random.choice(DATABASES))
            except CommandError:
                continue


def run(seed: int, entries: int) -> str:
    """What replicas are at the end of so many random entries."""
    random = Random(seed)
    replicas = Replicas(seed, size=2)
    for number in range(entries):
        first = [Item([(0, line.encode().split())]) for line in FIXTURES] if number % 20 == 0 else []
        replicas.apply([*first, *(item(random, 1 + 3 * number + more) for more in range(3))])
    return hashlib.sha256(repr(replicas.replicas[0].everything()).encode()).hexdigest()


def test_processes_whose_sets_have_other_orders_end_with_the_same_bytes() -> None:
    """Python gives bytes other hashes in each process, so nothing replicated may go through a set in its order."""
    program = f"import sys; sys.path[:0] = {sys.path!r}; from test_hostile_entries import run; print(run(5, 120))"
    path = str(Path(__file__).parent)
    found = [
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert found[0] == found[1] != ""
