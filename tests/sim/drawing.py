"""Draws from the strategies of tests/oracle by a source of chance of its own, so a run is a function of its seed.

Hypothesis draws for tests: it shrinks, remembers, and prefers what has failed before; a drawn command costs it half a
millisecond. Here a strategy is only a description, which is walked: some microseconds a command, the same wherever it
runs. The kinds that the generators of commands use are known, and no others.
"""

from __future__ import annotations

from random import Random
from typing import Any, cast

from hypothesis import strategies as st

LONGEST = 4
"""Elements of a list, and characters, where a strategy names no greatest number."""


def draw(strategy: st.SearchStrategy[Any], random: Random) -> Any:
    """One example. Raises TypeError for a kind of strategy that is not known."""
    strategy = getattr(strategy, "wrapped_strategy", strategy)
    return _DRAWERS[type(strategy).__name__](cast("Any", strategy), random)


def _size(strategy: Any, random: Random) -> int:
    return random.randint(strategy.min_size, int(min(strategy.max_size, strategy.min_size + LONGEST)))


def _sampled(strategy: Any, random: Random) -> Any:
    found = random.choice(strategy.elements)
    for kind, change in strategy._transformations:
        assert kind == "map"
        found = change(found)
    return found


def _built(strategy: Any, random: Random) -> Any:
    named = {name: draw(each, random) for name, each in strategy.kwargs.items()}
    return strategy.target(*[draw(each, random) for each in strategy.args], **named)


_DRAWERS: dict[str, Any] = {
    "JustStrategy": lambda strategy, _: strategy.value,
    "SampledFromStrategy": _sampled,
    "OneOfStrategy": lambda strategy, random: draw(random.choice(strategy.original_strategies), random),
    "TupleStrategy": lambda strategy, random: tuple([draw(each, random) for each in strategy.element_strategies]),
    "BuildsStrategy": _built,
    "MappedStrategy": lambda strategy, random: strategy.pack(draw(strategy.mapped_strategy, random)),
    "FlatMapStrategy": lambda strategy, random: draw(strategy.expand(draw(strategy.base, random)), random),
    "ListStrategy": lambda strategy, random: [
        draw(strategy.element_strategy, random) for _ in range(_size(strategy, random))
    ],
    "IntegersStrategy": lambda strategy, random: random.randint(strategy.start, strategy.end),
    "FloatStrategy": lambda strategy, random: random.uniform(strategy.min_value, strategy.max_value),
    "BytesStrategy": lambda strategy, random: random.randbytes(_size(strategy, random)),
    "TextStrategy": lambda strategy, random: "".join(
        draw(strategy.element_strategy, random) for _ in range(_size(strategy, random))
    ),
    "OneCharStringStrategy": lambda strategy, random: chr(random.choice([*strategy.intervals])),
}
"""By the name of the strategy's class, since hypothesis does not export these."""
