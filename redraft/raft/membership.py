"""Who is in the group: changes as log entries, and what each makes of a configuration (thesis chapter 4).

A change of one voter is made at once, since any two majorities of the old and the new group overlap (section 4.1);
everything else goes through a joint configuration, which is left by an entry of its own (section 4.3). A configuration
counts from the moment its entry is in the log, committed or not (section 4.1); an entry that gives way to another
leader's takes its configuration with it. (A member that went by what it has applied could, after a leader has removed
itself, wait for the vote of one that votes no more.)
"""

from __future__ import annotations

import enum

import msgspec

from redraft.ids import Index, NodeId
from redraft.raft.errors import InvalidChangeError
from redraft.raft.messages import ConfState


class ChangeKind(enum.IntEnum):
    """What becomes of a member."""

    ADD_VOTER = 0
    """A new member or a learner becomes a voter."""
    ADD_LEARNER = 1
    """A new member, or a voter that shall vote no more, is sent entries and does not count."""
    REMOVE = 2


class MemberChange(msgspec.Struct, frozen=True, array_like=True):
    """One member's part of a change."""

    kind: ChangeKind
    node: NodeId


class ConfChange(msgspec.Struct, frozen=True, array_like=True):
    """An entry of kind CHANGE. Without `changes` it leaves the joint configuration."""

    changes: tuple[MemberChange, ...] = ()
    context: bytes = b""
    """The state machine's: opaque to Raft."""


LEAVE_JOINT = ConfChange()
_decoder = msgspec.msgpack.Decoder(ConfChange)


def encode_change(change: ConfChange) -> bytes:
    """An entry's data."""
    return msgspec.msgpack.encode(change)


def decode_change(data: bytes) -> ConfChange:
    """The change in an entry. Raises InvalidChangeError."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidChangeError(f"a membership change that cannot be read: {error}") from error


def changed(conf: ConfState, change: ConfChange) -> ConfState:
    """The configuration after a change. Raises InvalidChangeError."""
    if not change.changes:
        return _left(conf)
    if conf.outgoing:
        raise InvalidChangeError("another membership change is under way")
    voters, learners = set(conf.voters), set(conf.learners)
    for member in change.changes:
        known = member.node in voters or member.node in learners
        voters.discard(member.node)
        learners.discard(member.node)
        if member.kind is ChangeKind.ADD_VOTER:
            voters.add(member.node)
        elif member.kind is ChangeKind.ADD_LEARNER:
            learners.add(member.node)
        elif not known:
            raise InvalidChangeError(f"node {member.node} is not a member")
    if not voters:
        raise InvalidChangeError("a group cannot be without voters")
    if len(voters ^ set(conf.voters)) <= 1:
        return ConfState(_sorted(voters), (), _sorted(learners))
    return ConfState(
        voters=_sorted(voters),
        outgoing=conf.voters,
        # Who still votes in the old half becomes a learner only when that half is gone.
        learners=_sorted(learners - set(conf.voters)),
        learners_next=_sorted(learners & set(conf.voters)),
        auto_leave=True,
    )


def _left(conf: ConfState) -> ConfState:
    if not conf.outgoing:
        raise InvalidChangeError("there is no joint configuration to leave")
    return ConfState(conf.voters, (), _sorted({*conf.learners, *conf.learners_next}))


def _sorted(nodes: set[NodeId]) -> tuple[NodeId, ...]:
    return tuple(sorted(nodes))


class Configurations:
    """One member's configurations: the one as of what is applied, and those of the log's entries behind it.

    Invariant: indexes grow.
    """

    def __init__(self, index: Index, conf: ConfState) -> None:
        self._states = [(index, conf)]

    @property
    def current(self) -> ConfState:
        """The one that counts: of the last entry that makes one."""
        return self._states[-1][1]

    @property
    def last_index(self) -> Index:
        """The entry that made the current one."""
        return self._states[-1][0]

    def may_lead(self, node: NodeId) -> bool:
        """Whether `node` votes in any of them: one that an uncommitted entry removes may still be needed to commit it
        (thesis section 4.2.2)."""
        return any(conf.is_voter(node) for _, conf in self._states)

    def append(self, index: Index, change: ConfChange) -> ConfState:
        """An entry with a change was added to the log; the configuration that counts now. Raises InvalidChangeError."""
        self._states.append((index, changed(self.current, change)))
        return self.current

    def truncate(self, index: Index) -> None:
        """The log's entries from `index` on are gone."""
        while len(self._states) > 1 and self._states[-1][0] >= index:
            self._states.pop()

    def applied_to(self, index: Index) -> ConfState:
        """Everything up to `index` is applied; the configuration as of it."""
        while len(self._states) > 1 and self._states[1][0] <= index:
            del self._states[0]
        return self._states[0][1]

    def restore(self, index: Index, conf: ConfState) -> None:
        """A snapshot takes the place of the log."""
        self._states = [(index, conf)]
