"""What is to be said of a run: violations, outages, errors; as a page for people and as JSON.

The page's first lines and its table are those of docs/testing.md.
"""

from __future__ import annotations

import itertools
import json
import statistics
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from linearizability import list_append
from linearizability.checker import UndecidedError, check
from linearizability.history import UNKNOWN, Operation
from linearizability.list_append import Outcome

from chaos.faults import DESCRIPTIONS, Event
from chaos.load import Load, model_of
from chaos.nodes import Nodes

LOG_WORDS = ("Traceback", "internal error", "Error:")
"""A line with one of these in a node's log is a finding."""
EXPECTED_LINES = ("Input/output error", "the disk", "fsync", "No space left")
"""But not in a line that tells of a disk that was made to fail."""
AFTER_SECONDS = 3.0
"""How long after its end a fault is still answered for."""
LULL_SECONDS = 0.25
"""As long as this there may be no write by chance: what has lasted no longer when a fault begins is that fault's."""


def violations(load: Load) -> list[str]:
    """The keys whose history cannot be explained, and errors that clients should not see."""
    by_key: dict[str, list[Operation]] = defaultdict(list)
    for operation in load.history:
        by_key[operation.key].append(operation)
    found = []
    for operations in by_key.values():
        try:
            found += [violation.show() for violation in check(model_of, operations)]
        except UndecidedError as error:
            found.append(f"undecided: {error}")
    found += [anomaly.show() for anomaly in list_append.check(load.transactions)]
    return found + [f"an unexpected error: {text}" for text in sorted(set(load.unexpected))]


def bad_lines(nodes: Nodes) -> list[str]:
    """Lines of the nodes' logs that tell of a bug."""
    found = []
    for node in nodes.everyone:
        if nodes.log(node).exists():
            for line in nodes.log(node).read_text(errors="replace").splitlines():
                if any(word in line for word in LOG_WORDS) and not any(word in line for word in EXPECTED_LINES):
                    found.append(f"node {node}: {line}")
    return found


def outages(load: Load, events: list[Event]) -> dict[str, list[float]]:
    """For each kind of fault the longest times without any acknowledged write, s, each fault's one.

    A fault answers for what begins while it lasts, or shortly after its end, and is there when the next one begins.
    """
    moments = sorted({load.began, load.ended, *(moment for moment, _ in load.acknowledged)})
    found: dict[str, list[float]] = defaultdict(list)
    for event, following in itertools.pairwise([*events, None]):
        assert event is not None
        next_began = load.ended if following is None else following.began
        end = min(event.ended + AFTER_SECONDS, next_began - LULL_SECONDS)
        first = max(0, bisect_right(moments, event.began) - 1)
        last = max(first + 1, bisect_left(moments, end))
        gaps = itertools.pairwise(moments[first : last + 1])
        found[event.name].append(max((later - max(earlier, event.began) for earlier, later in gaps), default=0.0))
    return dict(sorted(found.items()))


def report(
    load: Load, events: list[Event], found: list[str], *, seconds: float, size: int, seed: int, missing: list[str]
) -> tuple[str, dict[str, Any]]:
    """A page, and the same as JSON."""
    lost = [each for each in load.transactions if each.outcome is Outcome.UNKNOWN]
    kinds = {
        name: {
            "times": len(values),
            "median_s": round(statistics.median(values), 2),
            "longest_s": round(max(values), 2),
        }
        for name, values in outages(load, events).items()
    }
    figures: dict[str, Any] = {
        "nodes": size,
        "seed": seed,
        "seconds": round(seconds, 1),
        "faults": len(events),
        "operations": len(load.history) + len(load.transactions),
        "acknowledged writes": len(load.acknowledged),
        "unknown outcomes": len([each for each in load.history if each.result is UNKNOWN]) + len(lost),
        "keys, each searched for an order": len({operation.key for operation in load.history}),
        "transactions, searched for cycles": len(load.transactions),
        "errors": dict(load.errors.most_common()),
        "not tried here": missing,
        "outages": kinds,
        "violations": found,
    }
    return "\n".join(_page(figures)) + "\n", figures


def _page(figures: dict[str, Any]) -> Iterator[str]:
    found = figures["violations"]
    yield f"# {round(figures['seconds'] / 60, 1):g} minutes of chaos, {figures['nodes']} nodes, seed {figures['seed']}"
    yield ""
    yield (
        f"{figures['faults']} faults, {figures['operations']:,} operations, {figures['acknowledged writes']:,} "
        f"acknowledged writes, {figures['unknown outcomes']:,} outcomes unknown; "
        f"{figures['keys, each searched for an order']:,} keys' histories searched for an order, "
        f"{figures['transactions, searched for cycles']:,} transactions for cycles. "
        f"**Verdict: {'no violation; all replicas are equal' if not found else f'{len(found)} violations'}.**"
    )
    errors = ", ".join(f"{name} {count:,}" for name, count in figures["errors"].items()) or "none"
    yield ""
    yield f"Errors that clients saw: {errors}."
    if figures["not tried here"]:
        yield f"Not tried, since this machine does not allow it: {'; '.join(figures['not tried here'])}."
    yield ""
    yield "| fault | times | median time without an acknowledged write, s | longest, s |"
    yield "|---|---|---|---|"
    for name, description in DESCRIPTIONS.items():
        if name in figures["outages"]:
            kind = figures["outages"][name]
            yield f"| {description} | {kind['times']} | {kind['median_s']:.2f} | {kind['longest_s']:.2f} |"
    for violation in found:
        yield ""
        yield "```"
        yield violation
        yield "```"


def write_report(directory: Path, page: str, figures: dict[str, Any]) -> None:
    """Keep both forms."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.md").write_text(page)
    (directory / "report.json").write_text(json.dumps(figures, indent=1) + "\n")
