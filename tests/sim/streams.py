"""Clients that send whatever there is, without waiting for replies, and hold each reply against what they know.

A stream is one connection. Any command of the table (`sim.any_commands`) goes out among commands on keys that the other
clients work on too (`sim.clients`), in any database, in and out of transactions, while earlier ones are not answered.
What must hold of every reply, whatever the command:

* there is exactly one, in order: an ECHO is answered by its own word;
* MULTI queues; EXEC answers one reply for each command that was queued, or nil, or an error;
* no reply is an internal error;
* the session is what its commands have made it: its number, its database, its name, its protocol (CLIENT INFO, CLIENT
  ID, CLIENT GETNAME), the node that it is connected to (CLUSTER MYID), whatever node executes what it sends.

Operations on shared keys are part of the history; each begins when it was sent, whenever it is read.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import hiredis
from linearizability import models
from linearizability.history import NEVER_NS, UNKNOWN, Operation

from redraft.shard.entry import pack
from sim.any_commands import DATABASES, FIRST_FREE, any_command, any_wait
from sim.clients import KEYS_OF_A_KIND, NOT_EXECUTED, as_word, result_of
from sim.events import MS, SECOND
from sim.wires import CLIENTS, Connection
from support.processes import NOTHING, ReplyError

if TYPE_CHECKING:
    from sim.clients import Clients
    from sim.machine import Machine

PATIENCE_NS = 15 * SECOND
MOST_UNANSWERED = 40
AT_ONCE = (b"EXEC", b"DISCARD", b"MULTI", b"WATCH", b"QUIT", b"RESET")
"""What MULTI does not queue."""
QUEUED = b"QUEUED"
WORDS_OF_THE_LOG = (b"REAP", b"UNBLOCK", b"DATABASES", b"WAITER", b"THRESHOLDS")


class Sent(NamedTuple):
    """One command under way."""

    argv: tuple[bytes, ...]
    call_ns: int
    key: str = ""
    action: tuple[Any, ...] = ()
    """Where it is part of the history."""


class SessionFacts:
    """What a session is, as its replies say so far."""

    def __init__(self) -> None:
        self.database = 0
        self.name = b""
        self.protocol = 2
        self.reads_anything = False
        """READONLY: nothing is demanded of reads."""
        self.queued: list[Sent] | None = None
        self.sure = True
        """Whether all that is so: a transaction that came to nothing, or nobody knows to what, may have changed it,
        until RESET."""


class Stream:
    """One of them; it goes to another node when its connection ends."""

    def __init__(self, clients: Clients, number: int) -> None:
        self._clients = clients
        self._cluster = clients.cluster
        self.number = number
        self._random = clients.cluster.random(f"stream {number}")
        self._connection: Connection | None = None
        self._machine: Machine
        self._reader: Any = None
        self._sent: deque[Sent] = deque()
        self._facts = SessionFacts()
        self._identity: dict[bytes, Any] = {}
        """What CLIENT ID and CLUSTER MYID have answered on this connection."""
        self._in_multi = False
        """Whether what is sent next is queued, if all goes well."""
        self._database = 0
        """Where what is sent next is executed, if all goes well."""
        self._echoes = 0

    @property
    def waits(self) -> bool:
        """Whether something is not answered."""
        return bool(self._sent)

    def start(self) -> None:
        """Begin."""
        self._cluster.events.after(0, self._work)

    def _work(self, _: object) -> None:
        if self._clients.stopped:
            if self._sent and self._is_late():
                self._hang_up()
            if self._sent:
                self._cluster.events.after(SECOND, self._work)
            return
        random = self._random
        if self._connection is None:
            self._connect()
        elif (self._sent and self._is_late()) or random.random() < 0.01:
            self._hang_up()
        elif len(self._sent) < MOST_UNANSWERED:
            self._send([each for _ in range(random.randint(1, 4)) for each in self._step()])
        pause_ns = random.choice((MS, self._clients.pause_ns // 4, self._clients.pause_ns))
        self._cluster.events.after(int(random.expovariate(1.0) * pause_ns), self._work)

    def _is_late(self) -> bool:
        return self._cluster.events.now_ns - self._sent[0].call_ns > PATIENCE_NS

    def _connect(self) -> None:
        up = [machine.number for machine in self._cluster.machines.values() if machine.up]
        if up:
            self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=NOTHING)
            self._facts = SessionFacts()
            self._identity = {}
            self._in_multi, self._database = False, 0
            self._machine = self._cluster.machines[self._random.choice(up)]
            self._connection = self._machine.accept(CLIENTS, self)

    def _send(self, commands: list[Sent]) -> None:
        assert self._connection is not None
        self._sent.extend(commands)
        self._connection.send(near=True, data=b"".join(pack(each.argv) for each in commands))

    # What is sent.

    def _step(self) -> list[Sent]:
        random = self._random
        drawn = random.random()
        if not self._facts.sure and drawn < 0.3:
            return [self._plain(b"RESET")]
        if drawn < 0.35 and not self._database:
            return [self._modelled()]
        if drawn < 0.55:
            return [self._of_session()]
        if drawn < 0.62:
            return self._multi()
        if drawn < 0.65 and not self._in_multi:
            database = b"%d" % random.randrange(FIRST_FREE, DATABASES)
            back = b"%d" % self._database
            commands = [(b"MULTI",), (b"SELECT", database), (b"FLUSHDB",), (b"SELECT", back), (b"EXEC",)]
            return [self._plain(*argv) for argv in commands]
        if drawn < 0.68:
            return [self._plain(*any_wait(random))]
        return [self._plain(*any_command(random))]

    def _plain(self, *argv: bytes) -> Sent:
        name = argv[0].upper()
        if name == b"MULTI":
            self._in_multi = True
        elif name in (b"EXEC", b"DISCARD"):
            self._in_multi = False
        elif name == b"RESET":
            self._in_multi, self._database = False, 0
        elif name == b"SELECT" and len(argv) == 2 and argv[1].isdigit():
            self._database = int(argv[1])
        return Sent(argv, self._cluster.events.now_ns)

    def _multi(self) -> list[Sent]:
        if self._in_multi:
            return [self._plain(self._random.choice((b"EXEC", b"EXEC", b"EXEC", b"DISCARD")))]
        return [self._plain(b"MULTI")]

    def _of_session(self) -> Sent:
        random = self._random
        self._echoes += 1
        argv: tuple[bytes, ...] = random.choice(
            (
                (b"ECHO", b"word %d" % self._echoes), (b"ECHO", b"word %d" % self._echoes), (b"CLIENT", b"INFO"),
                (b"CLIENT", b"INFO"), (b"CLIENT", b"ID"), (b"CLIENT", b"GETNAME"), (b"CLUSTER", b"MYID"),
                (b"SELECT", b"0"), (b"SELECT", b"0"), (b"SELECT", b"%d" % random.randrange(DATABASES)),
                (b"SELECT", random.choice((b"5", b"15", b"18"))),
                (b"CLIENT", b"SETNAME", b"name%d" % random.randrange(9)), (b"HELLO", random.choice((b"2", b"3"))),
                random.choice(((b"RESET",), (b"READONLY",), (b"READWRITE",), (b"PING",))),
            )
        )  # fmt: skip
        return self._plain(*argv)

    def _modelled(self) -> Sent:
        random, clients = self._random, self._clients
        kind = random.choice(("register", "register", "counter", "hash", "set", "expiring", "queue"))
        key = f"{kind}:{clients.generation()}:{random.randrange(KEYS_OF_A_KIND)}"
        value = clients.value(random)
        actions: dict[str, tuple[tuple[tuple[Any, ...], tuple[Any, ...]], ...]] = {
            "register": ((("set", value), ("SET", key, value)), (("get",), ("GET", key)), (("get",), ("GET", key))),
            "counter": ((("incrby", 2), ("INCRBY", key, 2)), (("count",), ("GET", key))),
            "hash": ((("hincrby", "x", 3), ("HINCRBY", key, "x", 3)), (("hget", "x"), ("HGET", key, "x"))),
            "set": ((("sadd", value), ("SADD", key, value)), (("smembers",), ("SMEMBERS", key))),
            "expiring": ((("setpx", value), ("SET", key, value, "PX", 700)), (("xget",), ("GET", key))),
            "queue": ((("rpush", value), ("RPUSH", key, value)), (("lrange",), ("LRANGE", key, 0, -1))),
        }
        action, argv = random.choice(actions[kind])
        return Sent(tuple(map(as_word, argv)), self._cluster.events.now_ns, key, action)

    # What comes back.

    def arrived(self, data: bytes) -> None:
        """Bytes have come."""
        if self._connection is None:
            return
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not NOTHING:
            if not self._sent:
                raise AssertionError(f"stream {self.number} is answered {reply!r} to nothing")
            self._answered(self._sent.popleft(), reply)

    def ended(self) -> None:
        """The node is gone."""
        if self._connection is not None:
            self._connection.wires[1].end = None
            self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close(near=True)
            self._connection = None
        for sent in (*(self._facts.queued or ()), *self._sent):
            self._lost(sent)
        self._sent.clear()

    def _lost(self, sent: Sent) -> None:
        if sent.action and sent.action[0] not in models.READS:
            self._clients.record(Operation(-sent.call_ns, sent.call_ns, NEVER_NS, sent.key, sent.action, UNKNOWN))

    def _answered(self, sent: Sent, reply: Any) -> None:
        facts, name = self._facts, sent.argv[0].upper()
        self._clients.answers += 1
        if isinstance(reply, ReplyError) and "internal error" in str(reply):
            raise self._wrong(sent, reply)
        if name == b"MULTI":
            if reply == b"OK":
                facts.queued = []
        elif name == b"EXEC":
            self._executed(sent, reply)
        elif name == b"DISCARD":
            facts.queued = None if reply == b"OK" else facts.queued
        elif name == b"RESET":
            if reply == b"RESET":
                self._facts = SessionFacts()
        elif facts.queued is not None and name not in AT_ONCE:
            if reply == QUEUED:
                facts.queued.append(sent)
            elif not isinstance(reply, ReplyError):
                raise self._wrong(sent, reply)
        else:
            self._done(sent, reply)

    def _executed(self, sent: Sent, reply: Any) -> None:
        queued, self._facts.queued = self._facts.queued or [], None
        if isinstance(reply, list):
            if len(reply) != len(queued):
                raise AssertionError(f"stream {self.number}: EXEC answers {len(reply)} replies to {len(queued)}")
            for each, its_reply in zip(queued, reply, strict=True):
                self._done(each, its_reply)
        elif isinstance(reply, ReplyError) and str(reply).startswith(("UNKNOWN ", "CLUSTERDOWN ")):
            # Also where its data were not touched, its session commands may have been executed.
            self._facts.sure = False
            for each in queued if str(reply).startswith("UNKNOWN ") else ():
                self._lost(each)
        elif reply is not None and not isinstance(reply, ReplyError):
            raise self._wrong(sent, reply)

    def _done(self, sent: Sent, reply: Any) -> None:
        """A command was executed, or refused."""
        if sent.action:
            self._record(sent, reply)
        elif not isinstance(reply, ReplyError):
            self._require(sent, reply, not _is_word_of_the_log(sent.argv))
            self._follow(sent, reply)

    def _record(self, sent: Sent, reply: Any) -> None:
        facts = self._facts
        name = sent.action[0]
        if isinstance(reply, ReplyError):
            if str(reply).startswith("UNKNOWN "):
                self._lost(sent)
            elif not str(reply).startswith(NOT_EXECUTED):
                raise self._wrong(sent, reply)
        elif facts.sure and facts.database == 0:
            may_be_old = facts.reads_anything or self._machine.reads_anything
            if not (may_be_old and name in models.READS):
                now_ns = self._cluster.events.now_ns
                result = result_of(sent.action, reply)
                self._clients.record(Operation(-sent.call_ns, sent.call_ns, now_ns, sent.key, sent.action, result))
        elif not facts.sure:
            self._lost(sent)

    def _follow(self, sent: Sent, reply: Any) -> None:
        """What a reply says of the session, or makes of it."""
        facts, words = self._facts, [word.upper() for word in sent.argv]
        match words:
            case [b"ECHO", _]:
                self._require(sent, reply, reply == sent.argv[1])
            case [b"SELECT", _] if reply == b"OK":
                facts.database = int(sent.argv[1])
            case [b"CLIENT", b"SETNAME", _] if reply == b"OK":
                facts.name = sent.argv[2]
            case [b"HELLO", version, *_]:
                facts.protocol = int(version)
            case [b"READONLY"]:
                facts.reads_anything = True
            case [b"READWRITE"]:
                facts.reads_anything = False
            case [b"CLIENT", b"GETNAME"]:
                self._require(sent, reply, (reply or b"") == facts.name or not facts.sure)
            case [b"CLIENT", b"ID"] | [b"CLUSTER", b"MYID"]:
                self._require(sent, reply, reply == self._identity.setdefault(words[1], reply))
            case [b"CLIENT", b"INFO"]:
                self._require(sent, reply, self._is_told(bytes(reply)) or not facts.sure)

    def _is_told(self, line: bytes) -> bool:
        """Whether CLIENT INFO tells the session as it is."""
        told = dict(pair.split(b"=", 1) for pair in line.split() if b"=" in pair)
        facts = self._facts
        known = self._identity.setdefault(b"ID", int(told[b"id"]))
        return (int(told[b"id"]), int(told[b"db"]), told[b"name"]) == (known, facts.database, facts.name) and int(
            told.get(b"resp", facts.protocol)
        ) == facts.protocol

    def _require(self, sent: Sent, reply: Any, holds: object) -> None:
        if not holds:
            raise self._wrong(sent, reply)

    def _wrong(self, sent: Sent, reply: Any) -> AssertionError:
        facts = vars(self._facts) | {"queued": None if self._facts.queued is None else len(self._facts.queued)}
        return AssertionError(f"stream {self.number} is answered {reply!r} to {sent.argv!r}; its session: {facts}")


def _is_word_of_the_log(argv: tuple[bytes, ...]) -> bool:
    """Whether it is one that nodes put there by themselves, and no client's."""
    return argv[0].upper() == b"REDRAFT" and argv[1].upper() in WORDS_OF_THE_LOG
