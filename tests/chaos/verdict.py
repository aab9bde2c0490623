"""What is to be said of a run: violations, outages, errors; as a page for people and as JSON."""

from __future__ import annotations

import itertools
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from linearizability.checker import UndecidedError, check
from linearizability.history import UNKNOWN, Operation

from chaos.faults import Event
from chaos.load import Load, model_of
from chaos.nodes import Nodes

LOG_WORDS = ("Traceback", "internal error", "Error:")
"""A line with one of these in a node's log is a finding."""
EXPECTED_LINES = ("Input/output error", "the disk", "fsync")
"""But not in a line that tells of a disk that was made to fail."""
AFTER_SECONDS = 3.0
"""How long after its end a fault is still answered for."""


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
    return found + [f"an unexpected error: {text}" for text in sorted(set(load.unexpected))]


def bad_lines(nodes: Nodes) -> list[str]:
    """Lines of the nodes' logs that tell of a bug."""
    found = []
    for node in nodes.ids:
        if nodes.log(node).exists():
            for line in nodes.log(node).read_text(errors="replace").splitlines():
                if any(word in line for word in LOG_WORDS) and not any(word in line for word in EXPECTED_LINES):
                    found.append(f"node {node}: {line}")
    return found


def outage(load: Load, event: Event) -> float:
    """The longest time without any acknowledged write, s, from a fault's beginning to shortly after its end."""
    end = min(event.ended + AFTER_SECONDS, load.ended)
    moments = sorted(moment for moment, _ in load.acknowledged if event.began <= moment <= end)
    times = [event.began, *moments, end]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def outages(load: Load, events: list[Event]) -> dict[str, list[float]]:
    """The outages of each kind of fault."""
    found: dict[str, list[float]] = defaultdict(list)
    for event in events:
        found[event.name].append(outage(load, event))
    return dict(sorted(found.items()))


def report(load: Load, events: list[Event], found: list[str], seconds: float, title: str) -> tuple[str, dict[str, Any]]:
    """A page, and the same as JSON."""
    unknown = sum(operation.result is UNKNOWN for operation in load.history)
    figures: dict[str, Any] = {
        "title": title,
        "seconds": round(seconds, 1),
        "faults": len(events),
        "operations": len(load.history),
        "unknown outcomes": unknown,
        "keys": len({operation.key for operation in load.history}),
        "acknowledged writes": len(load.acknowledged),
        "errors": dict(load.errors.most_common()),
        "violations": found,
    }
    kinds = {
        name: {
            "faults": len(values),
            "median_s": round(statistics.median(values), 2),
            "longest_s": round(max(values), 2),
        }
        for name, values in outages(load, events).items()
    }
    figures["outages"] = kinds
    lines = [f"# {title}", ""]
    lines += [
        f"* {name}: {figures[name]}" for name in figures if name not in ("title", "violations", "outages", "errors")
    ]
    lines += [f"* errors: {', '.join(f'{name} {count}' for name, count in load.errors.most_common()) or 'none'}", ""]
    lines += ["| fault | times | median outage of writes, s | longest, s |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {kind['faults']} | {kind['median_s']} | {kind['longest_s']} |" for name, kind in kinds.items()
    ]
    lines += ["", f"**Verdict: {'no violation' if not found else f'{len(found)} violations'}**", ""]
    for violation in found:
        lines += ["```", violation, "```"]
    return "\n".join(lines) + "\n", figures


def write_report(directory: Path, page: str, figures: dict[str, Any]) -> None:
    """Keep both forms."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.md").write_text(page)
    (directory / "report.json").write_text(json.dumps(figures, indent=1) + "\n")
