"""Ready: what a group member wants done (after etcd's raft, whose contract it keeps).

1. `urgent` messages may leave at once, before anything is durable;
2. a `snapshot` replaces the state machine and the log; then `entries` and `hard_state` are made durable (`must_sync`
   says whether that needs an fsync: a commit index alone does not);
3. `messages` leave when that, and what all earlier Readies asked for, is durable;
4. `committed` entries, which are durable already, are applied in order; `reads` may be answered once everything up to
   their index is applied;
5. `advance` is called, in the order in which Readies were taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from redraft.ids import Index, NodeId
from redraft.raft.messages import AnyMessage, Entry, HardState, SnapshotMeta


class ReadState(msgspec.Struct, frozen=True):
    """A read that was asked for as `context` shows the latest state once everything up to `index` is applied."""

    context: int
    index: Index


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
    urgent: Sequence[AnyMessage] = ()
    """A leader's messages, and questions that promise nothing."""
    messages: Sequence[AnyMessage] = ()
    """Votes and acknowledgements: they tell of what must be durable first."""
    reads: Sequence[ReadState] = ()
    snapshot: SnapshotMeta | None = None
    """The snapshot that arrived and is to be installed."""
    wanting_snapshot: Sequence[NodeId] = ()
    """Followers that need a snapshot: the driver sends one, begun with `send_snapshot`."""
    log_epoch: int = 0
    """Which of the log's pasts `entries` belong to; for `advance`."""
    changes_vote: bool = False
    """Whether `hard_state` has another term or vote, or a longer promise, than what is durable. A member that forgets
    what it has acknowledged loses writes; one that forgets its vote may vote twice, and a term has two leaders."""
