"""Wing and Gong's search, as Lowe and porcupine do it.

Theory. A history is linearizable when each operation can be given one instant between its call and its return so that
the results are those of a sequential run. The search takes any operation whose call comes before the first return that
is left, applies it to the model, and goes on; where no such operation fits, it takes the last one back. Two ways that
have the same operations behind them in the same state go on alike, so each such pair (a set of operations and a state)
is tried once (Lowe, "Testing for linearizability", section 4). Keys are independent of each other, so each has a search
of its own (Herlihy and Wing, theorem 1: linearizability is local).

An operation whose outcome is not known returns at the end of time, with any result: to take it last of all is as good
as it never having happened. So the search is over when all others are taken, and it takes one of these only where
nothing else fits. An operation that is known not to have happened is no part of the history.

What keeps long histories short to search:

* An operation that changes nothing (a read, an SET NX that was refused) is taken as soon as it fits and never taken
  back: whatever order explains the rest explains it with this one first too.
* The set of operations behind is kept as the number of those that are all there and the bits of the few beyond them, as
  porcupine's bit sets do it, but no longer than there are clients: a place costs the same after an hour.
* Of operations of unknown outcome that ask for the same, the one that was called first is taken first; and a place that
  was reached with some of them is not tried again with these and more, which leaves less to choose from. One that does
  not matter to the operation behind it is not taken yet: it will be there later, too.

The entries of calls and returns stand in a doubly linked list, so that one is lifted out and put back in O(1).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from linearizability.history import NEVER_NS, Operation

MOST_STEPS = 5_000_000
"""A search that takes longer has no answer."""
SHOWN = 20
"""Operations of the longest way that are kept to be shown."""


class Model(Protocol):
    """What the operations of one key do, one after the other."""

    def initial(self) -> Hashable:
        """The state before all."""

    def step(self, state: Hashable, operation: Operation) -> tuple[bool, Hashable]:
        """Whether the operation can have its result in that state, and the state after it."""

    def changes(self, operation: Operation) -> bool:
        """Whether the operation, with the result that it had, can have changed any state."""


class Violation(NamedTuple):
    """A key whose operations cannot be explained."""

    key: str
    longest: list[Operation]
    """The last of the longest run of operations that can be."""
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
    """A call or a return of an operation whose outcome is known."""

    __slots__ = ("match", "next", "number", "operation", "previous")

    def __init__(self, number: int, operation: Operation | None) -> None:
        self.number = number
        self.operation = operation
        self.match: _Node | None = None
        """Of a call, its return; None for a return."""
        self.previous: _Node = self
        self.next: _Node | None = None


def _linked(operations: list[Operation]) -> _Node:
    """The head of the list of calls and returns, in order of time; at one instant calls come first."""
    events = [(each.call_ns, 0, number) for number, each in enumerate(operations)]
    events += [(each.return_ns, 1, number) for number, each in enumerate(operations)]
    head = last = _Node(-1, None)
    calls: dict[int, _Node] = {}
    for _, is_return, number in sorted(events):
        node = _Node(number, operations[number])
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


class _Taken(NamedTuple):
    """One step of the way, and what was before it."""

    node: _Node | None
    """None for an operation of unknown outcome."""
    unknown: int
    operation: Operation
    forced: bool
    """Whether nothing is gained by taking it back alone."""
    state: Hashable
    base: int
    beyond: int
    chosen: int


class _Search:
    """The search of one key."""

    def __init__(self, model: Model, operations: list[Operation]) -> None:
        self._model = model
        self._operations = operations
        ordered = sorted(operations, key=lambda each: each.call_ns)
        self._head = _linked([each for each in ordered if each.return_ns != NEVER_NS])
        self._unknown = [each for each in ordered if each.return_ns == NEVER_NS and model.changes(each)]
        self._earlier_alike = _earlier_alike(self._unknown)
        self._state = model.initial()
        self._base = 0
        """All operations of known outcome with smaller numbers are taken,"""
        self._beyond = 0
        """and of the others those whose bits are set here."""
        self._chosen = 0
        """The operations of unknown outcome that are taken, as bits."""
        self._taken: list[_Taken] = []
        self._seen: dict[tuple[int, int, Hashable], list[int]] = {}
        """Where the search has been, and with which operations of unknown outcome behind it."""
        self._steps = 0

    def run(self) -> Violation | None:
        """Search. Raises UndecidedError."""
        head = self._head
        longest, length, stuck = [], -1, []
        node, unknown = head.next, 0
        self._take_reads()
        node = head.next
        while head.next is not None:
            if self._advance(node, unknown):
                self._take_reads()
                node, unknown = head.next, 0
                continue
            if len(self._taken) > length:
                length = len(self._taken)
                longest = [each.operation for each in self._taken[-SHOWN:]]
                stuck = [each.operation for each in self._open() if each.operation is not None]
            back = self._take_back()
            if back is None:
                return Violation(self._operations[0].key, longest, stuck)
            node, unknown = (back.node.next, 0) if back.node is not None else (None, back.unknown + 1)
        return None

    def _open(self) -> Iterator[_Node]:
        """The calls before the first return that is left."""
        node = self._head.next
        while node is not None and node.match is not None:
            yield node
            node = node.next

    def _take_reads(self) -> None:
        """Take all that fits now and changes nothing."""
        node = self._head.next
        while node is not None and node.match is not None:
            assert node.operation is not None
            if not self._model.changes(node.operation) and self._fits(node.operation)[0]:
                self._take(node, -1, node.operation, self._state, forced=True)
                node = node.previous.next
            else:
                node = node.next

    def _fits(self, operation: Operation) -> tuple[bool, Hashable]:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise UndecidedError(f"{operation.key}: {len(self._operations)} operations, undecided")
        return self._model.step(self._state, operation)

    def _advance(self, node: _Node | None, unknown: int) -> bool:
        """Take the next operation that fits, from a call on, or else one of unknown outcome from a number on."""
        while node is not None and node.match is not None:
            operation = node.operation
            assert operation is not None
            if self._model.changes(operation):
                fits, after = self._fits(operation)
                if fits and not self._came_too_early(operation, -1, after) and self._take(node, -1, operation, after):
                    return True
            node = node.next
        first_return = next((each for each in self._returns()), None)
        for number in range(unknown, len(self._unknown)):
            operation = self._unknown[number]
            if first_return is None or operation.call_ns > first_return.return_ns:
                break
            earlier = self._earlier_alike[number]
            if self._chosen >> number & 1 or (earlier >= 0 and not self._chosen >> earlier & 1):
                continue
            _, after = self._fits(operation)
            if after == self._state or self._came_too_early(operation, number, after):
                continue
            if self._take(None, number, operation, after):
                return True
        return False

    def _came_too_early(self, operation: Operation, unknown: int, after: Hashable) -> bool:
        """Whether the last step, of unknown outcome, might as well come after this operation, or not at all."""
        last = self._taken[-1] if self._taken else None
        if last is None or last.node is not None:
            return False
        fits, without = self._model.step(last.state, operation)
        if not fits:
            return False
        return after == without or (unknown < last.unknown and after == self._model.step(without, last.operation)[1])

    def _returns(self) -> Iterator[Operation]:
        node = self._head.next
        while node is not None:
            if node.match is None:
                assert node.operation is not None
                yield node.operation
            node = node.next

    def _take(
        self, node: _Node | None, unknown: int, operation: Operation, after: Any, *, forced: bool = False
    ) -> bool:
        """Take an operation, if that leads to where the search has not been."""
        base, beyond, chosen = self._base, self._beyond, self._chosen
        if node is None:
            chosen |= 1 << unknown
        else:
            beyond |= 1 << (node.number - base)
            while beyond & 1:
                base += 1
                beyond >>= 1
        if not forced:
            been = self._seen.setdefault((base, beyond, after), [])
            if any(earlier & chosen == earlier for earlier in been):
                return False
            been.append(chosen)
        self._taken.append(
            _Taken(node, unknown, operation, forced, self._state, self._base, self._beyond, self._chosen)
        )
        self._base, self._beyond, self._chosen, self._state = base, beyond, chosen, after
        if node is not None:
            _lift(node)
        return True

    def _take_back(self) -> _Taken | None:
        """Take back the last operation that was a choice."""
        while self._taken:
            last = self._taken.pop()
            self._state, self._base, self._beyond, self._chosen = last.state, last.base, last.beyond, last.chosen
            if last.node is not None:
                _put_back(last.node)
            if not last.forced:
                return last
        return None


def _earlier_alike(operations: list[Operation]) -> list[int]:
    """For each operation the number of the last one before it that asks for the same; -1 where there is none."""
    last: dict[Any, int] = {}
    found = []
    for number, operation in enumerate(operations):
        found.append(last.get(operation.action, -1))
        last[operation.action] = number
    return found


def check_key(model: Model, operations: list[Operation]) -> Violation | None:
    """Search one key's operations. Raises UndecidedError."""
    return _Search(model, operations).run()


def check(model_of: Callable[[str], Model], history: Iterable[Operation]) -> list[Violation]:
    """Search a history, each key by itself: the keys that cannot be explained. Raises UndecidedError."""
    by_key: dict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        by_key[operation.key].append(operation)
    found = [check_key(model_of(key), operations) for key, operations in sorted(by_key.items())]
    return [violation for violation in found if violation is not None]
