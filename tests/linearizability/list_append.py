"""Strict serializability of transactions that append to lists and read them, in the manner of Elle.

Theory (Kingsbury and Alvaro, "Elle: inferring isolation anomalies from experimental observations"; the names are those
of Adya's thesis). Each element is appended to a list once only, so a read of a list tells its whole past: which
transactions have written it, and in which order. From the reads follow the dependencies between transactions:

* ww: one appended the element just before another's
* wr: one read a list whose last element the other appended
* rw: one read a list that lacks the next element, which the other appended
* rt: one had returned before the other was called

An execution is strictly serializable if and only if there is an order in which all of these go forward; a cycle of them
is an anomaly, named by what it consists of:

* G0: ww only · G1c: ww and wr · G-single: one rw besides · G2: several rw · and "-realtime" behind it when rt is needed

Others are seen without a graph: G1a, a read of what was appended by a transaction that failed; G1b, a read of what a
transaction has appended half; `internal`, a transaction that does not see what it has done itself; `duplicate`,
an element that is there twice; `incompatible-order`, two reads neither of which is the beginning of the other; and
`garbage`, an element that nobody appended.

A transaction of unknown outcome has happened, whole, if an element of it was ever read. The elements that nobody has
read come behind all that were, in an order that is not known.

Left out: predicates, deletes, and sessions of their own (a client's transactions follow each other in real time).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from linearizability.history import NEVER_NS


class Outcome(Enum):
    """What became of a transaction."""

    DONE = "done"
    FAILED = "failed"
    """It did not happen, its client was told."""
    UNKNOWN = "unknown"


class Append(NamedTuple):
    """One element at the end of a list."""

    key: str
    element: int

    def show(self) -> str:
        """For people."""
        return f"append {self.key} {self.element}"


class Read(NamedTuple):
    """A whole list; None where the transaction's outcome is not known, or it failed."""

    key: str
    elements: tuple[int, ...] | None

    def show(self) -> str:
        """For people."""
        return f"read {self.key} {_shown(self.elements)}"


class Transaction(NamedTuple):
    """What one client asked in one go, and what it was answered."""

    client: int
    call_ns: int
    return_ns: int
    """`NEVER_NS` when the outcome is not known."""
    outcome: Outcome
    steps: tuple[Append | Read, ...]

    def show(self) -> str:
        """For people."""
        until = "?" if self.return_ns == NEVER_NS else f"{self.return_ns / 1e6:.3f}"
        words = [step.show() for step in self.steps]
        when = f"{self.call_ns / 1e6:12.3f} to {until:>12} ms"
        return f"client {self.client:3}  {when}  {self.outcome.value}: {'; '.join(words)}"


class Anomaly(NamedTuple):
    """What is wrong, and how one sees it."""

    name: str
    witness: str

    def show(self) -> str:
        """For people."""
        return f"{self.name}\n{self.witness}"


class _Edge(NamedTuple):
    kind: str
    why: str


MOST_TRIES = 1000
"""Edges that a shorter cycle is looked for from, once there is one."""
CYCLES: tuple[tuple[str, frozenset[str], int], ...] = tuple(
    (name + suffix, frozenset(kinds) | more, rw)
    for name, kinds, rw in (
        ("G0", {"ww"}, 0),
        ("G1c", {"ww", "wr"}, 0),
        ("G-single", {"ww", "wr"}, 1),
        ("G2", {"ww", "wr", "rw"}, 2),
    )
    for suffix, more in (("", frozenset[str]()), ("-realtime", frozenset({"rt"})))
)
"""A cycle's name, the kinds that it may have besides rw, and how many rw: none, one, or any number; the worst first."""


def check(transactions: Iterable[Transaction]) -> list[Anomaly]:
    """All that contradicts strict serializability; of cycles, one for each knot of transactions, by its worst name."""
    return _History(list(transactions)).anomalies()


