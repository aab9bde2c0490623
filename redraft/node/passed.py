"""A request of one session to the leader, and where it is (see `forwarding`, which has them)."""

from __future__ import annotations

from redraft.ids import NO_NODE, Term
from redraft.node.session import Session
from redraft.node.split import Split


class Passed:
    """A request of one session here, and where it is."""

    __slots__ = (
        "begins_watch", "commands", "deadline_ns", "last_word_ns", "number", "packed", "refused_by", "round", "session",
        "split", "term", "to", "token", "waits", "watches", "writes",
    )  # fmt: skip

    def __init__(self, session: Session, commands: list[list[bytes]]) -> None:
        self.session = session
        self.commands = commands
        self.packed: bytes | None = None
        """What `entry.pack` makes of the commands, where that is known already."""
        self.writes = False
        self.waits = False
        """It is one command that may wait for something else than its turn."""
        self.split: Split | None = None
        """The transaction that it is."""
        self.watches = False
        """It is a transaction that relies on what the session's guest has watched."""
        self.begins_watch = False
        """It has the session watch something: at the node that it is sent to, or here if it is executed here."""
        self.token = 0
        """The name of the wait, where the log knows it."""
        self.number = 0
        self.term = Term(0)
        """In which it was sent."""
        self.to = NO_NODE
        """Who has it; nobody yet: it is held back."""
        self.refused_by = (NO_NODE, Term(0))
        """Who did not lead in which term, and will not in that one."""
        self.round = 0
        """The read index, asked for here, that allows it to be executed."""
        self.deadline_ns = 0
        """Until when it may be held back."""
        self.last_word_ns = 0
        """Until when one that leads no more may answer; 0 while it leads."""
