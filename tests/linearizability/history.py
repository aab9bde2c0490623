"""Histories: what each client asked, when, and what it was answered."""

from __future__ import annotations

from typing import Any, NamedTuple

UNKNOWN = object()
"""The result of an operation of which nobody knows whether it happened."""
NEVER_NS = 1 << 62


class Operation(NamedTuple):
    """One operation of one client."""

    client: int
    call_ns: int
    return_ns: int
    """`NEVER_NS` when the outcome is not known: it may still happen at any time."""
    key: str
    action: tuple[Any, ...]
    """The name of what was asked, and its arguments."""
    result: Any

    def show(self) -> str:
        """For people."""
        until = "?" if self.return_ns == NEVER_NS else f"{self.return_ns / 1e6:.3f}"
        result = "unknown" if self.result is UNKNOWN else repr(self.result)
        words = " ".join(map(str, self.action))
        return f"client {self.client:3}  {self.call_ns / 1e6:12.3f} to {until:>12} ms  {self.key}: {words} -> {result}"
