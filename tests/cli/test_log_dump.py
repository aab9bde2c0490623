"""`redraft log dump`: the entries of a stopped node's log, as commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redraft.ids import GroupId, Index, NodeId, Term
from redraft.raft.membership import LEAVE_JOINT, ChangeKind, ConfChange, MemberChange, encode_change
from redraft.raft.messages import ConfState, Entry, EntryKind, HardState, SnapshotMeta
from redraft.shard import entry
from redraft.storage import synced
from redraft.storage.directory import FORMAT, DataDirectory, NodeIdentity
from redraft.storage.log_store import GroupUpdate, LogStore

ONE, TWO = GroupId(1), GroupId(2)
MS = 1_700_000_000_123


def commands(*argvs: list[bytes]) -> bytes:
    return entry.encode(MS, 42, [entry.pack(tuple(argv)) for argv in argvs])


CHANGE = ConfChange(
    (MemberChange(ChangeKind.ADD_VOTER, NodeId(4)), MemberChange(ChangeKind.REMOVE, NodeId(3))),
)
DATA = [
    (EntryKind.NOOP, b""),
    (EntryKind.NORMAL, commands([b"SET", b"k", b'a "b"\r\n\xff'], [b"SELECT", b"3"], [b"INCR", b"n"])),
    (EntryKind.NORMAL, commands([b"REDRAFT", b"REAP", b"200"])),
    (EntryKind.NORMAL, commands([b"REDRAFT", b"DATABASES", b"16"])),
    (EntryKind.CHANGE, encode_change(CHANGE)),
    (EntryKind.CHANGE, encode_change(LEAVE_JOINT)),
    (EntryKind.NORMAL, commands([b"REDRAFT", b"WAITER", b"7"], [b"BLPOP", b"l", b"0"])),
    (EntryKind.NORMAL, b""),
    (EntryKind.NORMAL, commands([b"SET", b"k", b"v"])[:-3]),
    (EntryKind.CHANGE, b"\xc1"),
]
CUT = "a log entry ends inside a command"
NO_CHANGE = r"a membership change that cannot be read: MessagePack data is malformed: invalid opcode '\xc1' (byte 0)"
KINDS = ["no-op", "commands", "reap", "internal", "change", "change", "commands", "empty", "damaged", "damaged"]


@pytest.fixture
def node(path: Path) -> Path:
    """A log in which there is one of everything, from entry 11 on; and a second group."""
    identity = NodeIdentity(FORMAT, 2, "c1")
    with DataDirectory(path, identity) as directory:
        store = LogStore(directory.log_path)
        conf = ConfState(voters=(NodeId(1), NodeId(2), NodeId(3)), learners=(NodeId(4),))
        store.restore(ONE, SnapshotMeta(Index(10), Term(2), conf))
        written = [Entry(Index(11 + at), Term(3), kind, data) for at, (kind, data) in enumerate(DATA)]
        store.write([GroupUpdate(ONE, HardState(Term(3), NodeId(1), Index(19)), written)])
        store.write([GroupUpdate(TWO, None, [Entry(Index(1), Term(1), EntryKind.NOOP)])])
        store.close()
    return path


def test_entries_are_shown_as_commands(node: Path, redraft: Callable[..., Any]) -> None:
    ended = redraft("log", "dump", node, "--group", 1)
    assert (
        ended.out
        == f"""\
node 2 of cluster c1, {node}
group 1: term 3, vote for node 1, committed up to 19; entries 11 to 20
  the log begins after entry 10 of term 2; begun with voters 1 2 3, learners 4
11  term 3  no-op
12  term 3  commands  2023-11-14T22:13:20.123Z
    [0] "SET" "k" "a \\"b\\"\\r\\n\\xff"
    [3] "INCR" "n"
13  term 3  reap  2023-11-14T22:13:20.123Z
    [0] "REDRAFT" "REAP" "200"
14  term 3  internal  2023-11-14T22:13:20.123Z
    [0] "REDRAFT" "DATABASES" "16"
15  term 3  change: node 4 voter, node 3 removed
16  term 3  change: the joint configuration is left
17  term 3  commands  2023-11-14T22:13:20.123Z
    [0] "REDRAFT" "WAITER" "7"
    [0] "BLPOP" "l" "0"
