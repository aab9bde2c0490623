"""Golden scripts (`raft.golden`) of what one member of a group does, in scripts/.

An error, even a broken invariant (`panic`), is output like any other. After each command the member's own `check` is
called.

    new-node [OPTION=N ...]   an empty disk and a new member; options are those of RaftConfig, and voters=N
    campaign                  stand for election
    propose WORD ...          propose each word; `400b` is 400 bytes
    tick N                    let N ticks pass
    ready                     take a Ready, print it, apply what is committed
    persist                   write the oldest Ready that is not written yet to the disk
    advance                   the oldest Ready is done (and written, if it was not)
    settle                    ready and advance until there is nothing to do
    crash [applied=N]         the member is gone, with all that was not written; a new one starts from the disk
    restart [applied=N]       the same, but all that was taken is written first
    compact N                 let go of the log up to and including N
    status, disk              print the member's status; print what is on disk

What needs no fsync, a commit index alone, is not written at all: a driver may do that, so the disk here does.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from raft.golden import play, scripts

from redraft.ids import Index, NodeId
from redraft.raft.config import RaftConfig
from redraft.raft.errors import RaftError
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import ConfState, Entry, EntryKind, HardState, SnapshotMeta
from redraft.raft.node import RaftNode
from redraft.raft.ready import Ready


class Taken(NamedTuple):
    """A Ready that was taken and not advanced, and whether it was written."""

    ready: Ready
    written: bool


class Interpreter:
    """Runs the commands of one script. A command's method is its name with `_` for `-`; it yields lines of output."""

    def __init__(self) -> None:
        self.config = RaftConfig(NodeId(1))
        self.storage = MemoryStorage()
        self.taken: deque[Taken] = deque()
        self.node: RaftNode

    def run(self, line: str) -> Iterator[str]:
        """The output of one command line."""
        name, *words = line.split()
        command: Callable[..., Iterator[str]] = getattr(self, "do_" + name.replace("-", "_"))
        try:
            yield from command(*words)
            self.node.check()
        except RaftError as error:
            yield f"{type(error).__name__}: {error}"
        except AssertionError:
            yield f"panic: an invariant is broken by {line!r}"

    def do_new_node(self, *words: str) -> Iterator[str]:
        options = numbers(words)
        voters = options.pop("voters", 0)
        self.config = RaftConfig(NodeId(1), **options)
        self.storage = MemoryStorage()
        if voters:
            conf = ConfState(voters=tuple(NodeId(n) for n in range(1, voters + 1)))
            self.storage.start = SnapshotMeta(conf=conf)
        yield from self._start(applied=0)

    def do_campaign(self) -> Iterator[str]:
        self.node.campaign()
        yield from ()

    def do_propose(self, *words: str) -> Iterator[str]:
        for word in words:
            size = re.fullmatch(r"([0-9]+)b", word)
            data = b"x" * int(size[1]) if size else word.encode()
            yield f"entry {self.node.propose(data)} is {word}"

    def do_tick(self, count: str) -> Iterator[str]:
        for _ in range(int(count)):
            self.node.tick(0)
        yield from ()

    def do_ready(self) -> Iterator[str]:
        if not self.node.has_ready():
            yield "nothing is ready"
            return
        ready = self.node.ready()
        self.taken.append(Taken(ready, written=False))
        yield "ready, to be forced to disk:" if ready.must_sync else "ready:"
        if ready.hard_state is not None:
            yield f"  {'write' if ready.must_sync else 'state'} {shown_state(ready.hard_state)}"
        for entry in ready.entries:
            yield f"  write {shown_entry(entry)}"
        for entry in ready.committed:
            yield f"  apply {shown_entry(entry)}"
        if ready.committed:
            self.node.applied_to(ready.committed[-1].index)

    def do_persist(self) -> Iterator[str]:
        for place, taken in enumerate(self.taken):
            if not taken.written:
                if taken.ready.must_sync:
                    self.storage.write(taken.ready.hard_state, taken.ready.entries)
                self.taken[place] = taken._replace(written=True)
                break
        yield from ()

    def do_advance(self) -> Iterator[str]:
        if not self.taken[0].written:
            yield from self.do_persist()
        self.node.advance(self.taken.popleft().ready)

    def do_settle(self) -> Iterator[str]:
        while self.taken:
            yield from self.do_advance()
        while self.node.has_ready():
            yield from self.do_ready()
            yield from self.do_advance()

    def do_crash(self, *words: str) -> Iterator[str]:
        yield from self._start(**numbers(words))

    def do_restart(self, *words: str) -> Iterator[str]:
        while not all(taken.written for taken in self.taken):
            yield from self.do_persist()
        yield from self._start(**numbers(words))

    def do_compact(self, index: str) -> Iterator[str]:
        self.storage.compact(Index(int(index)))
        yield from ()

    def do_status(self) -> Iterator[str]:
        status = self.node.status()
        yield f"{status.role.value} of term {status.term}; the leader is {status.leader or 'not known'}"
        yield (
            f"applied {status.applied_index}, committed {status.commit_index},"
            f" stable {status.stable_index}, last {status.last_index}"
        )

    def do_disk(self) -> Iterator[str]:
        storage = self.storage
        yield shown_state(storage.hard_state)
        if storage.start.index:
            yield f"begins after entry {storage.start.index} of term {storage.start.term}"
        if storage.last_index() >= storage.first_index():
            for entry in storage.entries(storage.first_index(), Index(storage.last_index() + 1), 1 << 30):
                yield shown_entry(entry)

    def _start(self, applied: int = 0) -> Iterator[str]:
        self.taken.clear()
        self.node = RaftNode(self.config, self.storage, Index(applied))
        yield from ()


def numbers(words: tuple[str, ...]) -> dict[str, int]:
    """`name=N` words as keyword arguments."""
    pairs = (word.split("=") for word in words)
    return {name.replace("-", "_"): int(value) for name, value in pairs}


def shown_state(state: HardState) -> str:
    return f"term {state.term}, vote {state.vote}, commit {state.commit}"


def shown_entry(entry: Entry) -> str:
    data = entry.data.decode() if len(entry.data) < 20 else f"{len(entry.data)}b"
    return f"entry {entry.index} of term {entry.term}: {data if entry.kind is EntryKind.NORMAL else '(no-op)'}"


@pytest.mark.parametrize("path", scripts("scripts"), ids=lambda path: path.stem)
def test_a_script_prints_what_it_says(path: Path) -> None:
    play(path, Interpreter().run)
