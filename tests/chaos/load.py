"""Clients that work on few keys at once, all the time, and write down what they asked and what they were answered.

Most of what they do is an operation on one key, for the search for a linear order; the rest are transactions that
append to several lists and read them, for the search for cycles.

What an error tells:

* `CLUSTERDOWN`, `LOADING`, `MOVED` and the like: it was not executed. It is no part of the history.
* `UNKNOWN`, a time-out, a broken connection: it may have been executed, now or later. Of a read, nothing is to be told.
* any other error is none that a client should ever see here, and is a finding.

Keys are changed every few seconds, so that each has a history short enough to be searched.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter as Counts
from collections.abc import Callable
from typing import Any

from linearizability import models
from linearizability.checker import Model
from linearizability.history import NEVER_NS, UNKNOWN, Operation
from linearizability.list_append import Append, Outcome, Read, Transaction

from chaos import client
from chaos.nodes import Nodes
from support.processes import ReplyError

KEYS_OF_A_KIND = 3
KEY_SECONDS = 4
TIMEOUT_SECONDS = 3.0
NOT_EXECUTED = ("CLUSTERDOWN", "LOADING", "MOVED", "EXECABORT", "TRYAGAIN")
ACCOUNTS = ("a", "b", "c")
MOST_STEPS = 4
"""Of a transaction that appends and reads."""
LONG_SECONDS = 100_000
"""The time to live of keys that never come to their end here, whatever a clock does."""

MODELS: dict[str, Callable[[], Model]] = {
    "register": models.Register,
    "counter": models.Counter,
    "queue": models.Queue,
    "hash": models.Hash,
    "transfers": models.Transfers,
}


def model_of(key: str) -> Model:
    """The model of a key's kind, which its name begins with."""
    return MODELS[key.partition(":")[0]]()


