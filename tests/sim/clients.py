"""Simulated clients on all nodes: what they ask, when, and what they are answered; and whether that can be explained.

Each works on a few keys that all share: registers (also by WATCH, GET, MULTI, SET, EXEC, and by several SETs in one
pipeline), counters (also several INCRs in one), queues (BLPOP among the ways to take), hashes, sets (members taken at
random), transfers between counters in a transaction, registers that expire. Keys are changed every few seconds, and
deleted a while later. What an error tells is as in `chaos.load`:

* CLUSTERDOWN, LOADING and the like: it was not executed (nor was a command of a newer version, see `support.newer`,
  which is refused until all nodes know it);
* UNBLOCKED: a wait was ended, and has taken nothing;
* UNKNOWN, a broken connection, no answer in time: it may have been executed, now or later;
* any other is a violation.

At the end each key's history must be linearizable (`linearizability`). Where clocks drift by more than is stated, reads
may be old and are left out; the writes, and what they were answered, may not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

import hiredis
from linearizability import models
from linearizability.checker import Model, UndecidedError, Violation, check_key
from linearizability.history import NEVER_NS, UNKNOWN, Operation

from redraft.shard.entry import pack
from sim.asking import Asking
from sim.clocks import START_MS
from sim.events import MS, SECOND
from sim.wires import CLIENTS, Connection
from support.processes import NOTHING, ReplyError

if TYPE_CHECKING:
    from sim.cluster import Cluster
    from sim.machine import Machine

KEYS_OF_A_KIND = 2
KEY_NS = 5 * SECOND
PATIENCE_NS = 8 * SECOND
"""A client waits for so long: longer than a node holds a command back, in most cases."""
NOT_EXECUTED = (
    "CLUSTERDOWN", "LOADING", "MOVED", "EXECABORT", "TRYAGAIN", "UNBLOCKED", "ERR unknown command 'SETNEWER'",
    "ERR 'setnewer' needs feature level",
)  # fmt: skip
ACCOUNTS = ("a", "b", "c")

Step = tuple[tuple[Any, ...] | None, list[tuple[Any, ...]]]
"""The action as its model has it, and the commands; no action: not part of the history."""


MODELS: dict[str, Callable[[], Model]] = {
    "register": models.Register,
    "counter": models.Counter,
    "queue": models.Queue,
    "hash": models.Hash,
    "transfers": models.Transfers,
    "expiring": models.Expiring,
    "set": models.Set,
}


class Waits(Protocol):
    """A client that may wait for an answer."""

    @property
    def waits(self) -> bool:
        """Whether it does."""


class Clients:
    """All of a cluster's."""

    def __init__(self, cluster: Cluster, count: int, pause_ns: int) -> None:
        self.cluster = cluster
        self.pause_ns = pause_ns
        self.history: list[Operation] = []
        self.errors: Counter[str] = Counter()
        self.undecided = 0
        self.answers = 0
        self.stopped = False
        self.values = 0
        self.large_bytes = 0
        """So long are some values, where there are large ones."""
        self.kinds = list(MODELS)
        self._deleted = 0
        self._strangers = 0
        self.clients = [Client(self, number + 1) for number in range(count)]
        self.names_deadlines = False
        """Whether clients, whose clocks are right, say when a key is to expire, and not only how long it is to live."""
        self.others: list[Waits] = []
        """Clients of other kinds, which are waited for at the end too."""

    def start(self) -> None:
        """Let them begin."""
        for client in self.clients:
            client.rest()
        self.cluster.events.after(KEY_NS, self._delete_old)

    def stop(self) -> None:
        """No client asks anything more."""
        self.stopped = True

    def idle(self) -> bool:
        """Whether none waits for an answer."""
        return all(client.action is None for client in self.clients) and not any(
            each.waits for each in (*self.clients, *self.others)
        )

    def generation(self) -> int:
        """Which keys are worked on now."""
        return self.cluster.events.now_ns // KEY_NS

    def value(self, random: Random) -> str:
        """A value that no other operation writes."""
        self.values += 1
        padding = "-" * random.randint(1, self.large_bytes) if self.large_bytes and random.random() < 0.1 else ""
        return f"v{self.values}{padding}"

    def _delete_old(self, _: object) -> None:
        """Have somebody delete the keys that nobody works on any more."""
        if self.stopped:
            return
        old = self.generation() - 4
        while self._deleted < old:
            keys = [f"{kind}:{self._deleted}:{number}" for kind in self.kinds for number in range(KEYS_OF_A_KIND)]
            keys += [f"{key}:{name}" for key in keys if key.startswith("transfers") for name in ACCOUNTS]
            self.clients[self._deleted % len(self.clients)].chores.append([("DEL", *keys)])
            self._deleted += 1
        self.cluster.events.after(KEY_NS, self._delete_old)

    def ask_for_chaos(
        self,
        machine: Machine,
        key: str,
        action: tuple[Any, ...],
        command: tuple[Any, ...],
        then: Callable[[], None] | None = None,
    ) -> None:
        """Have a client of its own ask one thing of a machine, which is part of the history; `then`: it was done."""
        self._strangers += 1
        number, call_ns = -self._strangers, self.cluster.events.now_ns

        def done(reply: Any) -> None:
            if not isinstance(reply, ReplyError):
                now_ns = self.cluster.events.now_ns
                if action[0] in models.READS and machine.reads_anything:
                    return
                self.record(Operation(number, call_ns, now_ns, key, action, result_of(action, reply)))
                if then is not None:
                    then()
            elif not str(reply).startswith(NOT_EXECUTED) and action[0] not in models.READS:
                self.record(Operation(number, call_ns, NEVER_NS, key, action, UNKNOWN))

        Asking(self.cluster, machine, command, done)

    def record(self, operation: Operation) -> None:
        """An operation has its result."""
        self.history.append(operation)

    def violations(self, *, reads_count: bool = True) -> list[Violation]:
        """The keys whose operations cannot be explained. Searches that take too long are counted as `undecided`."""
        by_key: dict[str, list[Operation]] = {}
        for operation in self.history:
            if reads_count or operation.action[0] not in models.READS:
                by_key.setdefault(operation.key, []).append(operation)
        found = []
        for key, operations in sorted(by_key.items()):
            try:
                violation = check_key(MODELS[key.partition(":")[0]](), models.with_lost_pops(operations))
            except UndecidedError:
                self.undecided += 1
                continue
            if violation is not None:
                found.append(violation)
        return found


