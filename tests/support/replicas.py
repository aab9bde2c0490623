"""Several replicas of one shard without Raft: the same entries, and for each a history of its own.

Between two entries a replica flushes a little, starts again from its image and the log, takes another's image as a
snapshot, puts keys in order, frees what is dead, watches, and has clients of its own that wait for streams. Of each
entry some execute the batch, as the leader does, and the others decode it. None of that may be seen in the state, in a
reply or in who is served: `Replicas.check` says where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from redraft.commands.all import TABLE
from redraft.commands.internal import ALL_WAITS
from redraft.commands.objects import EVICTION
from redraft.commands.table import Command, CommandTable, Kind
from redraft.errors import CommandError
from redraft.keyspace.flush import Flush, RecordWriter
from redraft.keyspace.keyspace import Keyspace, KeyspaceMeta
from redraft.keyspace.waiters import Waiter
from redraft.resp.encoder import encode
from redraft.shard import entry
from redraft.shard.batch import Batch, Transaction, TransactionStep
from redraft.shard.executor import Executor
from redraft.values.thresholds import DEFAULT, IN_FORCE
from support.member import NOW_MS, state

BY_CHANCE = frozenset(
    {
        "randomkey", "srandmember", "hrandfield", "zrandmember", "scan", "hscan", "sscan", "zscan", "memory|usage",
        "object|freq", "object|idletime",
    }
)  # fmt: skip
"""Reads that may answer otherwise on another replica."""
LOCAL_TOKENS = 1 << 40
"""Tokens of waits that are one replica's own."""
ACTIONS = [
    *["nothing"] * 6, *["flush", "step", "step", "end flush"] * 2,
    "restart", "install", "settle", "bury", "wait", "watch",
]  # fmt: skip


class Point(NamedTuple):
    """What an image is of."""

    index: int
    time_ms: int
    meta: KeyspaceMeta


class Changes(RecordWriter):
    """What a flush has written so far."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes | None] = {}

    def put(self, key: bytes, value: bytes) -> None:
        self.records[key] = value

    def delete(self, key: bytes) -> None:
        self.records[key] = None


class Item(NamedTuple):
    """A part of an entry: a command, or several as a transaction; one that may wait has a token."""

    commands: Sequence[tuple[int, list[bytes]]]
    transaction: bool = False
    token: int = 0


class Replica:
    """One of them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.table = CommandTable(TABLE)
        self.image: dict[bytes, bytes] = {}
        self.point: Point | None = None
        self.flush: Flush | None = None
        self._begun: Point | None = None
        self._changes = Changes()
        self.index = 0
        self.time_ms = 0
        self._waits = 0
        self.history: list[str] = []
        self._start()

    def _start(self) -> None:
        self.flush = None
        IN_FORCE.adopt(DEFAULT)  # as in a process that has just begun
        self.index, self.time_ms = (0, 0) if self.point is None else self.point[:2]
        keyspace = (
            Keyspace() if self.point is None else Keyspace.load(self.point.meta, sorted(self.image.items()))
        )  # fmt: skip
        self.executor = Executor(keyspace, self.table, lambda: 0, Random(self.random.random()))
        self.executor.slow_ns = self.random.choice([0, 1 << 62])

    # Entries.

    def apply(self, data: bytes, batch: Batch | None) -> tuple[list[Any] | None, dict[int, bytes], list[int]]:
        """Execute an entry, from its batch or as it stands in the log: the replies, where there are some, who was
        served with what, and in which order those were that waited before."""
        header = entry.header(data)
        self.index += 1
        self.time_ms = header.time_ms
        EVICTION.counts_uses = self.random.random() < 0.5
        at_once: dict[int, bytes] = {}
        replies: list[Any] | None = None
        if batch is None:
            self.executor.apply_logged(header, list(entry.runs(data)))
        else:
            every = self.executor.apply_batch(batch, header)
            replies = [shown(reply) for answers in every for reply in answers]
            for run, answers in zip(batch.items, every, strict=True):
                if (token := run.takers[0][0]) and not isinstance(answers[0], Waiter):
                    at_once[token] = shown(answers[0])
        served = [(token, shown(reply)) for token, reply in self.executor.take_served() if token < LOCAL_TOKENS]
        order = [token for token, _ in served if token != ALL_WAITS]
        return replies, at_once | dict(served), order

    def catch_up(self, log: Sequence[bytes]) -> None:
        """Execute what it lacks of the log."""
        while self.index < len(log):
            self.apply(log[self.index], None)

    # A history of its own.

    def live(self, log: Sequence[bytes], others: Sequence[Replica]) -> None:
        """Do something that only this replica does."""
        action = self.random.choice(ACTIONS)
        self.history.append(f"{self.index}: {action}")
        keyspace = self.executor.keyspace
        match action:
            case "flush" if self.flush is None:
                self._begun = Point(self.index, self.time_ms, keyspace.meta())
                self._changes = Changes()
                self.flush = keyspace.begin_flush(self._changes)
            case "step" if self.flush is not None and self.flush.step(self.random.choice([1, 10, 300])):
                self._end_flush()
            case "end flush" if self.flush is not None:
                while not self.flush.step(1 << 20):
                    pass
                self._end_flush()
            case "restart":
                self._start()
                self.catch_up(log)
            case "install":
                other = self.random.choice(others)
                if other.point is not None:
                    self.image, self.point = dict(other.image), other.point
                    self._start()
                    self.catch_up(log)
            case "settle":
                keyspace.settle(self.random.randrange(1, 5))
            case "bury":
                keyspace.bury(3)
            case "wait":
                self._wait()
            case "watch":
                keyspace.watch_changes(None if keyspace.is_watched else lambda database, key: None)

    def _end_flush(self) -> None:
        assert self._begun is not None
        for key, record in self._changes.records.items():
            if record is None:
                self.image.pop(key, None)
            else:
                self.image[key] = record
        self.flush, self.point = None, self._begun

    def _wait(self) -> None:
        """A client of this replica alone waits for streams."""
        streams = self.random.sample([b"s1", b"s2", b"stream", b"stream2", b"a", b"b", b"list"], 2)
        argv = [b"XREAD", b"BLOCK", b"0", b"STREAMS", *streams, b"$", b"$"]
        self._waits += 1
        self.executor.read_context.waiter_token = LOCAL_TOKENS + self._waits
        self.executor.read(None, self.table.lookup(argv), [argv], self.random.choice([0, 0, 1]))

    def everything(self) -> Any:
        """All that must be the same: the state as it is stored, and what it was last told of time."""
        self.executor.keyspace.check()
        return state(self.executor.keyspace), self.time_ms

    def read(self, command: Command, argv: list[bytes], database: int) -> bytes:
        """What a read answers."""
        return shown(self.executor.read(None, command, [argv], database)[0])


