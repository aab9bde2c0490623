"""Kinds of load and chaos that the code is known not to survive yet: off, unless they are asked for by name.

`tools/simulate --also KIND` turns one on. A kind is taken out of this list when what it shows is mended.
"""

from __future__ import annotations

from collections.abc import Iterable

OFF: dict[str, str] = {}
"""What each is, by its name."""
_on: set[str] = set()
_only: set[str] = set()


def turn_on(kind: str) -> None:
    """Have a kind in the runs of this process. Raises KeyError for one that is none."""
    assert OFF[kind]
    _on.add(kind)


def only(kinds: Iterable[str]) -> None:
    """Have no chaos in the runs of this process but of those kinds."""
    _only.update(kinds)


def chosen(kinds: list[str]) -> list[str]:
    """Those of the kinds of chaos that `only` has left."""
    return [kind for kind in kinds if kind in _only] if _only else kinds


def is_on(kind: str) -> bool:
    """Whether a kind is part of runs."""
    return kind not in OFF or kind in _on
