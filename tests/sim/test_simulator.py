"""A bounded set of simulated runs; and that the simulator is the same each time, and fails when it should.

More seeds, and longer: `tools/simulate`; all seeded bugs: `tools/simulate --mutations`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from redraft.ids import FIRST_SHARD_GROUP
from redraft.node.families.all import TABLE
from sim.any_commands import any_command, any_wait
from sim.cluster import Cluster
from sim.events import SECOND
from sim.invariants import InvariantError
from sim.mutations import MUTATIONS, find, mutate, simulate
from sim.page import page
from sim.run import run
from sim.shell import ScriptError, Shell
from sim.trace import Trace

ROOT = Path(__file__).resolve().parents[2]
VIRTUAL_SECONDS = 20.0
THOROUGH_SEEDS = 5


@pytest.mark.parametrize("seed", range(1, 11))
def test_nothing_is_violated(seed: int) -> None:
    outcome = run(seed, VIRTUAL_SECONDS, thorough=seed <= THOROUGH_SEEDS)
    assert not outcome.violation, f"tools/simulate --seeds {seed} --minutes-virtual {VIRTUAL_SECONDS / 60}: {outcome}"
    assert outcome.operations > 0


@pytest.mark.parametrize("seed", range(1, 4))
def test_with_clocks_that_drift_more_than_is_stated_only_reads_may_be_old(seed: int) -> None:
    outcome = run(seed, VIRTUAL_SECONDS, beyond_drift=True)
    assert not outcome.violation, outcome.violation


def test_streams_send_every_command_of_the_table() -> None:
    random = Random(1)
    drawn = {any_command(random)[0].lower().decode("latin-1") for _ in range(20_000)}
    drawn |= {any_wait(random)[0].lower().decode() for _ in range(500)}
    names = {command.name for command in TABLE if "|" not in command.name}
    by_streams = {"readonly", "readwrite", "flushdb"}
    left_out = {"shutdown", "quit", "monitor", "flushall", "auth", "save", "debug"}
    assert names - drawn == by_streams | left_out


def test_a_run_is_the_same_under_every_hash_seed() -> None:
    runs = [
        simulate(ROOT, "--seeds", "7", "--minutes-virtual", "0.2", hash_seed=hash_seed).stdout.split(" s in ")[0]
        for hash_seed in ("1", "2")
    ]
    assert runs[0].startswith("seed 7: ok; ")
    assert runs[0] == runs[1]


def test_every_seeded_bug_still_fits_the_source() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(names) == len(set(names)) >= 12
    for mutation in MUTATIONS:
        for file, text, _ in mutation.changes:
            assert (ROOT / "redraft" / file).read_text().count(text) == 1, (mutation.name, text)


@pytest.mark.parametrize("name", ["vote-not-synced", "expire-by-local-clock"])
def test_a_seeded_bug_is_found(name: str, tmp_path: Path) -> None:
    mutation = next(each for each in MUTATIONS if each.name == name)
    mutate(ROOT, mutation, tmp_path)
    count, violation = find(tmp_path, most_seeds=20)
    assert count, "no seed shows it"
    assert violation


def test_a_violation_makes_the_tool_fail_and_says_how_to_see_it_again(tmp_path: Path) -> None:
    mutate(ROOT, MUTATIONS[0], tmp_path)
    done = simulate(tmp_path, "--seeds", "1", "--minutes-virtual", "0.1")
    assert done.returncode == 1
    assert "again, with a trace: tools/simulate --seeds 1 --minutes-virtual 0.1 --trace" in done.stdout


def test_what_is_committed_and_not_on_a_majority_is_a_violation() -> None:
    cluster = Cluster(3)
    cluster.start()
    cluster.run(5 * SECOND)
    machines = list(cluster.machines.values())
    for machine in machines[:2]:
        machine.disk.durable[FIRST_SHARD_GROUP].restore(type(machine.disk.durable[FIRST_SHARD_GROUP].start)())
    with pytest.raises(InvariantError, match=r"durable only on \[3\]"):
        cluster.invariants.crashed()


def test_other_bytes_at_one_index_are_a_violation() -> None:
    cluster = Cluster(3)
    cluster.start()
    cluster.run(5 * SECOND)
    cluster.settle()
    cluster.machines[2].node.shard.keyspace.databases[0].put(b"k", b"v")
    with pytest.raises(InvariantError, match="have other bytes"):
        cluster.invariants.digest(cluster.machines[2])


def test_by_hand() -> None:
    shell = Shell()
    shell.line("cluster 3 pre-vote=off election-timeout=500 heartbeat-interval=50")
    shell.line("until leader")
    shell.line("bind")
    assert shell.line("propose $F1 SET k v") == "OK"
    leader = int(shell.names["L"])
    shell.line("pause $L")
    shell.line("run 1500")
    shell.line("until leader")
    assert shell.line("propose $F1 GET k") == "v"
    shell.line("resume $L")
    shell.line("cut $F1 $F2")
    shell.line("heal")
    state = json.loads(shell.line("state $L"))
    assert state["node"] == leader
    assert state["shard"]["conf"]["voters"] == [1, 2, 3]
    assert state["keyspace"]["keys"]["0"]["k"]["type"] == "string"
    assert any(entry.endswith(": SET k v") for entry in state["log"]["1"])
    whole = json.loads(shell.line("state $L node"))
    assert whole["shard"]["raft"]["_log"]["committed"] == state["shard"]["commit"]
    assert json.loads(shell.line("state $L node.shard.applied"))["index"] == state["shard"]["applied"]
    with pytest.raises(ScriptError, match="Shard has no soul"):
        shell.line("state $L node.shard.soul")
    assert "leader" in shell.line("status")
    assert "──▶" in shell.line("trace 200")
    assert shell.line("step 3")
    with pytest.raises(ScriptError, match="no action 'explode'"):
        shell.line("explode 1")


def test_a_trace_as_a_page() -> None:
    trace = Trace()
    outcome = run(5, 3.0, trace=trace)
    text = page(trace.cut(0, 2), {}, outcome.line())
    assert text.count("<line") > 20
    assert "m1" in text
    assert "<rect" in text
    assert len(trace.lines()) > 50


def test_the_interactive_tool_reads_lines() -> None:
    command = [sys.executable, str(ROOT / "tools" / "simulate"), "--interactive"]
    lines = "until leader\npropose 1 SET k v\nnonsense\nquit\n"
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    assert "OK" in done.stdout
    assert "there is no action 'nonsense'" in done.stdout