class Replicas:
    """So many replicas, and the log that they execute."""

    def __init__(self, seed: int, size: int = 4) -> None:
        self.random = Random(seed)
        self.table = CommandTable(TABLE)
        self.replicas = [Replica(Random(self.random.random())) for _ in range(size)]
        self.log: list[bytes] = []
        self.time_ms = NOW_MS

    def apply(self, items: Sequence[Item]) -> None:
        """Have all execute an entry that holds these items, live on, and be the same."""
        self.time_ms += self.random.choice([0, 1, 7, 200])
        batch = self._batch(items)
        data = entry.encode(self.time_ms, self.random.getrandbits(64), batch.fragments, batch.logged)
        self.log.append(data)
        leads = self.random.randrange(len(self.replicas))
        found: list[tuple[list[Any] | None, dict[int, bytes], list[int]]] = []
        for number, replica in enumerate(self.replicas):
            executes = number == leads or self.random.random() < 0.3
            found.append(replica.apply(data, self._batch(items) if executes else None))
        replies = [each[0] for each in found if each[0] is not None]
        assert all(each == replies[0] for each in replies), self._say("replies", replies)
        assert all(each[1] == found[0][1] for each in found), self._say("who was served", [each[1] for each in found])
        answered = [set(each[1]) - set(each[2]) for each in found]
        orders = [[token for token in each[2] if not any(token in at for at in answered)] for each in found]
        assert all(order == orders[0] for order in orders), self._say("order of service", orders)
        for replica in self.replicas:
            replica.live(self.log, [each for each in self.replicas if each is not replica])
        self.check()

    def _batch(self, items: Sequence[Item]) -> Batch:
        batch = Batch()
        for item in items:
            found = [(self.table.lookup_logged(argv), argv, database) for database, argv in item.commands]
            if item.transaction:
                steps = [TransactionStep(*each) for each in found if each[0].name not in BY_CHANCE]
                if any(step.command is not None and step.command.kind is Kind.DATA_WRITE for step in steps):
                    batch.add_transaction(0, Transaction(steps), [b"EXEC"], found[0][2])
                continue
            if item.token:
                argv = [b"REDRAFT", b"WAITER", b"%d" % item.token]
                batch.add_write(0, self.table.lookup_logged(argv), argv, found[0][2])
            for command, argv, database in found:
                if command.kind is Kind.DATA_WRITE:
                    packed = entry.pack(tuple(argv))
                    batch.add_writes(item.token, command, [argv.copy()], database, packed)
                elif command.name not in BY_CHANCE:
                    batch.add_unlogged(0, command, argv, database)
        return batch

    def check(self) -> None:
        """All are the same."""
        first = self.replicas[0].everything()
        for replica in self.replicas[1:]:
            other = replica.everything()
            assert other == first, self._say("the state", [first, other])

    def read(self, argv: list[bytes], database: int) -> None:
        """All answer a read alike."""
        command = self.table.lookup(argv)
        if command.kind is Kind.DATA_READ and command.name not in BY_CHANCE and not command.blocks(argv):
            replies = [replica.read(command, argv, database) for replica in self.replicas]
            assert len(set(replies)) == 1, self._say(f"what {argv!r} answers", replies)

    def _say(self, what: str, found: list[Any]) -> str:
        last = [(each.database, each.argv) for each in entry.commands(self.log[-1])]
        histories = [" ".join(replica.history[-12:]) for replica in self.replicas]
        lines = "\n".join(map(str, [*found, *histories]))
        return f"{what} differs after entry {len(self.log)}: {last!r}\n{lines}"


def shown(reply: Any) -> bytes:
    """A reply as something that has an equal."""
    if isinstance(reply, Waiter):
        return b"waits"
    if isinstance(reply, list) and any(isinstance(each, Waiter) for each in reply):
        raise AssertionError("a wait within a transaction")
    return encode(reply, 3) if not isinstance(reply, int) or isinstance(reply, bool) else b":%d" % reply


def is_data(table: CommandTable, argv: list[bytes]) -> bool:
    """Whether a command gets as far as a shard."""
    try:
        command = table.lookup_logged(argv)
    except CommandError:
        return False
    return command.kind is not Kind.SESSION and command.handler is not None