class Load:
    """All clients, until `stop`."""

    def __init__(self, nodes: Nodes, clients: int, seed: int, pause_seconds: float) -> None:
        self.nodes = nodes
        self.clients = clients
        self.history: list[Operation] = []
        self.transactions: list[Transaction] = []
        self.acknowledged: list[tuple[float, float]] = []
        """When each write was acknowledged (monotonic seconds), and what it took."""
        self.errors: Counts[str] = Counts()
        self.unexpected: list[str] = []
        self.pause_seconds = pause_seconds
        self.began = self.ended = time.monotonic()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=Client(self, number, random.Random(seed * 1000 + number)).run, daemon=True)
            for number in range(clients)
        ]

    def start(self) -> None:
        """Let all clients begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Have all clients end, and wait for them."""
        self._stopping.set()
        self.ended = time.monotonic()
        for thread in self._threads:
            thread.join()

    @property
    def stopping(self) -> bool:
        """Whether clients should end."""
        return self._stopping.is_set()

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than there is a load."""
        self._stopping.wait(seconds)

    def record(self, operation: Operation, *, is_write: bool) -> None:
        """An operation has its result."""
        with self._lock:
            self.history.append(operation)
            if is_write and operation.result is not UNKNOWN:
                self._acknowledge(operation.call_ns, operation.return_ns)

    def record_transaction(self, transaction: Transaction) -> None:
        """A transaction has come to an end, one or another."""
        with self._lock:
            self.transactions.append(transaction)
            if transaction.outcome is Outcome.DONE and any(isinstance(step, Append) for step in transaction.steps):
                self._acknowledge(transaction.call_ns, transaction.return_ns)

    def _acknowledge(self, call_ns: int, return_ns: int) -> None:
        self.acknowledged.append((return_ns / 1e9, (return_ns - call_ns) / 1e9))

    def failed(self, text: str, *, unexpected: bool = False) -> None:
        """An operation has none."""
        with self._lock:
            self.errors[text.split(" ", 1)[0]] += 1
            if unexpected:
                self.unexpected.append(text)


class Client:
    """One client of one node at a time; it goes to another when it is not served."""

    def __init__(self, load: Load, number: int, random_: random.Random) -> None:
        self._load = load
        self._number = number
        self._random = random_
        self._node = load.nodes.ids[number % len(load.nodes.ids)]
        self._next_element = number
        self._connection: client.Client | None = None
        self._count = 0

    def run(self) -> None:
        """Work until the load stops."""
        while not self._load.stopping:
            self._load.wait(self._random.uniform(0, 2 * self._load.pause_seconds))
            if self._connection is None and not self._connect():
                continue
            self._operate()
        self._hang_up()

    def _connect(self) -> bool:
        host, port = self._load.nodes.places[self._node]
        try:
            self._connection = client.Client(host, port, TIMEOUT_SECONDS)
        except client.BROKEN:
            self._load.failed("unreachable")
            self._node = self._random.choice(self._load.nodes.ids)
            return False
        return True

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _key(self, kind: str) -> str:
        generation = int((time.monotonic() - self._load.began) / KEY_SECONDS)
        return f"{kind}:{generation}:{self._random.randrange(KEYS_OF_A_KIND)}"

    def _ask(self, commands: list[list[str]]) -> tuple[Outcome, Any]:
        """What became of some commands sent at once, and the last reply."""
        try:
            assert self._connection is not None
            replies = self._connection.pipeline(commands)
        except client.BROKEN:
            self._hang_up()
            self._node = self._random.choice(self._load.nodes.ids)
            self._load.failed("connection")
            return Outcome.UNKNOWN, None
        reply = replies[-1]
        parts = reply if isinstance(reply, list) else []
        error = next((each for each in (reply, *replies, *parts) if isinstance(each, ReplyError)), None)
        if error is None:
            return Outcome.DONE, reply
        if str(error).startswith("UNKNOWN "):
            self._load.failed("UNKNOWN")
            return Outcome.UNKNOWN, None
        self._load.failed(f"{error} for {commands}", unexpected=not str(error).startswith(NOT_EXECUTED))
        return Outcome.FAILED, None

    def _operate(self) -> None:
        kind = self._random.choice([*MODELS, "append"])
        if kind == "append":
            self._append()
            return
        key = self._key(kind)
        action, commands, is_write = getattr(self, f"_{kind}")(key)
        call_ns = time.monotonic_ns()
        outcome, reply = self._ask(commands)
        return_ns = time.monotonic_ns()
        if outcome is Outcome.DONE:
            result = self._result(action, reply)
            self._load.record(Operation(self._number, call_ns, return_ns, key, action, result), is_write=is_write)
        elif outcome is Outcome.UNKNOWN and is_write:
            self._load.record(Operation(self._number, call_ns, NEVER_NS, key, action, UNKNOWN), is_write=True)

    def _append(self) -> None:
        """A transaction over several lists."""
        steps: list[Append | Read] = []
        for _ in range(self._random.randint(1, MOST_STEPS)):
            key = self._key("append")
            if self._random.random() < 0.5:
                self._next_element += self._load.clients
                steps.append(Append(key, self._next_element))
            else:
                steps.append(Read(key, None))
        commands = [
            ["RPUSH", step.key, str(step.element)] if isinstance(step, Append) else ["LRANGE", step.key, "0", "-1"]
            for step in steps
        ]
        call_ns = time.monotonic_ns()
        outcome, reply = self._ask([["MULTI"], *commands, ["EXEC"]])
        return_ns = NEVER_NS if outcome is Outcome.UNKNOWN else time.monotonic_ns()
        if outcome is Outcome.DONE:
            for number, (step, part) in enumerate(zip(steps, reply, strict=True)):
                if isinstance(step, Read):
                    steps[number] = step._replace(elements=tuple(map(int, part)))
        self._load.record_transaction(Transaction(self._number, call_ns, return_ns, outcome, tuple(steps)))

    @staticmethod
    def _result(action: tuple[Any, ...], reply: Any) -> Any:
        """A reply as the models have it."""
        name = action[0]
        if name == "set":
            return reply == b"OK"
        if name in ("setnx", "setxx"):
            return reply is not None
        if name == "count":
            return int(reply or 0)
        if name == "hget":
            return None if reply is None else int(reply)
        if name == "read":
            return [int(each or 0) for each in reply]
        if isinstance(reply, list):
            return [each.decode() if isinstance(each, bytes) else each for each in reply]
        return reply.decode() if isinstance(reply, bytes) else reply

    def _value(self) -> str:
        self._count += 1
        return f"{self._number}-{self._count}"

    # Each kind of key: the action as the model has it, the commands, and whether they write.

    def _register(self, key: str) -> tuple[tuple[Any, ...], list[list[str]], bool]:
        value = self._value()
        match self._random.randrange(10):
            case 0:
                return ("del",), [["DEL", key]], True
            case 1:
                return ("setnx", value), [["SET", key, value, "NX"]], True
            case 2:
                return ("setxx", value), [["SET", key, value, "XX"]], True
            case 3:
                return ("getset", value), [["SET", key, value, "GET"]], True
            case 4 | 5:
                ttl = ["EX", str(LONG_SECONDS)] if self._random.random() < 0.5 else []
                return ("set", value), [["SET", key, value, *ttl]], True
        return ("get",), [["GET", key]], False

    def _counter(self, key: str) -> tuple[tuple[Any, ...], list[list[str]], bool]:
        if self._random.random() < 0.5:
            number = self._random.randint(-3, 9)
            return ("incrby", number), [["INCRBY", key, str(number)]], True
        return ("count",), [["GET", key]], False

    def _queue(self, key: str) -> tuple[tuple[Any, ...], list[list[str]], bool]:
        match self._random.randrange(5):
            case 0 | 1:
                value = self._value()
                return ("rpush", value), [["RPUSH", key, value]], True
            case 2 | 3:
                return ("lpop",), [["LPOP", key]], True
        return ("lrange",), [["LRANGE", key, "0", "-1"]], False

    def _hash(self, key: str) -> tuple[tuple[Any, ...], list[list[str]], bool]:
        name, number = self._random.choice("xyz"), self._random.randint(1, 1000)
        match self._random.randrange(6):
            case 0:
                return ("hset", name, number), [["HSET", key, name, str(number)]], True
            case 1 | 2:
                return ("hincrby", name, number), [["HINCRBY", key, name, str(number)]], True
            case 3:
                return ("hdel", name), [["HDEL", key, name]], True
        return ("hget", name), [["HGET", key, name]], False

    def _transfers(self, key: str) -> tuple[tuple[Any, ...], list[list[str]], bool]:
        if self._random.random() < 0.5:
            first, second = self._random.sample(ACCOUNTS, 2)
            number = self._random.randint(1, 100)
            parts = ((first, -number), (second, number))
            moves = [["INCRBY", f"{key}:{name}", str(change)] for name, change in parts]
            return ("move", parts), [["MULTI"], *moves, ["EXEC"]], True
        return ("read", ACCOUNTS), [["MGET", *(f"{key}:{name}" for name in ACCOUNTS)]], False
