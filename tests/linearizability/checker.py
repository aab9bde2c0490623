"""Wing and Gong's search, as Lowe and porcupine do it.

Theory. A history is linearizable when each operation can be given one instant between its call and its return so that
the results are those of a sequential run. The search takes any operation whose call comes before the first return that
is left, applies it to the model, and goes on; where no such operation fits, it takes the last one back. Two ways that
have the same operations behind them in the same state go on alike, so each such pair (a set of operations, as the bits
of an integer, and a state) is tried once (Lowe, "Testing for linearizability", section 4). Keys are independent of each
other, so each has a search of its own (Herlihy and Wing, theorem 1: linearizability is local).

An operation whose outcome is not known returns at the end of time, with any result: to take it last of all is as good
as it never having happened. An operation that is known not to have happened is no part of the history.

The entries of calls and returns stand in a doubly linked list, so that one is lifted out and put back in O(1).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple, Protocol

from linearizability.history import Operation

MOST_STEPS = 5_000_000
"""A search that takes longer has no answer."""


class Model(Protocol):
    """What the operations of one key do, one after the other."""

    def initial(self) -> Hashable:
        """The state before all."""

    def step(self, state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
        """Whether the operation can have its result in that state, and the state after it."""


class Violation(NamedTuple):
    """A key whose operations cannot be explained."""

    key: str
    longest: list[Operation]
    """The longest run of operations that can be."""
    stuck: list[Operation]
    """None of these can come next, and one of them must."""

    def show(self, context: int = 12) -> str:
        """For people."""
        lines = [f"{self.key}: no order of the operations explains their results; the last that go together:"]
        lines += [f"  {operation.show()}" for operation in self.longest[-context:]]
        lines += ["then none of these can be next, and the first to return must:"]
        lines += [f"  {operation.show()}" for operation in self.stuck[:context]]
        return "\n".join(lines)


class UndecidedError(Exception):
    """The search took too long."""


class _Node:
    __slots__ = ("match", "next", "number", "previous")

    def __init__(self, number: int) -> None:
        self.number = number
        self.match: _Node | None = None
        """Of a call, its return; None for a return."""
        self.previous: _Node = self
        self.next: _Node | None = None


def _linked(operations: list[Operation]) -> _Node:
    """The head of the list of calls and returns, in order of time; at one instant calls come first."""
    events = [(each.call_ns, 0, number) for number, each in enumerate(operations)]
    events += [(each.return_ns, 1, number) for number, each in enumerate(operations)]
    head = last = _Node(-1)
    calls: dict[int, _Node] = {}
    for _, is_return, number in sorted(events):
        node = _Node(number)
        node.previous, last.next = last, node
        last = node
        if is_return:
            calls[number].match = node
        else:
            calls[number] = node
    return head


def _lift(call: _Node) -> None:
    for node in (call, call.match):
        assert node is not None
        node.previous.next = node.next
        if node.next is not None:
            node.next.previous = node.previous


def _put_back(call: _Node) -> None:
    for node in (call.match, call):
        assert node is not None
        node.previous.next = node
        if node.next is not None:
            node.next.previous = node


def check_key(model: Model, operations: list[Operation]) -> Violation | None:
    """Search one key's operations. Raises UndecidedError."""
    head = _linked(operations)
    state = model.initial()
    done = 0
    seen: set[tuple[int, Hashable]] = set()
    taken: list[tuple[_Node, Hashable]] = []
    longest: list[Operation] = []
    stuck: list[Operation] = []
    steps = 0
    node = head.next
    while head.next is not None:
        steps += 1
        if steps > MOST_STEPS:
            raise UndecidedError(f"{operations[0].key}: {len(operations)} operations, undecided")
        assert node is not None
        if node.match is not None:
            fits, after = model.step(state, operations[node.number])
            place = (done | 1 << node.number, after)
            if fits and place not in seen:
                seen.add(place)
                taken.append((node, state))
                done, state = place
                _lift(node)
                node = head.next
            else:
                node = node.next
            continue
        if len(taken) > len(longest) or not stuck:
            longest = [operations[each.number] for each, _ in taken]
            stuck = [operations[each] for each in _open_before(head, node)]
        if not taken:
            return Violation(operations[0].key, longest, stuck)
        node, state = taken.pop()
        done &= ~(1 << node.number)
        _put_back(node)
        node = node.next
    return None


def _open_before(head: _Node, last: _Node) -> Iterable[int]:
    node = head.next
    while node is not None and node is not last:
        yield node.number
        node = node.next


def check(model_of: Callable[[str], Model], history: Iterable[Operation]) -> list[Violation]:
    """Search a history, each key by itself: the keys that cannot be explained. Raises UndecidedError."""
    by_key: dict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        by_key[operation.key].append(operation)
    found = [check_key(model_of(key), operations) for key, operations in sorted(by_key.items())]
    return [violation for violation in found if violation is not None]
