"""Each anomaly in its smallest form, and histories without any."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

import pytest

from linearizability.history import NEVER_NS
from linearizability.list_append import Anomaly, Append, Outcome, Read, Transaction, check


def txn(call: int, end: int, *steps: str, outcome: Outcome = Outcome.DONE) -> Transaction:
    """`txn(1, 2, "x+1", "y=1 2")` appends 1 to x and reads y as [1, 2]; an end of 0 is an unknown outcome."""
    parsed: list[Append | Read] = []
    for step in steps:
        if "+" in step:
            key, element = step.split("+")
            parsed.append(Append(key, int(element)))
        else:
            key, elements = step.split("=")
            parsed.append(Read(key, None if elements == "?" else tuple(map(int, elements.split()))))
    if not end:
        outcome = Outcome.UNKNOWN
    return Transaction(call, call, end or NEVER_NS, outcome, tuple(parsed))


def names(*history: Transaction) -> list[str]:
    return [anomaly.name for anomaly in check(history)]


GOOD = {
    "nothing": [],
    "one after the other": [txn(1, 2, "x+1"), txn(3, 4, "x=1", "x+2"), txn(5, 6, "x=1 2")],
    "a transaction sees itself": [txn(1, 2, "x=", "x+1", "x=1", "x+2", "x=1 2")],
    "two at once, in either order": [txn(1, 9, "x+1", "y+1"), txn(2, 8, "x=1", "y=1"), txn(3, 7, "x=", "y=")],
    "an unknown outcome that happened": [txn(1, 0, "x+1", "y=?"), txn(2, 3, "x="), txn(4, 5, "x=1")],
    "an unknown outcome that never happened": [txn(1, 0, "x+1"), txn(8, 9, "x=")],
    "a failure that left no trace": [txn(1, 2, "x+1", "y=?", outcome=Outcome.FAILED), txn(3, 4, "x=")],
    "what nobody has read yet": [txn(1, 2, "x+1"), txn(3, 4, "x=1"), txn(5, 6, "x+2"), txn(5, 7, "x+3")],
}
BAD = {
    "G0": [txn(1, 9, "x+1", "y+1"), txn(1, 9, "x+2", "y+2"), txn(1, 9, "x=1 2"), txn(1, 9, "y=2 1")],
    "G0-realtime": [txn(1, 2, "x+1"), txn(3, 4, "x+2"), txn(1, 9, "x=2 1")],
    "G1a": [txn(1, 2, "x+1", outcome=Outcome.FAILED), txn(3, 4, "x=1")],
    "G1b": [txn(1, 9, "x+1", "x+2"), txn(1, 9, "x=1"), txn(1, 9, "x=1 2")],
    "G1c": [txn(1, 9, "x+1", "y=1"), txn(1, 9, "y+1", "x=1")],
    "G1c-realtime": [txn(1, 2, "x=1"), txn(3, 4, "x+1")],
    "G-single": [txn(1, 9, "x+1", "y+1"), txn(1, 9, "x=1", "y="), txn(1, 9, "y=1")],
    "G-single-realtime": [txn(1, 2, "x+1"), txn(3, 4, "x="), txn(5, 6, "x=1")],
    "G2": [txn(1, 9, "x=", "y+1"), txn(1, 9, "y=", "x+1"), txn(1, 9, "x=1", "y=1")],
    "G2-realtime": [txn(1, 19, "x=", "y+1"), txn(1, 9, "x+1"), txn(10, 19, "y=")],
    "internal": [txn(1, 2, "x+1", "x=")],
    "duplicate": [txn(1, 2, "x+1"), txn(3, 4, "x=1 1")],
    "incompatible-order": [txn(1, 9, "x+1"), txn(1, 9, "x+2"), txn(1, 9, "x=1 2"), txn(1, 9, "x=2 1")],
    "garbage": [txn(1, 2, "x=7")],
}  # fmt: skip


@pytest.mark.parametrize("history", GOOD.values(), ids=list(GOOD))
def test_what_is_strictly_serializable(history: list[Transaction]) -> None:
    assert check(history) == []


@pytest.mark.parametrize(("name", "history"), BAD.items(), ids=list(BAD))
def test_each_anomaly_has_its_name(name: str, history: list[Transaction]) -> None:
    assert name in names(*history)


@pytest.mark.parametrize("name", [name for name in BAD if name.startswith("G") and name not in ("G1a", "G1b")])
def test_a_cycle_is_told_once_by_its_worst_name(name: str) -> None:
    assert names(*BAD[name]) == [name]


def test_a_lost_update_is_seen_though_nobody_reads_it_later() -> None:
    """The acknowledged 2 is in no list that was read, and one was read after it."""
    assert names(txn(1, 2, "x+1"), txn(3, 4, "x+2"), txn(5, 6, "x=1")) == ["G-single-realtime"]


def test_an_anomaly_that_every_later_read_shows_is_told_once() -> None:
    failed = txn(1, 2, "x+1", outcome=Outcome.FAILED)
    assert names(failed, txn(3, 4, "x=1"), txn(5, 6, "x=1"), txn(7, 8, "x=1")) == ["G1a"]


def test_a_witness_can_be_followed() -> None:
    [anomaly] = check(BAD["G-single-realtime"])
    assert anomaly == Anomaly(
        "G-single-realtime",
        "  T1: client   3         0.000 to        0.000 ms  done: read x []\n"
        "  T2: client   1         0.000 to        0.000 ms  done: append x 1\n"
        "  T1 before T2 (rw): T1 read x as [], without 1, which was appended by T2\n"
        "  T2 before T1 (rt): T2 had returned before the call of T1",
    )


def test_an_element_may_be_appended_once_only() -> None:
    with pytest.raises(ValueError, match="appended to x twice"):
        check([txn(1, 2, "x+1"), txn(3, 4, "x+1")])


@dataclass
class Store:
    """Lists that do each transaction at one instant, or do not."""

    random_: random.Random
    lists: dict[str, list[int]] = field(default_factory=dict)
    next_element: int = 0
    elements_a_key: int = 10_000

    def execute(self, call: int, end: int, outcome: Outcome, *, happens: bool) -> Transaction:
        steps: list[Append | Read] = []
        for _ in range(self.random_.randint(1, 4)):
            key = f"{self.random_.choice('xyz')}{self.next_element // self.elements_a_key}"
            elements = self.lists.setdefault(key, [])
            if self.random_.random() < 0.5:
                self.next_element += 1
                steps.append(Append(key, self.next_element))
                if happens:
                    elements.append(self.next_element)
            else:
                steps.append(Read(key, tuple(elements) if outcome is Outcome.DONE else None))
        return Transaction(0, call, NEVER_NS if outcome is Outcome.UNKNOWN else end, outcome, tuple(steps))


def run(seed: int, count: int, elements_a_key: int = 10_000) -> list[Transaction]:
    """Transactions of several clients at once, each of which happens at an instant between its call and its return."""
    random_ = random.Random(seed)
    store = Store(random_, elements_a_key=elements_a_key)
    history = []
    for instant in range(1, count + 1):
        outcome = random_.choices([*Outcome], [0.9, 0.05, 0.05])[0]
        happens = outcome is Outcome.DONE or (outcome is Outcome.UNKNOWN and random_.random() < 0.5)
        call, end = instant * 10 - random_.randint(0, 60), instant * 10 + random_.randint(1, 60)
        history.append(store.execute(call, end, outcome, happens=happens))
    random_.shuffle(history)
    return history


@pytest.mark.parametrize("seed", range(5))
def test_random_runs_have_no_anomaly(seed: int) -> None:
    assert check(run(seed, 400)) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_read_that_is_made_older_is_found(seed: int) -> None:
    """One read of a random run lacks its last elements; the transaction has no other step that would tell."""
    random_ = random.Random(seed)
    history = run(seed, 400)
    places = [
        place
        for place, each in enumerate(history)
        if each.outcome is Outcome.DONE
        and len(each.steps) == 1
        and isinstance(each.steps[0], Read)
        and len(each.steps[0].elements or ()) > 30
    ]
    place = random_.choice(places)
    [read] = history[place].steps
    assert isinstance(read, Read)
    assert read.elements is not None
    history[place] = history[place]._replace(steps=(read._replace(elements=read.elements[:-20]),))
    assert [name.endswith("-realtime") for name in names(*history)] == [True]


def test_thousands_of_transactions_are_judged_in_seconds() -> None:
    assert check(run(9, 8000, elements_a_key=150)) == []


def explained_by_trying(history: list[Transaction]) -> bool:
    """Every order of what happened, and of every choice of what may have."""
    done = [each for each in history if each.outcome is Outcome.DONE]
    unknown = [each for each in history if each.outcome is Outcome.UNKNOWN]
    for count in range(len(unknown) + 1):
        for chosen in itertools.combinations(unknown, count):
            for order in itertools.permutations([*done, *chosen]):
                in_time = all(not later.return_ns < each.call_ns for each, later in itertools.combinations(order, 2))
                if in_time and _runs(order):
                    return True
    return False


def _runs(order: tuple[Transaction, ...]) -> bool:
    lists: dict[str, tuple[int, ...]] = {}
    for transaction in order:
        for step in transaction.steps:
            elements = lists.get(step.key, ())
            if isinstance(step, Append):
                lists[step.key] = (*elements, step.element)
            elif step.elements not in (None, elements):
                return False
    return True


def random_history(random_: random.Random) -> list[Transaction]:
    """A few transactions whose reads show any elements that were appended, in about the right order."""
    history = []
    appended: dict[str, list[int]] = {"x": [], "y": []}
    element = 0
    for _ in range(random_.randint(2, 5)):
        outcome = random_.choices([*Outcome], [0.8, 0.07, 0.13])[0]
        steps: list[Append | Read] = []
        for _ in range(random_.randint(1, 3)):
            key = random_.choice("xy")
            if random_.random() < 0.5:
                element += 1
                steps.append(Append(key, element))
                appended[key].append(element)
            elif outcome is Outcome.DONE:
                shown = appended[key][: random_.randint(0, len(appended[key]))]
                if random_.random() < 0.1:
                    random_.shuffle(shown)
                steps.append(Read(key, tuple(shown)))
        call = random_.randint(1, 20)
        end = NEVER_NS if outcome is Outcome.UNKNOWN else call + random_.randint(1, 12)
        history.append(Transaction(0, call * 2, end if end == NEVER_NS else end * 2 + 1, outcome, tuple(steps)))
    return history


def test_it_says_the_same_as_trying_all_orders() -> None:
    random_ = random.Random(30)
    verdicts = []
    for _ in range(3000):
        history = random_history(random_)
        found = check(history)
        assert (not found) == explained_by_trying(history), (history, found)
        verdicts.append(not found)
    assert 300 < sum(verdicts) < 2700
