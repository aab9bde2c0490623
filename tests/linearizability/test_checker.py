"""The checker against histories whose verdict is known, and against trying all orders."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from linearizability.checker import Model, check, check_key
from linearizability.history import NEVER_NS, UNKNOWN, Operation
from linearizability.models import Counter, Expiring, Hash, Queue, Register, Set, Transfers, with_lost_pops

Row = tuple[int, int, tuple[Any, ...], Any]
"""Call, return (0: never), action, result."""


def history(*rows: Row) -> list[Operation]:
    return [
        Operation(client, call, end or NEVER_NS, "k", action, result)
        for client, (call, end, action, result) in enumerate(rows)
    ]


GOOD: list[tuple[str, Model, list[Row]]] = [
    ("nothing", Register(), []),
    ("one after the other", Register(), [(1, 2, ("set", "a"), True), (3, 4, ("get",), "a")]),
    ("a read beside a write sees either", Register(), [(1, 9, ("set", "a"), True), (2, 3, ("get",), None)]),
    (
        "a lost answer that happened late",
        Register(),
        [(1, 0, ("set", "a"), UNKNOWN), (2, 3, ("get",), None), (9, 10, ("get",), "a")],
    ),
    ("a lost answer that never happened", Counter(), [(1, 0, ("incrby", 1), UNKNOWN), (5, 6, ("count",), 0)]),
    ("set if there is none", Register(), [(1, 9, ("setnx", "a"), True), (2, 8, ("setnx", "b"), False)]),
    ("two increments at once", Counter(), [(1, 9, ("incrby", 1), 2), (1, 9, ("incrby", 1), 1)]),
    ("a queue", Queue(), [(1, 9, ("rpush", "a"), 1), (2, 8, ("lpop",), None), (10, 11, ("lpop",), "a")]),
    ("a hash", Hash(), [(1, 2, ("hset", "f", 1), 1), (3, 4, ("hincrby", "f", 2), 3), (5, 6, ("hdel", "f"), 1)]),
    (
        "a transaction",
        Transfers(),
        [(1, 9, ("move", (("a", -1), ("b", 1))), [-1, 1]), (2, 8, ("read", ("a", "b")), [0, 0])],
    ),
]
GOOD += [
    (
        "a lost pop took the element",
        Queue(),
        [(1, 2, ("rpush", "a"), 1), (3, 0, ("lpop",), UNKNOWN), (4, 5, ("lrange",), ["a"]), (6, 7, ("lpop",), None)],
    ),
    (
        "a key that is gone at some time, before a GET of long ago",
        Expiring(),
        [(1, 2, ("setpx", "a"), True), (3, 9, ("xget",), None), (4, 5, ("xget",), "a"), (10, 11, ("xget",), None)],
    ),
    ("a refused SET XX beside a SET", Register(), [(1, 9, ("set", "a"), True), (2, 8, ("setxx", "b"), False)]),
    ("SET GET", Register(), [(1, 2, ("getset", "a"), None), (3, 4, ("getset", "b"), "a"), (5, 6, ("get",), "b")]),
    (
        "a lost transaction that happened whole",
        Transfers(),
        [
            (1, 0, ("move", (("a", -1), ("b", 1))), UNKNOWN),
            (2, 3, ("read", ("a",)), [0]),
            (4, 5, ("read", ("b",)), [1]),
        ],
    ),
    (
        "two lost ones of which both are needed",
        Counter(),
        [(1, 0, ("incrby", 2), UNKNOWN), (1, 0, ("incrby", 3), UNKNOWN), (5, 6, ("count",), 5)],
    ),
]
GOOD += [
    (
        "two that watch the same key, one after the other",
        Register(),
        [(1, 2, ("set", "a"), True), (3, 9, ("cas", "a", "b"), True), (4, 8, ("cas", "b", "c"), True)],
    ),
    (
        "a lost EXEC whose key had changed",
        Register(),
        [(1, 2, ("set", "a"), True), (3, 0, ("cas", "b", "c"), UNKNOWN), (4, 5, ("get",), "a")],
    ),
    (
        "a set",
        Set(),
        [(1, 9, ("sadd", "a"), 1), (1, 9, ("sadd", "a"), 0), (10, 11, ("spop",), "a"), (12, 13, ("spop",), None)],
    ),
    ("a lost SADD", Set(), [(1, 0, ("sadd", "a"), UNKNOWN), (2, 3, ("smembers",), []), (4, 5, ("smembers",), ["a"])]),
]
BAD: list[tuple[str, Model, list[Row]]] = [
    (
        "two that watch the same key, and both change it",
        Register(),
        [(1, 2, ("set", "a"), True), (3, 9, ("cas", "a", "b"), True), (4, 8, ("cas", "a", "c"), True)],
    ),
    (
        "an EXEC in spite of a change",
        Register(),
        [(1, 2, ("set", "a"), True), (3, 4, ("getset", "b"), "a"), (5, 6, ("cas", "a", "c"), True)],
    ),
    ("a member popped twice", Set(), [(1, 2, ("sadd", "a"), 1), (3, 9, ("spop",), "a"), (4, 8, ("spop",), "a")]),
    ("a member that nobody added", Set(), [(1, 2, ("sadd", "a"), 1), (3, 4, ("smembers",), ["a", "b"])]),
    ("a member added twice", Set(), [(1, 9, ("sadd", "a"), 1), (2, 8, ("sadd", "a"), 1)]),
    (
        "a key that was gone and is back",
        Expiring(),
        [(1, 2, ("setpx", "a"), True), (3, 4, ("xget",), None), (5, 6, ("xget",), "a")],
    ),
    ("SET XX made what there was not", Register(), [(1, 2, ("setxx", "a"), True)]),
    ("deleted twice", Register(), [(1, 2, ("set", "a"), True), (3, 9, ("del",), 1), (4, 8, ("del",), 1)]),
    ("a lost element", Queue(), [(1, 2, ("rpush", "a"), 1), (3, 4, ("rpush", "b"), 2), (5, 6, ("lrange",), ["b"])]),
    ("an element twice", Queue(), [(1, 0, ("rpush", "a"), UNKNOWN), (5, 6, ("lrange",), ["a", "a"])]),
    (
        "an element that comes back after a lost pop",
        Queue(),
        [(1, 2, ("rpush", "a"), 1), (3, 0, ("lpop",), UNKNOWN), (4, 5, ("lrange",), []), (6, 7, ("lpop",), "a")],
    ),
    (
        "a lost field",
        Hash(),
        [(1, 2, ("hset", "f", 1), 1), (3, 4, ("hincrby", "g", 2), 2), (5, 6, ("hget", "f"), None)],
    ),
    (
        "a lost transaction of which half happened",
        Transfers(),
        [(1, 0, ("move", (("a", -1), ("b", 1))), UNKNOWN), (2, 3, ("read", ("a", "b")), [-1, 0])],
    ),
    (
        "two lost ones that would be needed twice",
        Counter(),
        [(1, 0, ("incrby", 2), UNKNOWN), (1, 0, ("incrby", 3), UNKNOWN), (5, 6, ("count",), 7)],
    ),
    ("a stale read", Register(), [(1, 2, ("set", "a"), True), (3, 4, ("get",), None)]),
    (
        "a read that goes back",
        Register(),
        [(1, 20, ("set", "a"), True), (2, 3, ("get",), "a"), (4, 5, ("get",), None)],
    ),
    ("a lost write", Counter(), [(1, 2, ("incrby", 1), 1), (3, 4, ("incrby", 1), 1)]),
    ("applied twice", Counter(), [(1, 2, ("incrby", 1), 1), (3, 4, ("count",), 2)]),
    (
        "a lost answer applied twice",
        Counter(),
        [(1, 0, ("incrby", 1), UNKNOWN), (5, 6, ("count",), 1), (7, 8, ("count",), 2)],
    ),
    (
        "a lost answer that happened and then did not",
        Register(),
        [(1, 0, ("set", "a"), UNKNOWN), (2, 3, ("get",), "a"), (4, 5, ("get",), None)],
    ),
    ("popped twice", Queue(), [(1, 2, ("rpush", "a"), 1), (3, 9, ("lpop",), "a"), (4, 8, ("lpop",), "a")]),
    ("both set what there is once only", Register(), [(1, 9, ("setnx", "a"), True), (2, 8, ("setnx", "b"), True)]),
    (
        "half a transaction",
        Transfers(),
        [(1, 9, ("move", (("a", -1), ("b", 1))), [-1, 1]), (2, 8, ("read", ("a", "b")), [-1, 0])],
    ),
]


@pytest.mark.parametrize(("model", "rows"), [row[1:] for row in GOOD], ids=[row[0] for row in GOOD])
def test_what_can_be_explained(model: Model, rows: list[Row]) -> None:
    assert check(lambda key: model, history(*rows)) == []


@pytest.mark.parametrize(("model", "rows"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_cannot_be_explained_is_shown(model: Model, rows: list[Row]) -> None:
    [violation] = check(lambda key: model, history(*rows))
    assert "no order of the operations explains their results" in violation.show()
    assert violation.stuck


ADDED: list[Row] = [(1, 2, ("sadd", "a"), 1), (3, 4, ("sadd", "b"), 1)]
LOST_POP: Row = (5, 0, ("spop",), UNKNOWN)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(6, 7, ("smembers",), ["a"])], True),
        ([(6, 7, ("smembers",), ["a", "b"]), (8, 9, ("smembers",), ["b"])], True),
        ([(6, 7, ("smembers",), ["b"]), (8, 9, ("smembers",), ["a", "b"])], False),
        ([(6, 7, ("smembers",), ["a"]), (8, 9, ("spop",), "b")], False),
        ([(6, 7, ("sadd", "a"), 1), (8, 9, ("smembers",), ["a", "b"])], True),
        ([(6, 7, ("smembers",), ["a", "c"])], False),
    ],
)
def test_a_pop_of_unknown_outcome_may_have_been_of_any_member(rows: list[Row], expected: bool) -> None:
    operations = with_lost_pops(history(*ADDED, LOST_POP, *rows))
    assert (check_key(Set(), operations) is None) == expected
    without = history(*ADDED, *rows)
    assert check_key(Set(), without) is not None


def test_a_pop_of_unknown_outcome_never_makes_a_violation() -> None:
    """Each such pop is tried as the removal of one member, or none; what is explained so is no violation."""
    random_ = random.Random(21)
    verdicts = []
    for _ in range(1500):
        operations = []
        for client in range(random_.randint(1, 5)):
            call = random_.randint(0, 12)
            action, result = random_action(random_, Set())
            is_lost = action == ("spop",) and random_.random() < 0.6
            end = NEVER_NS if is_lost else (call + random_.randint(1, 6)) * 2 + 1
            operations.append(Operation(client, call * 2, end, "k", action, UNKNOWN if is_lost else result))
        pops = [each for each in operations if each.result is UNKNOWN]
        others = [each for each in operations if each.result is not UNKNOWN]
        explained = any(
            explained_by_trying(
                Set(), others + [each._replace(action=what) for each, what in zip(pops, chosen, strict=True)]
            )
            for chosen in itertools.product([("lose", "a"), ("lose", "b")], repeat=len(pops))
        )
        found = check_key(Set(), with_lost_pops(operations)) is None
        assert found or not explained, operations
        verdicts.append((found, explained))
    assert verdicts.count((True, True)) > 200
    assert verdicts.count((False, False)) > 200
    assert verdicts.count((True, False)) < 30


def test_keys_are_independent() -> None:
    good = history((1, 2, ("set", "a"), True))
    bad = [operation._replace(key="other") for operation in history((1, 2, ("get",), "x"))]
    assert [violation.key for violation in check(lambda key: Register(), good + bad)] == ["other"]


def explained_by_trying(model: Model, operations: list[Operation]) -> bool:
    """Every order of every choice of the operations whose outcome is not known."""
    known = [each for each in operations if each.return_ns != NEVER_NS]
    unknown = [each for each in operations if each.return_ns == NEVER_NS]
    for count in range(len(unknown) + 1):
        for chosen in itertools.combinations(unknown, count):
            for order in itertools.permutations([*known, *chosen]):
                in_time = all(
                    not later.return_ns < earlier.call_ns for earlier, later in itertools.combinations(order, 2)
                )
                if in_time and _runs(model, order):
                    return True
    return False


def _runs(model: Model, order: tuple[Operation, ...]) -> bool:
    state = model.initial()
    for operation in order:
        fits, state = model.step(state, operation)
        if not fits:
            return False
    return True


def random_action(random_: random.Random, model: Model) -> tuple[tuple[Any, ...], Any]:
    """An action, and a result that it might have."""
    if isinstance(model, Counter):
        action: tuple[Any, ...] = random_.choice([("incrby", 1), ("incrby", 2), ("count",)])
        return action, random_.randint(0, 3)
    value = random_.choice("ab")
    if isinstance(model, Set):
        action = random_.choice([("sadd", value), ("spop",), ("smembers",)])
        members = [[], ["a"], ["b"], ["a", "b"]]
        return action, random_.choice({"sadd": [0, 1], "spop": [None, "a", "b"], "smembers": members}[action[0]])
    if isinstance(model, Queue):
        action = random_.choice([("rpush", value), ("lpop",), ("lrange",)])
        elements = [[], ["a"], ["b"], ["a", "b"], ["b", "a"]]
        return action, random_.choice({"rpush": [1, 2, 3], "lpop": [None, "a", "b"], "lrange": elements}[action[0]])
    if isinstance(model, Hash):
        number = random_.randint(1, 2)
        action = random_.choice([("hset", value, number), ("hincrby", value, number), ("hget", value), ("hdel", value)])
        return action, random_.choice([None, 1, 2, 3] if action[0] == "hget" else [0, 1, 2, 3])
    action = random_.choice(
        [("set", value), ("cas", value, "b"), ("setnx", value), ("setxx", value), ("getset", value), ("get",), ("del",)]
    )
    results: dict[str, list[Any]] = {"set": [True], "setnx": [True, False], "setxx": [True, False], "del": [0, 1]}
    results["cas"] = [True]
    return action, random_.choice(results.get(action[0], [None, "a", "b"]))


@pytest.mark.parametrize(
    "model", [Counter(), Register(), Hash(), Queue(), Set()], ids=lambda model: type(model).__name__
)
def test_it_says_the_same_as_trying_all_orders(model: Model) -> None:
    random_ = random.Random(20)
    verdicts = []
    for _ in range(1500):
        operations = []
        for client in range(random_.randint(1, 5)):
            call = random_.randint(0, 12)
            end = call + random_.randint(1, 6) if random_.random() < 0.7 else NEVER_NS
            action, result = random_action(random_, model)
            if isinstance(model, Set) and action[0] != "sadd" and end == NEVER_NS:
                end = call + 1  # the model knows no lost ones
            result = UNKNOWN if end == NEVER_NS else result
            operations.append(Operation(client, call * 2, end if end == NEVER_NS else end * 2 + 1, "k", action, result))
        verdict = check_key(model, operations) is None
        assert verdict == explained_by_trying(model, operations), operations
        verdicts.append(verdict)
    assert 100 < sum(verdicts) < 1400


def busy_history(model: Model, clients: int, count: int, lost: float, seed: int) -> list[Operation]:
    """What clients see of a server that does each operation at a random instant between its call and its return."""
    random_ = random.Random(seed)
    free = [0] * clients
    rows = []
    for _ in range(count):
        client = min(range(clients), key=free.__getitem__)
        call = free[client] + random_.randint(1, 2000)
        free[client] = end = call + random_.randint(1000, 20_000)
        rows.append((random_.randint(call, end), client, call, end, random_.random() < lost))
    state = model.initial()
    operations = []
    for number, (_, client, call, end, is_lost) in enumerate(sorted(rows)):
        action = random_.choice(
            [("incrby", random_.randint(-3, 9)), ("count",)]
            if isinstance(model, Counter)
            else [
                ("set", f"v{number}"),
                ("setnx", f"v{number}"),
                ("getset", f"v{number}"),
                ("get",),
                ("get",),
                ("del",),
            ]
        )
        operation = Operation(client, call, NEVER_NS if is_lost else end, "k", action, UNKNOWN)
        if is_lost and random_.random() < 0.5:
            operations.append(operation)
            continue
        if not is_lost:
            before = state if state is not None or isinstance(model, Register) else 0
            results = {"set": True, "setnx": state is None, "del": int(state is not None)}
            result = before + action[1] if action[0] == "incrby" else results.get(action[0], before)  # type: ignore[operator]
            operation = operation._replace(result=result)
        fits, state = model.step(state, operation)
        assert fits
        operations.append(operation)
    return operations


@pytest.mark.parametrize("model", [Counter(), Register()], ids=["counter", "register"])
def test_a_long_history_is_decided_soon(model: Model) -> None:
    """Eight clients at once, all the time, some of whose answers are lost: ten minutes' worth for one key."""
    assert check_key(model, busy_history(model, 8, 10_000, 0.001, 5)) is None


@pytest.mark.parametrize("model", [Counter(), Register()], ids=["counter", "register"])
def test_a_wrong_result_in_a_long_history_is_found_soon(model: Model) -> None:
    operations = busy_history(model, 8, 5000, 0.0, 6)
    late = max(number for number, each in enumerate(operations) if each.action[0] in ("count", "get"))
    operations[late] = operations[late]._replace(result=-1)
    violation = check_key(model, operations)
    assert violation is not None
    assert -1 in [each.result for each in violation.stuck]