class Client:
    """One client; it goes to another node when it is not served."""

    def __init__(self, clients: Clients, number: int) -> None:
        self._clients = clients
        self._cluster = clients.cluster
        self._number = number
        self._random: Random = clients.cluster.random(f"client {number}")
        self._machine = 0
        self._connection: Connection | None = None
        self._reader = self._new_reader()
        self.action: tuple[Any, ...] | None = None
        self.waits = False
        self.chores: list[list[tuple[Any, ...]]] = []
        self._key = ""
        self._ahead: list[tuple[str, tuple[Any, ...]]] = []
        """Keys and actions of the commands that stand before `action` in its pipeline."""
        self._call_ns = 0
        self._wanted = 0
        self._replies: list[Any] = []
        self._asked = 0
        self._then: Callable[[Any], Step | None] | None = None

    @staticmethod
    def _new_reader() -> Any:
        return hiredis.Reader(replyError=ReplyError, notEnoughData=NOTHING)

    def rest(self) -> None:
        """Do nothing for a moment."""
        pause_ns = int(self._random.expovariate(1.0) * self._clients.pause_ns)
        self._cluster.events.after(pause_ns, self._work)

    def _work(self, _: object) -> None:
        if self._clients.stopped:
            return
        if self._connection is None and not self._connect():
            self.rest()
            return
        if self.chores:
            self._ask(None, self.chores.pop())
            return
        clients = self._clients
        kind = self._random.choice(clients.kinds)
        self._key = f"{kind}:{clients.generation()}:{self._random.randrange(KEYS_OF_A_KIND)}"
        self._ask(*getattr(self, f"_{kind}")(self._key))

    def _connect(self) -> bool:
        up = [machine.number for machine in self._cluster.machines.values() if machine.up]
        if not up:
            return False
        self._machine = self._random.choice(up)
        self._reader = self._new_reader()
        self._connection = self._cluster.machines[self._machine].accept(CLIENTS, self)
        return True

    def _ask(self, action: tuple[Any, ...] | None, commands: list[tuple[Any, ...]]) -> None:
        assert self._connection is not None
        self.action = action
        self.waits = True
        self._call_ns = self._cluster.events.now_ns
        self._wanted = len(commands)
        self._replies = []
        self._asked += 1
        data = b"".join(pack(tuple(map(as_word, command))) for command in commands)
        self._connection.send(near=True, data=data)
        self._cluster.events.after(PATIENCE_NS, self._give_up, self._asked)

    # What comes back.

    def arrived(self, data: bytes) -> None:
        """Bytes have come."""
        if self._connection is None:
            return
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not NOTHING:
            if not self.waits:
                raise AssertionError(f"client {self._number} is answered {reply!r} to nothing")
            self._replies.append(reply)
            if len(self._replies) == self._wanted:
                self._answered()

    def ended(self) -> None:
        """The node is gone."""
        if self._connection is not None:
            self._connection.wires[1].end = None
            self._hang_up("connection")

    def _give_up(self, asked: int) -> None:
        if self.waits and asked == self._asked:
            self._hang_up("time-out")

    def _hang_up(self, why: str) -> None:
        if self._connection is not None:
            self._connection.close(near=True)
            self._connection = None
        self._then = None
        if self.waits:
            self.waits = False
            self._lost(why)
            self.rest()

    def _lost(self, why: str) -> None:
        self._clients.errors[why] += 1
        for key, action in self._take_actions():
            if action[0] not in models.READS:
                self._clients.record(Operation(self._number, self._call_ns, NEVER_NS, key, action, UNKNOWN))

    def _take_actions(self) -> list[tuple[str, tuple[Any, ...]]]:
        """What was asked and is part of the history, in order; it counts as answered or lost now."""
        actions = self._ahead if self.action is None else [*self._ahead, (self._key, self.action)]
        self._ahead, self.action = [], None
        return actions

    def _answered(self) -> None:
        self.waits = False
        replies, then = self._replies, self._then
        self._then = None
        reply = replies[-1]
        error = next((each for each in (reply, *replies) if isinstance(each, ReplyError)), None)
        self._clients.answers += 1
        if error is None:
            now_ns = self._cluster.events.now_ns
            actions = self._take_actions()
            # Where there are fewer actions than commands, the last replies are those of the actions.
            for (key, action), each in zip(reversed(actions), reversed(replies), strict=False):
                if action[0] in models.READS and self._cluster.machines[self._machine].reads_anything:
                    continue
                if not (action[0] == "cas" and each is None):
                    result = result_of(action, each)
                    self._clients.record(Operation(self._number, self._call_ns, now_ns, key, action, result))
            following = then(reply) if then is not None else None
            if following is not None:
                self._ask(*following)
                return
        elif str(error).startswith("UNKNOWN ") or (self._ahead and str(error).startswith(NOT_EXECUTED)):
            # Of a pipeline, some may have been executed.
            self._lost("UNKNOWN")
            if then is not None or len(replies) > 1:
                self._hang_up("UNKNOWN")
        elif str(error).startswith(NOT_EXECUTED):
            self._clients.errors[str(error).split(" ", 1)[0]] += 1
            self.action = None
            if then is not None or len(replies) > 1:
                # MULTI or WATCH may be in force.
                self._hang_up("")
            elif self._random.random() < 0.5:
                self._hang_up("")
        else:
            raise AssertionError(f"client {self._number} is answered {error!r} for {self.action} of {self._key}")
        self.rest()

    def _value(self) -> str:
        return self._clients.value(self._random)

    def _others(self, key: str) -> list[str]:
        """One to four keys of the same kind and time, in any order, for a pipeline; `key` may be among them."""
        count = self._random.randint(1, 4)
        return [f"{key[:-1]}{self._random.randrange(KEYS_OF_A_KIND)}" for _ in range(count)]

    # Each kind of key.

    def _register(self, key: str) -> Step:
        value = self._value()
        match self._random.randrange(12):
            case 0:
                return ("del",), [("DEL", key)]
            case 1:
                return ("setnx", value), [("SET", key, value, "NX")]
            case 2:
                return ("setxx", value), [("SET", key, value, "XX")]
            case 3:
                return ("getset", value), [("SET", key, value, "GET")]
            case 4:
                name = self._random.choice(("SET", "SETNEWER"))
                return ("set", value), [(name, key, value)]
            case 5:
                self._ahead = [(other, ("set", self._value())) for other in self._others(key)]
                ahead = [("SET", other, action[1]) for other, action in self._ahead]
                return ("set", value), [*ahead, ("SET", key, value)]
            case 6 | 7:
                self._then = lambda reply: (
                    ("cas", _text(reply), value), [("MULTI",), ("SET", key, value), ("EXEC",)],
                )  # fmt: skip
                return ("get",), [("WATCH", key), ("GET", key)]
        return ("get",), [("GET", key)]

    def _counter(self, key: str) -> Step:
        number = self._random.randint(-3, 9)
        match self._random.randrange(6):
            case 0:
                self._ahead = [(other, ("incrby", 1)) for other in self._others(key)]
                ahead = [("INCR", other) for other, _ in self._ahead]
                return ("incrby", 1), [*ahead, ("INCR", key)]
            case 1 | 2:
                return ("incrby", number), [("INCRBY", key, number)]
        return ("count",), [("GET", key)]

    def _queue(self, key: str) -> Step:
        match self._random.randrange(6):
            case 0 | 1:
                value = self._value()
                return ("rpush", value), [("RPUSH", key, value)]
            case 2:
                return ("lpop",), [("LPOP", key)]
            case 3 | 4:
                return ("lpop",), [("BLPOP", key, self._random.choice(("0.05", "0.5", "2")))]
        return ("lrange",), [("LRANGE", key, 0, -1)]

    def _hash(self, key: str) -> Step:
        name, number = self._random.choice("xyz"), self._random.randint(1, 1000)
        match self._random.randrange(6):
            case 0:
                return ("hset", name, number), [("HSET", key, name, number)]
            case 1 | 2:
                return ("hincrby", name, number), [("HINCRBY", key, name, number)]
            case 3:
                return ("hdel", name), [("HDEL", key, name)]
        return ("hget", name), [("HGET", key, name)]

    def _transfers(self, key: str) -> Step:
        if self._random.random() < 0.5:
            first, second = self._random.sample(ACCOUNTS, 2)
            number = self._random.randint(1, 100)
            parts = ((first, -number), (second, number))
            moves = [("INCRBY", f"{key}:{name}", change) for name, change in parts]
            return ("move", parts), [("MULTI",), *moves, ("EXEC",)]
        return ("read", ACCOUNTS), [("MGET", *(f"{key}:{name}" for name in ACCOUNTS))]

    def _set(self, key: str) -> Step:
        match self._random.randrange(5):
            case 0 | 1:
                value = self._value()
                return ("sadd", value), [("SADD", key, value)]
            case 2:
                return ("smembers",), [("SMEMBERS", key)]
        return ("spop",), [("SPOP", key)]

    def _expiring(self, key: str) -> Step:
        match self._random.randrange(6):
            case 0 | 1:
                value, left_ms = self._value(), self._random.choice((20, 300, 1500, 4000))
                if self._clients.names_deadlines and self._random.random() < 0.3:
                    now_ns = self._cluster.events.now_ns
                    deadline_ms = START_MS + now_ns // MS + left_ms
                    action = ("setpx", value, left_ms, now_ns + left_ms * MS)
                    return action, [("SET", key, value, "PXAT", deadline_ms)]
                return ("setpx", value, left_ms), [("SET", key, value, "PX", left_ms)]
            case 2:
                return ("xdel",), [("DEL", key)]
        return ("xget",), [("GET", key)]


def as_word(word: object) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()


def _text(reply: Any) -> Any:
    return reply.decode() if isinstance(reply, bytes) else reply


def result_of(action: tuple[Any, ...], reply: Any) -> Any:
    """A reply as the models have it."""
    name = action[0]
    if name in ("set", "setpx"):
        return reply == b"OK"
    if name == "cas":
        return reply is not None
    if name in ("setnx", "setxx"):
        return reply is not None
    if name == "count":
        return int(reply or 0)
    if name == "hget":
        return None if reply is None else int(reply)
    if name == "read":
        return [int(each or 0) for each in reply]
    if name == "lpop" and isinstance(reply, list):
        return _text(reply[1])
    if isinstance(reply, list):
        return [_text(each) for each in reply]
    return _text(reply)
