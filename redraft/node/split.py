"""A transaction whose data are at another node: what of it is sent there, and what is done here.

Theory. A session stays where its client is. So of a transaction that is passed on, only what needs data (or is the
leader's business) goes to the leader, with a SELECT before what is of another database; the commands of the session and
of this node (HELLO, CLIENT SETNAME, CONFIG SET …) are executed here. That is done once the leader has answered, since
nothing of a transaction may be done whose watched keys were changed; their replies then take their places in the
leader's array. What they mean for the data is known before: which databases they select, and by which protocol the
array is to be encoded.

Where all that was queued goes to the leader as it is, its answer is the client's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.commands import parse
from redraft.commands.table import Command, Kind
from redraft.errors import CommandError
from redraft.node.greeting import protocol_after
from redraft.resp.elements import array, elements, is_array

if TYPE_CHECKING:
    from redraft.settings import Settings

LEADERS_BUSINESS = frozenset(
    {
        "watch", "unwatch", "wait", "waitaof",
        "redraft|members", "redraft|promote", "redraft|transfer",
    }
)  # fmt: skip
"""Session commands that the leader executes."""
PLACEHOLDER = b"UNWATCH"
"""What a transaction is sent as of which nothing needs data: the leader only says whether a watched key was changed."""

Queued = list[tuple[Command, list[bytes]]]
"""What MULTI has queued."""


def goes_to_leader(command: Command) -> bool:
    """Whether only the leader can execute it: data, the watching of it, and who the members are."""
    return command.kind is not Kind.SESSION or command.name in LEADERS_BUSINESS


class Split:
    """One transaction."""

    __slots__ = ("_places", "commands", "own", "protocol", "queued")

    def __init__(self, queued: Queued, database: int, databases: int, protocol: int, settings: Settings) -> None:
        """`database` and `protocol` are the session's, `databases` how many it may select."""
        self.queued = queued
        self.commands: list[list[bytes]] = []
        """What is sent."""
        self.own: Queued = []
        """What is executed here."""
        self._places: list[int] = []
        """Of each that was queued, where its reply stands in the leader's array; -1: it is executed here."""
        selected = database
        for command, argv in queued:
            if not goes_to_leader(command):
                if command.name == "select":
                    database = _selected(argv, databases, database)
                elif command.name == "hello":
                    protocol = protocol_after(settings, argv, protocol)
                self.own.append((command, argv))
                self._places.append(-1)
                continue
            if database != selected:
                selected = database
                self.commands.append([b"SELECT", b"%d" % database])
            self._places.append(len(self.commands))
            self.commands.append(argv)
        if not self.commands:
            self.commands.append([PLACEHOLDER])
        self.protocol = protocol
        """By which the answer is to be encoded."""

    def is_done(self, answer: bytes) -> bool:
        """Whether the leader has executed it."""
        return is_array(answer)

    def whole(self, answer: bytes, own: list[bytes]) -> bytes:
        """The client's answer: the leader's, with the replies to what was executed here. Raises ValueError where the
        leader's has not as many as it was sent commands."""
        if self.queued and not self.own:
            return answer
        found = elements(answer)
        if len(found) != len(self.commands):
            raise ValueError("not as many replies as there were commands")
        here = iter(own)
        return array([next(here) if place < 0 else found[place] for place in self._places])


def _selected(argv: list[bytes], databases: int, database: int) -> int:
    try:
        return parse.database_number(argv[1], databases)
    except CommandError:
        return database
