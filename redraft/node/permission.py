"""By what right a node executes commands that need data: a value that goes with them.

Theory. A read is linearizable if it sees all that was acknowledged before it was sent. That a node still leads, or that
its data are new enough, is true as of some instant, and helps only the commands that had been read by then: what comes
in a moment later may be newer than another leader. So whoever has commands executed hands the router a `Permission`
with them, made after they were read:

* of one that serves (`Leadership.permission`): it leads, and its lease was looked at after they were read;
* of one that was told a read index (`forwarding`, `reads`): it was asked for after they were read;
* of one of whose reads nothing is demanded (`reads.read_now`).

A session's backlog came in later than what the permission is for, perhaps; so who goes on with it gets another.
Without a permission the router executes nothing that needs data, but has the leader do it (`away`).
"""

from __future__ import annotations

import enum


class Permission(enum.Enum):
    """The right by which commands are executed."""

    LEADER = "leader"
    """This node led, and nobody else could, when they had been read."""
    INDEX = "index"
    """This node has applied what the leader, asked after they had been read, had committed."""
    STALE = "stale"
    """They only ask for what this node has."""