18  term 3  empty
19  term 3  damaged: {CUT}
20  term 3  damaged: {NO_CHANGE}
"""
    )
    assert ended.status == 1, "part of it is damaged"


def test_one_object_a_line(node: Path, redraft: Callable[..., Any]) -> None:
    ended = redraft("log", "dump", node, "--json")
    head, group, *entries = ended.records
    assert head == {"record": "node", "node_id": 2, "cluster_id": "c1", "format": FORMAT, "dir": str(node)}
    assert group["hard_state"] == {"term": 3, "vote": 1, "commit": 19}
    assert (group["start"]["index"], group["start"]["members"]["voters"], group["last"]) == (10, [1, 2, 3], 20)
    assert [(each["index"], each["kind"]) for each in entries[:10]] == list(zip(range(11, 21), KINDS, strict=True))
    assert entries[1] == {
        "record": "entry", "group": 1, "index": 12, "kind": "commands", "term": 3, "time_ms": MS, "seed": 42,
        "commands": [
            {"database": 0, "argv": ["SET", "k", {"base64": "YSAiYiINCv8="}]}, {"database": 3, "argv": ["INCR", "n"]},
        ],
    }  # fmt: skip
    assert entries[4]["changes"] == [{"kind": "add-voter", "node": 4}, {"kind": "remove", "node": 3}]
    assert entries[5]["changes"] == []
    assert entries[8]["damage"] == CUT
    assert [(each["record"], each["group"]) for each in entries[10:]] == [("group", 2), ("entry", 2)]
    assert entries[10]["hard_state"] is None


def shown(ended: Any) -> list[int]:
    return [each["index"] for each in ended.records if each["record"] == "entry" and each["group"] == 1]


def test_what_is_shown_can_be_chosen(node: Path, redraft: Callable[..., Any]) -> None:
    def dump(*options: object) -> Any:
        return redraft("log", "dump", node, "--group", 1, "--json", *options)

    assert shown(dump("--from", 13, "--to", 15)) == [13, 14, 15]
    assert shown(dump("--kind", "commands")) == [12, 17]
    assert shown(dump("--kind", "no-op", "--kind", "reap")) == [11, 13]
    assert shown(dump("--limit", 2)) == [11, 12]
    assert shown(dump("--kind", "change", "--limit", 1)) == [15]
    assert dump("--to", 18).status == 0, "nothing that was read is damaged"
    assert redraft("log", "dump", node, "--group", 7).err == f"redraft: there is no group 7 in {node}\n"


def test_the_directory_is_not_changed(node: Path, redraft: Callable[..., Any]) -> None:
    def everything() -> dict[Path, int]:
        return {each: each.stat().st_mtime_ns for each in [node, *node.rglob("*")]}

    before = everything()
    redraft("log", "dump", node)
    assert everything() == before


def test_a_running_nodes_directory_is_refused(node: Path, redraft: Callable[..., Any]) -> None:
    with DataDirectory(node):
        ended = redraft("log", "dump", node)
    assert ended.status == 3
    assert ended.out == ""
    assert ended.err == (
        f"redraft: a node is running on {node} (pid {os.getpid()}): stop it first, or look at a copy of the directory\n"
    )


def test_mistakes_are_told_in_a_sentence(node: Path, redraft: Callable[..., Any], tmp_path: Path) -> None:
    assert redraft("log", "dump", tmp_path / "nowhere").err == f"redraft: {tmp_path / 'nowhere'} is not a directory\n"
    assert redraft("log", "dump", tmp_path).status == 1
    assert redraft("log", "dump", node, "--kind", "none").status == 2
    assert redraft("log").status == 2


def test_a_log_that_cannot_be_opened_is_told_in_a_sentence(node: Path, redraft: Callable[..., Any]) -> None:
    (node / "log" / "CURRENT").unlink()
    ended = redraft("log", "dump", node)
    assert ended.status == 1
    assert ended.err == f"redraft: reading the log {node / 'log'}: it is not there\n"


def test_damage_of_the_store_is_shown_before_its_entries(node: Path, redraft: Callable[..., Any]) -> None:
    for name in synced.FILES:
        (node / "log" / name).unlink()
    ended = redraft("log", "dump", node, "--group", 2)
    assert ended.status == 1
    assert ended.lines[1].startswith("damaged: its file SYNCED")
    assert redraft("log", "dump", node, "--json").records[1]["record"] == "damage"


def test_who_reads_the_output_may_stop_early(node: Path) -> None:
    command = f"{sys.executable} -m redraft log dump {node} | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == f"node 2 of cluster c1, {node}\n"
    assert done.stderr == ""
