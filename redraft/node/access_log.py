"""ACL LOG: who was refused, and how often, as Redis keeps it (acl.c).

There is one user, so what is refused is a password. Refusals that are alike within `GROUP_MS` are one entry.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

GROUP_MS = 60_000
MOST_ENTRIES = 128


@dataclass
class Refusal:
    """Refusals that are alike."""

    reason: str
    context: str
    name: str
    """What was to be used: of a refused password, the command."""
    user: bytes
    client: str
    """As CLIENT LIST shows the last one."""
    time_ms: int
    """Monotonic, of the last one."""
    count: int = 1


class AccessLog:
    """The refusals of one node, the newest first."""

    def __init__(self) -> None:
        self.entries: deque[Refusal] = deque(maxlen=MOST_ENTRIES)

    def add(self, refusal: Refusal) -> None:
        """Somebody was refused."""
        for entry in self.entries:
            alike = (entry.reason, entry.context, entry.name, entry.user) == (
                refusal.reason, refusal.context, refusal.name, refusal.user
            )  # fmt: skip
            if alike and refusal.time_ms - entry.time_ms < GROUP_MS:
                refusal.count = entry.count + 1
                self.entries.remove(entry)
                break
        self.entries.appendleft(refusal)
