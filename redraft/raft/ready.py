"""Ready: what a group member wants done (after etcd's raft, whose contract it keeps).

In this order: `entries` and `hard_state` are made durable (`must_sync` says whether that needs an fsync: a commit index
alone does not); `committed` entries, which are durable already, are applied in order; then `advance`.
"""

from __future__ import annotations

from typing import NamedTuple

from redraft.raft.messages import Entry, HardState


class Ready(NamedTuple):
    """One round of output."""

    hard_state: HardState | None
    """What changed of term, vote and commit index; None when nothing did."""
    entries: list[Entry]
    """To be written to the log, replacing whatever has their indexes or later ones."""
    committed: list[Entry]
    """To be applied."""
    must_sync: bool
    """Whether an fsync must come before `advance`."""
