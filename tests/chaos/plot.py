"""A run as a picture: acknowledged writes and what they took, over time, with the faults as shaded spans."""

from __future__ import annotations

import importlib.util
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from chaos.faults import Event
from chaos.load import Load

CAN_PLOT = importlib.util.find_spec("matplotlib") is not None
GROUPS = {
    "processes": ("kill-", "pause-", "restart", "transfer"),
    "network": ("isolate-", "halves", "bridge", "ring", "deaf", "mute", "flaky"),
    "disks and clocks": ("slow-", "broken-", "full-", "damage", "clock"),
    "members": ("island", "remove", "join-", "replace", "roll"),
}
COLOURS = {"processes": "#d95f02", "network": "#1f78b4", "disks and clocks": "#7570b3", "members": "#1b9e77"}
SECONDS_A_ROW = 150.0
"""A longer run is broken into rows, so that the names of its faults can be read."""
BIN_SECONDS = 0.25
LANES = 4
"""Names of faults that follow each other closely stand in so many lines."""


def group_of(name: str) -> str:
    """What a fault is done to."""
    return next(group for group, beginnings in GROUPS.items() if name.startswith(beginnings))


def draw(path: Path, load: Load, events: list[Event], title: str) -> None:
    """Draw a run. Raises ModuleNotFoundError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot
    from matplotlib.patches import Patch
    from matplotlib.ticker import NullFormatter

    length = load.ended - load.began
    rows = max(1, round(length / SECONDS_A_ROW + 0.49))
    span = length / rows
    figure, panels = pyplot.subplots(
        rows * 2, 1, figsize=(16, 4.4 * rows + 1), squeeze=False, height_ratios=[1.25, 1] * rows, layout="constrained"
    )
    series = _series(load)
    most, slowest = max([1.0, *series[1]]), max([1.0, *(took * 1000 for _, took in load.acknowledged)])
    for row in range(rows):
        first, last = int(row * span / BIN_SECONDS), int((row + 1) * span / BIN_SECONDS) + 2
        times, rates, lower, upper = (part[max(0, first - 1) : last] for part in series)
        rate, latency = panels[row * 2][0], panels[row * 2 + 1][0]
        for panel in (rate, latency):
            panel.set_xlim(row * span, (row + 1) * span)
            panel.grid(alpha=0.25)
            for event in events:
                began, ended = event.began - load.began, event.ended - load.began
                if ended < row * span or began > (row + 1) * span:
                    continue
                panel.axvspan(began, ended, color=COLOURS[group_of(event.name)], alpha=0.22, linewidth=0)
        rate.fill_between(times, rates, step="mid", color="#333333", alpha=0.75, linewidth=0)
        rate.set_ylim(0, most * 1.6)
        rate.set_yticks([tick for tick in rate.get_yticks() if tick <= most * 1.05])
        rate.set_ylabel("writes/s")
        rate.tick_params(labelbottom=False)
        _name_faults(rate, load, events, row * span, (row + 1) * span)
        latency.plot(times, lower, color="#333333", linewidth=0.9, label="median")
        latency.plot(times, upper, color="#e31a1c", linewidth=0.9, label="longest")
        latency.set_yscale("log")
        latency.set_ylabel("latency, ms")
        latency.set_ylim(slowest / 2e4, slowest * 2)
        latency.yaxis.set_major_formatter("{x:g}")
        latency.yaxis.set_minor_formatter(NullFormatter())
    panels[-1][0].set_xlabel("seconds")
    patches = [Patch(color=colour, alpha=0.35, label=f"fault: {group}") for group, colour in COLOURS.items()]
    lines = panels[1][0].get_legend_handles_labels()[0]
    figure.legend(handles=[*patches, *lines], loc="outside lower center", ncols=len(patches) + len(lines))
    figure.suptitle(title)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def _series(load: Load) -> tuple[list[float], list[float], list[float], list[float]]:
    """Moments, acknowledged writes a second, and the median and longest latency, ms (not a number where none is)."""
    bins: dict[int, list[float]] = defaultdict(list)
    for moment, took in load.acknowledged:
        bins[int((moment - load.began) / BIN_SECONDS)].append(took * 1000)
    count = int((load.ended - load.began) / BIN_SECONDS) + 1
    nothing = float("nan")
    return (
        [(number + 0.5) * BIN_SECONDS for number in range(count)],
        [len(bins.get(number, ())) / BIN_SECONDS for number in range(count)],
        [statistics.median(bins[number]) if number in bins else nothing for number in range(count)],
        [max(bins[number]) if number in bins else nothing for number in range(count)],
    )


def _name_faults(panel: Any, load: Load, events: list[Event], begin: float, end: float) -> None:
    """The name of each fault above its span, in the first line that has room for it."""
    free = [begin] * LANES
    width = (end - begin) / 260
    for event in events:
        began = event.began - load.began
        if not begin <= began < end:
            continue
        is_late = began > end - width * len(event.name)
        lane = next((number for number in range(LANES) if free[number] <= began), free.index(min(free)))
        free[lane] = began + width * (len(event.name) + 1)
        panel.text(
            began, 0.98 - 0.085 * lane, event.name, transform=panel.get_xaxis_transform(), fontsize=7.5, va="top",
            ha="right" if is_late else "left", color=COLOURS[group_of(event.name)],
        )  # fmt: skip
