"""The config group's member on this node: the log of the config table's changes, and the table as of each of them.

Its log is never cut: the table is small and changes rarely, so the log *is* the state, a new node is sent all of it,
and every version can be asked for. Whoever wants a change made proposes it under a number of its own choice, and finds
out what became of it when the entry is applied on its own node, wherever the leader is.

Invariant: `tables` has all versions, in order.
"""

from __future__ import annotations

import logging

import msgspec

from redraft.cluster.table import Change, RefusedError, Table
from redraft.errors import DamagedDataError, StorageError
from redraft.ids import CONFIG_GROUP, NodeId
from redraft.levels import NEWEST
from redraft.raft.errors import RaftError
from redraft.raft.messages import EntryKind
from redraft.raft.node import RaftNode
from redraft.raft.ready import Ready

log = logging.getLogger("redraft.cluster")


class Proposal(msgspec.Struct, frozen=True, array_like=True):
    """A change, as it stands in the log."""

    origin: NodeId
    """The node that asks for it."""
    number: int
    """Chosen by the origin at random: it knows the entry by it."""
    change: Change


class Decided(msgspec.Struct, frozen=True):
    """A proposal was applied: it made the newest version, or was refused."""

    proposal: Proposal
    refusal: str = ""


encode_proposal = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Proposal).decode


def decode_proposal(data: bytes) -> Proposal:
    """The proposal in an entry. Raises DamagedDataError."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedDataError(f"a change of the config table that cannot be read: {error}") from error


class ConfigGroup:
    """One replica of the config table."""

    group = CONFIG_GROUP

    def __init__(self, raft: RaftNode, knows: int = NEWEST) -> None:
        self.raft = raft
        self.knows = knows
        """The newest feature level that this node's version knows."""
        self.tables = [Table()]
        """All versions; the first is the empty one."""

    @property
    def table(self) -> Table:
        """The newest version that is known here."""
        return self.tables[-1]

    def propose(self, proposal: Proposal) -> bool:
        """Put a proposal into the log; False where this node cannot now."""
        if self.raft.leader is None:
            return False
        try:
            self.raft.propose(encode_proposal(proposal))
        except RaftError as error:
            log.debug("a change of the config table has to wait: %s", error)
            return False
        return True

    def apply_committed(self, ready: Ready) -> list[Decided]:
        """Apply the committed entries of a Ready; what became of the proposals in them. Raises StorageError where this
        version does not know what the cluster uses."""
        decided = []
        for entry in ready.committed:
            if entry.kind is EntryKind.NORMAL:
                decided.append(self._apply(decode_proposal(entry.data)))
            elif entry.kind is EntryKind.CHANGE:
                self.raft.apply_change(entry)
        if ready.committed:
            self.raft.applied_to(ready.committed[-1].index)
        return decided

    def _apply(self, proposal: Proposal) -> Decided:
        try:
            table = self.table.after(proposal.change)
        except RefusedError as error:
            return Decided(proposal, str(error))
        if table.level > self.knows:
            raise StorageError(
                f"the cluster is at feature level {table.level}, and this version knows {self.knows}: start a newer one"
            )
        if table is not self.table:
            log.debug("config table, version %d: %s", table.version, proposal.change)
            self.tables.append(table)
        return Decided(proposal)

    def leads(self) -> bool:
        """Whether this node leads the group and has applied all that earlier leaders did."""
        leader = self.raft.leader
        return leader is not None and self.raft.status().applied_index >= leader.first_index

    def check(self) -> None:
        """Assert the invariants."""
        self.raft.check()
        assert [table.version for table in self.tables] == list(range(len(self.tables)))
        self.table.check()