class _History:
    def __init__(self, transactions: list[Transaction]) -> None:
        self._all = transactions
        self._writers: dict[tuple[str, int], Transaction] = {}
        self._last_of: dict[tuple[str, int], bool] = {}
        """Whether an element is the last that its transaction appended to that list."""
        self._orders: dict[str, tuple[int, ...]] = {}
        self._found: list[Anomaly] = []
        self._told: set[tuple[object, ...]] = set()
        self._number = {id(each): number for number, each in enumerate(transactions)}
        self._edges: list[dict[int, list[_Edge]]] = [{} for _ in transactions]

    def anomalies(self) -> list[Anomaly]:
        for transaction in self._all:
            self._note_writes(transaction)
        for transaction in self._all:
            if transaction.outcome is Outcome.DONE:
                self._look_inside(transaction)
        self._order()
        for transaction, read in self._reads():
            self._look_at_origins(transaction, read)
        if not any(anomaly.name == "incompatible-order" for anomaly in self._found):
            self._draw_dependencies()
            self._draw_real_time()
            for component in _components([sorted(edges) for edges in self._edges]):
                self._name_cycle(component)
        return self._found

    def _tell(self, name: str, about: tuple[object, ...], *lines: str) -> None:
        """One anomaly, once: later reads show it again."""
        if (name, *about) in self._told:
            return
        self._told.add((name, *about))
        self._found.append(Anomaly(name, "\n".join(f"  {line}" for line in lines)))

    def _note_writes(self, transaction: Transaction) -> None:
        last: dict[str, int] = {}
        for step in transaction.steps:
            if isinstance(step, Append):
                if (step.key, step.element) in self._writers:
                    raise ValueError(f"{step.element} is appended to {step.key} twice")
                self._writers[step.key, step.element] = transaction
                self._last_of[step.key, step.element] = True
                if step.key in last:
                    self._last_of[step.key, last[step.key]] = False
                last[step.key] = step.element

    def _reads(self) -> Iterator[tuple[Transaction, Read]]:
        """The reads that were answered."""
        for transaction in self._all:
            for step in transaction.steps:
                if isinstance(step, Read) and step.elements is not None and transaction.outcome is Outcome.DONE:
                    yield transaction, step

    def _look_inside(self, transaction: Transaction) -> None:
        """A transaction sees what it has done, and nothing else changes between two of its steps."""
        known: dict[str, tuple[int, ...]] = {}
        own: dict[str, tuple[int, ...]] = defaultdict(tuple)
        for step in transaction.steps:
            if isinstance(step, Append):
                own[step.key] += (step.element,)
            elif step.elements is not None:
                mine = own[step.key]
                expected = known.get(step.key)
                if expected is not None and step.elements != expected + mine:
                    self._tell(
                        "internal", (step,), transaction.show(), f"{step.key} was {_shown(expected + mine)} to it"
                    )
                elif mine and step.elements[-len(mine) :] != mine:
                    self._tell(
                        "internal", (step,), transaction.show(), f"{step.key} must end with {_shown(mine)} to it"
                    )
                known[step.key], own[step.key] = step.elements, ()

    def _order(self) -> None:
        """The longest read of each list; all others must be its beginnings."""
        longest: dict[str, tuple[Transaction, tuple[int, ...]]] = {}
        for transaction, read in self._reads():
            assert read.elements is not None
            if len(set(read.elements)) < len(read.elements):
                twice = sorted({each for each in read.elements if read.elements.count(each) > 1})
                shown = f"{_shown(tuple(twice))} more than once in {read.key}"
                self._tell("duplicate", (read.key,), transaction.show(), shown)
            if read.key not in longest or len(longest[read.key][1]) < len(read.elements):
                longest[read.key] = transaction, read.elements
        self._orders = {key: elements for key, (_, elements) in longest.items()}
        for transaction, read in self._reads():
            assert read.elements is not None
            other, order = longest[read.key]
            if order[: len(read.elements)] != read.elements:
                self._tell("incompatible-order", (read.key,), other.show(), transaction.show())

    def _look_at_origins(self, transaction: Transaction, read: Read) -> None:
        """Who has written what was read."""
        assert read.elements is not None
        for element in read.elements:
            writer = self._writers.get((read.key, element))
            if writer is None:
                self._tell(
                    "garbage", (read.key, element), transaction.show(), f"nobody appended {element} to {read.key}"
                )
            elif writer.outcome is Outcome.FAILED:
                why = f"failed, but its {element} in {read.key} was seen by"
                self._tell("G1a", (read.key, element), writer.show(), why, transaction.show())
        if not read.elements:
            return
        last = read.elements[-1]
        writer = self._writers.get((read.key, last))
        if writer is not None and writer is not transaction and not self._last_of[read.key, last]:
            why = f"was not over when its {last} in {read.key} was seen by"
            self._tell("G1b", (read.key, last), writer.show(), why, transaction.show())

    # The graph.

    def _draw(self, earlier: Transaction, later: Transaction, kind: str, why: str) -> None:
        if earlier is not later:
            edges = self._edges[self._number[id(earlier)]]
            edges.setdefault(self._number[id(later)], []).append(_Edge(kind, why))

    def _draw_dependencies(self) -> None:
        seen = {(key, element) for key, order in self._orders.items() for element in order}
        happened = {id(writer) for place, writer in self._writers.items() if place in seen}
        behind: dict[str, list[tuple[int, Transaction]]] = defaultdict(list)
        for (key, element), writer in self._writers.items():
            if (key, element) not in seen and (writer.outcome is Outcome.DONE or id(writer) in happened):
                behind[key].append((element, writer))
        successors: dict[tuple[str, int], list[tuple[int, Transaction]]] = {}
        """Of a list and a length: the elements that come next, and who appended them."""
        for key in {*self._orders, *behind}:
            order = self._orders.get(key, ())
            for length, element in enumerate(order):
                writer = self._writers.get((key, element))
                successors[key, length] = [(element, writer)] if writer is not None else []
            successors[key, len(order)] = behind[key]
        for key, order in self._orders.items():
            for length, element in enumerate(order, 1):
                writer = self._writers.get((key, element))
                for following, next_writer in successors[key, length]:
                    if writer is not None:
                        self._draw(
                            writer, next_writer, "ww", f"appended {element} to {key}, next to which came {following} of"
                        )
        for transaction, read in self._reads():
            assert read.elements is not None
            if read.elements and (writer := self._writers.get((read.key, read.elements[-1]))) is not None:
                why = f"appended {read.elements[-1]} to {read.key}, which was read by"
                self._draw(writer, transaction, "wr", why)
            for following, next_writer in successors[read.key, len(read.elements)]:
                why = f"read {read.key} as {_shown(read.elements)}, without {following}, which was appended by"
                self._draw(transaction, next_writer, "rw", why)

    def _draw_real_time(self) -> None:
        """Only what does not follow from others: the frontier holds those that nobody in it comes after."""
        events = [(each.call_ns, 0, number) for number, each in enumerate(self._all)]
        events += [(each.return_ns, 1, number) for number, each in enumerate(self._all) if each.return_ns != NEVER_NS]
        frontier: set[int] = set()
        before: dict[int, frozenset[int]] = {}
        for _, is_return, number in sorted(events):
            transaction = self._all[number]
            if transaction.outcome is Outcome.FAILED:
                continue
            if not is_return:
                before[number] = frozenset(frontier)
                for earlier in sorted(frontier):
                    self._draw(self._all[earlier], transaction, "rt", "had returned before the call of")
            else:
                frontier -= before[number]
                frontier.add(number)

    # Cycles.

    def _name_cycle(self, component: list[int]) -> None:
        members = set(component)
        for name, kinds, rw in CYCLES:
            cycle = self._find_cycle(members, kinds, rw)
            if cycle is not None:
                self._tell(name, (component[0],), *self._witness(cycle))
                return

    def _find_cycle(self, members: set[int], kinds: frozenset[str], rw: int) -> list[tuple[int, int, _Edge]] | None:
        """A short cycle of edges of those kinds, and exactly one rw if that is asked for."""
        allowed = kinds | (frozenset({"rw"}) if rw > 1 else frozenset())
        first = {"rw"} if rw else allowed
        if rw != 1:
            inside = [
                [end for end, edges in sorted(self._edges[start].items()) if {each.kind for each in edges} & allowed]
                if start in members
                else []
                for start in range(len(self._all))
            ]
            members = members & {number for component in _components(inside) for number in component}
        best: list[tuple[int, int, _Edge]] | None = None
        tries = 0
        for start in sorted(members):
            if best is not None and (len(best) == 2 or tries > MOST_TRIES):
                break
            for end in sorted(self._edges[start]):
                edge = next((each for each in self._edges[start][end] if each.kind in first), None)
                if edge is not None and end in members:
                    tries += 1
                    way = self._way(end, start, members, allowed)
                    if way is not None and (best is None or len(way) + 1 < len(best)):
                        best = [(start, end, edge), *way]
        return best

    def _way(
        self, start: int, end: int, members: set[int], kinds: frozenset[str]
    ) -> list[tuple[int, int, _Edge]] | None:
        """The shortest way along edges of those kinds."""
        came: dict[int, tuple[int, _Edge]] = {}
        queue = deque([start])
        while queue:
            at = queue.popleft()
            if at == end:
                way = []
                while at != start:
                    before, edge = came[at]
                    way.append((before, at, edge))
                    at = before
                return way[::-1]
            for following, edges in self._edges[at].items():
                edge = next((each for each in edges if each.kind in kinds), None)
                if edge is not None and following in members and following not in came and following != start:
                    came[following] = at, edge
                    queue.append(following)
        return None

    def _witness(self, cycle: list[tuple[int, int, _Edge]]) -> Iterator[str]:
        names = {number: f"T{place}" for place, (number, _, _) in enumerate(cycle, 1)}
        for number, name in names.items():
            yield f"{name}: {self._all[number].show()}"
        for start, end, edge in cycle:
            yield f"{names[start]} before {names[end]} ({edge.kind}): {names[start]} {edge.why} {names[end]}"


def _shown(elements: tuple[int, ...] | None) -> str:
    if elements is None:
        return "?"
    shown = [*map(str, elements)] if len(elements) <= 12 else [*map(str, elements[:3]), "...", *map(str, elements[-8:])]
    return f"[{' '.join(shown)}]"


def _components(followers: list[list[int]]) -> list[list[int]]:
    """The strongly connected components of more than one node (Tarjan's, without recursion)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    on_stack: set[int] = set()
    stack: list[int] = []
    found: list[list[int]] = []
    for root in range(len(followers)):
        if root in order:
            continue
        work = [(root, 0)]
        while work:
            node, place = work.pop()
            if place == 0:
                order[node] = low[node] = len(order)
                stack.append(node)
                on_stack.add(node)
            else:
                low[node] = min(low[node], low[followers[node][place - 1]])
            while place < len(followers[node]):
                following = followers[node][place]
                place += 1
                if following not in order:
                    work += [(node, place), (following, 0)]
                    break
                if following in on_stack:
                    low[node] = min(low[node], order[following])
            else:
                if low[node] == order[node]:
                    at = stack.index(node)
                    component = stack[at:]
                    del stack[at:]
                    on_stack -= {*component}
                    if len(component) > 1:
                        found.append(sorted(component))
    return found
