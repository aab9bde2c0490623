"""A member that has forgotten what it promised: an older copy of its disk was put back, or unsynced writes were lost.

Raft is safe because each member keeps what it has promised: the terms that it entered, its votes, and the entries
that it acknowledged. A member that has lost some of that is *forgetful*. That it is one is found out by those who
remember its promises (`node.memory`), or when its leader tells it that an entry is committed which it has
acknowledged and does not have. Then:

1. It gives no vote, asks for none, and leads no more. Whoever knows of it counts none of its acknowledgements, and
   begins anew to find out what it has (its old match is not true any more); before it has said that it knows of it
   itself, none of its votes either.
2. It takes entries as a learner would.
3. When every other voter that can be known has told it, in this life, how far its term and log go (each has heard of
   this life before it tells), it *recollects*: it enters the highest of those terms, in which it may have voted for
   anybody and votes for nobody, and from then on votes only for those whose log is as good as the best of those logs,
   its *floor*; whatever its own is, of which nobody knows how it came about.
4. When its leader's entries have brought its log to the floor, and are durable here, it is *whole*: an ordinary
   member.

Why that is safe. Let an entry e be committed in term t by a majority M, forgetful members among it, fewer of them
than a majority (else see below). So M has a member s that remembers e.

* No leader of a later term lacks e. It has the votes of a majority, which meets M. If in a member that remembers: the
  usual argument (section 5.4.3 of the paper). Else in forgetful ones only, that have voted before they forgot, and
  then their votes were true; or while they did not know that they are forgetful, and nobody whom they met knew it
  (what cannot be recognised, see `node.memory`); or after they had recollected. Then s is one of those who were
  heard, so the floor is a log at least as good as that of s after it had e; it has e, as all logs as good as one with
  e that legitimate leaders have made, and so has whoever is voted for.
* No two leaders in a term. A vote that was forgotten and counts is with a candidate, which is one of those who were
  heard; it told of its term then, and the forgetful one votes in none up to that; or it had heard of the new life of
  the forgetful one by then, and has dropped the vote.
* No acknowledgement counts that breaks a promise not to listen to older terms: those who lead in a later term by a
  forgotten vote were heard, so the forgetful one is in that term before it counts.

Where forgetful members are a majority of the voters (while members change, of both halves: else one of the other half
remembers e), nobody may be left who does. Then those go on who are there, after some patience with the others: the
floor is the best log among those heard, and whoever has it may stand. What that log lacks is lost, and it is said
(`node.memory`).

What this leaves out: a voter that never answers again keeps a forgetful one from being whole until it is removed, and
that is committed without the forgetful one; the others go on without both of them as long as they are a majority.
"""

from __future__ import annotations

from redraft.ids import NodeId
from redraft.raft.messages import Position


class Forgetting:
    """What one member knows of promises that were forgotten, its own and those of others."""

    def __init__(self) -> None:
        self.forgetful = False
        """Whether this member has forgotten something, and is not whole again."""
        self.known = Position()
        """What it had promised at least, if its leader has told of that."""
        self.floor: Position | None = None
        """The log that a candidate must match, once this member has recollected."""
        self.may_stand = False
        """Whether this member may be a candidate although it is forgetful."""
        self.distrusted: dict[NodeId, bool] = {}
        """Other members that are forgetful: whether each is known to know it."""
        self._promises: dict[NodeId, Position] = {}

    def promised(self, member: NodeId, position: Position) -> None:
        """A member has entered a term, and acknowledged entries to its leader."""
        if member not in self.distrusted and position > self.promise_of(member):
            self._promises[member] = position

    def promise_of(self, member: NodeId) -> Position:
        """The most that a member is known to have promised."""
        return self._promises.get(member, Position())

    def trust(self, member: NodeId) -> None:
        """A member is whole: what it promised before counts no more."""
        self.distrusted.pop(member, None)
        self._promises.pop(member, None)

    def may_vote_for(self, log_end: Position) -> bool:
        """Whether a candidate whose log ends there may have this member's vote, as far as what was forgotten goes."""
        return not self.forgetful or (self.floor is not None and log_end >= self.floor)

    def may_campaign(self, log_end: Position) -> bool:
        """Whether this member, whose log ends there, may be a candidate."""
        return not self.forgetful or (self.may_stand and self.floor is not None and log_end >= self.floor)

    def counts_vote_of(self, member: NodeId) -> bool:
        """Whether a vote that it has granted is one, and it may have one: it has not forgotten anything, or knows that
        it has."""
        return self.distrusted.get(member, True)

    def recollected(self, floor: Position, *, may_stand: bool) -> None:
        """Others were heard. Where all were, each floor is enough by itself, so it does not rise with their logs."""
        if self.floor is not None and not may_stand and not self.may_stand:
            floor = min(floor, self.floor)
        self.floor = floor
        self.may_stand = may_stand

    def reached(self, log_end: Position) -> None:
        """The leader's entries are here up to there, and durable."""
        if self.floor is not None and log_end >= self.floor:
            self.become_whole()

    def become_whole(self) -> None:
        """This member is an ordinary one again."""
        self.forgetful = self.may_stand = False
        self.floor = None
