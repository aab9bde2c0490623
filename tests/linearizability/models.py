"""What Redis's commands do to one key, for the checker: values as small immutable states.

Results are as redis-py gives them. `UNKNOWN` fits in every state. Transactions work on several counters at once, which
are then one key for the checker.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from linearizability.history import UNKNOWN, Operation

READS = frozenset({"get", "count", "lrange", "hget", "read", "xget", "smembers"})
REFUSED: dict[str, Any] = {"setnx": False, "setxx": False, "del": 0, "lpop": None, "hdel": 0}
"""Actions that have changed nothing when this is their result."""


class KeyModel:
    """What all models of one key have in common."""

    def changes(self, operation: Operation) -> bool:
        """Whether the operation, with the result that it had, can have changed any state."""
        name = operation.action[0]
        return name not in READS and not (name in REFUSED and operation.result == REFUSED[name])


def _fits(result: Any, expected: Any) -> bool:
    return result is UNKNOWN or result == expected


class Register(KeyModel):
    """SET, SET NX, SET XX, GET, DEL, GETSET; a value is a string, and None where there is none. ("cas", old, new) is an
    EXEC that sets `new` and was not refused, while the key was watched since it was `old`."""

    def initial(self) -> Hashable:
        return None

    def step(self, state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
        match operation.action:
            case ("set", value):
                return _fits(operation.result, True), value
            case ("setnx", value):
                return _fits(operation.result, state is None), value if state is None else state
            case ("setxx", value):
                return _fits(operation.result, state is not None), state if state is None else value
            case ("cas", old, value):
                return operation.result is UNKNOWN or state == old, value if state == old else state
            case ("getset", value):
                return _fits(operation.result, state), value
            case ("get",):
                return _fits(operation.result, state), state
            case ("del",):
                return _fits(operation.result, int(state is not None)), None
        raise ValueError(operation.action)


class Counter(KeyModel):
    """INCRBY, and GET as a number ("count")."""

    def initial(self) -> Hashable:
        return 0

    def step(self, state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
        assert isinstance(state, int)
        match operation.action:
            case ("incrby", number):
                return _fits(operation.result, state + number), state + number
            case ("count",):
                return _fits(operation.result, state), state
        raise ValueError(operation.action)


class Queue(KeyModel):
    """RPUSH, LPOP and LRANGE 0 -1: each element is there exactly once."""

    def initial(self) -> Hashable:
        return ()

    def step(self, state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
        assert isinstance(state, tuple)
        match operation.action:
            case ("rpush", element):
                return _fits(operation.result, len(state) + 1), (*state, element)
            case ("lpop",):
                return _fits(operation.result, state[0] if state else None), state[1:]
            case ("lrange",):
                return _fits(operation.result, list(state)), state
        raise ValueError(operation.action)


class Hash(KeyModel):
    """HSET, HGET, HINCRBY and HDEL of one hash; numbers only."""

    def initial(self) -> Hashable:
        return frozenset()

    def step(self, state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
        assert isinstance(state, frozenset)
        fields: dict[str, int] = dict(state)
        match operation.action:
            case ("hset", name, value):
                expected: int | None = int(name not in fields)
                fields[name] = value
            case ("hincrby", name, number):
                expected = fields[name] = fields.get(name, 0) + number
            case ("hget", name):
                expected = fields.get(name)
            case ("hdel", name):
                expected = int(fields.pop(name, None) is not None)
            case _:
                raise ValueError(operation.action)
        return _fits(operation.result, expected), frozenset(fields.items())


class Transfers(KeyModel):
    """MULTI of INCRBYs of several counters, ("move", ((name, number), …)), and MGET of all of them, ("read", names)."""

    def initial(self) -> Hashable:
        return frozenset()

    def step(self, state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
        assert isinstance(state, frozenset)
        counters: dict[str, int] = dict(state)
        match operation.action:
            case ("move", parts):
                expected = []
                for name, number in parts:
                    counters[name] = counters.get(name, 0) + number
                    expected.append(counters[name])
            case ("read", names):
                expected = [counters.get(name, 0) for name in names]
            case _:
                raise ValueError(operation.action)
        return _fits(operation.result, expected), frozenset(counters.items())


class Expiring(KeyModel):
    """SET PX, GET and DEL of a key with a time to live (how long it is may stand behind the value): it may be gone at
    any time, and does not come back. So a GET that finds nothing is no mere read: from then on the key is gone."""

    def changes(self, operation: Operation) -> bool:
        return operation.action[0] != "xget" or operation.result is None

    def initial(self) -> Hashable:
        return None

    def step(self, state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
        result = operation.result
        match operation.action:
            case ("setpx", value, *_):
                return result is UNKNOWN or result is True, value
            case ("xget",):
                return result is None or result == state, state if result is not None else None
            case ("xdel",):
                return result is UNKNOWN or result == 0 or state is not None, None
        raise ValueError(operation.action)


class Set(KeyModel):
    """SADD, SPOP and SMEMBERS of one set; ("lose", member) is what a pop of unknown outcome may have been (see
    `with_lost_pops`)."""

    def initial(self) -> Hashable:
        return frozenset()

    def step(self, state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
        assert isinstance(state, frozenset)
        result = operation.result
        match operation.action:
            case ("sadd", member):
                return result is UNKNOWN or result == int(member not in state), state | {member}
            case ("spop",):
                return (result in state if state else result is None), state - {result}
            case ("lose", member):
                return True, state - {member}
            case ("smembers",):
                return sorted(result) == sorted(state), state
        raise ValueError(operation.action)


def with_lost_pops(operations: list[Operation]) -> list[Operation]:
    """The operations on a set, with a possible removal of each member in the place of each pop of unknown outcome.

    More is possible then than was: such a pop may remove several members. So nothing is called a violation that is
    none, and one may be missed.
    """
    members = sorted({each.action[1] for each in operations if each.action[0] == "sadd"})
    found = []
    for each in operations:
        if each.action == ("spop",) and each.result is UNKNOWN:
            found += [each._replace(action=("lose", member)) for member in members]
        else:
            found.append(each)
    return found
