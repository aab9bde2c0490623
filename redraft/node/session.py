"""A client's protocol state, and its replies in order.

Theory. Replies must come in the order of requests, but a write is answered only when its entry is applied, while a
read or a PING behind it may be ready at once. So what a session has been promised is a queue of *segments*: a segment
belongs to one batch and fills when that batch is applied, or belongs to none and is ready. Replies leave when no
unfilled segment stands before them. Most of the time there is no segment at all and replies go straight to `out`.

Invariants (`check`): a session that is `plain` has no state that any command would have to look at; `segments` never
begins with a ready one; the last two are never both ready.

What this leaves out: what a command does, sockets, when bytes are sent.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redraft.commands.table import Command
from redraft.resp.encoder import encode
from redraft.resp.parser import RequestParser
from redraft.shard.batch import Batch

if TYPE_CHECKING:
    from redraft.node.links import Hello, Link
    from redraft.node.timers import Timer


class ReplyMode(enum.Enum):
    """CLIENT REPLY."""

    ON = "on"
    OFF = "off"
    SKIP_NEXT = "skip-next"
    """CLIENT REPLY SKIP was just executed: the next command is not answered."""
    SKIP = "skip"
    """The present command is not answered."""


class Segment:
    """Replies of one session that become ready together."""

    __slots__ = ("batch", "parts", "session")

    def __init__(self, session: Session, batch: Batch | None) -> None:
        self.session = session
        self.batch = batch
        """What they wait for; None once they are ready."""
        self.parts: list[bytes] = []


class Blocked:
    """Why a session's commands are not executed for now, and how to end that early."""

    __slots__ = ("deadline_ns", "kind", "on_cancel", "on_error", "on_timeout", "timer")

    def __init__(
        self,
        kind: str,
        deadline_ns: int | None = None,
        on_timeout: Callable[[], None] | None = None,
        on_cancel: Callable[[], None] | None = None,
        on_error: Callable[[], None] | None = None,
    ) -> None:
        self.kind = kind
        self.deadline_ns = deadline_ns
        """Monotonic time at which `on_timeout` is called."""
        self.on_timeout = on_timeout
        self.on_cancel = on_cancel
        """Called when the session goes away while blocked."""
        self.on_error = on_error
        """Called by CLIENT UNBLOCK … ERROR, where an error cannot be given at once."""
        self.timer: Timer | None = None
        """What calls `on_timeout`."""


class Session:
    """One client connection above its socket."""

    __slots__ = (
        "address",
        "authenticated",
        "backlog",
        "blocked",
        "close_after_reply",
        "closed",
        "connected_ms",
        "database",
        "encrypted",
        "flags",
        "hello",
        "id",
        "is_guest",
        "is_surplus",
        "killed",
        "last_active_ms",
        "last_command",
        "library_name",
        "library_version",
        "link",
        "local_address",
        "monitor",
        "multi",
        "multi_bytes",
        "multi_failed",
        "name",
        "out",
        "parser",
        "plain",
        "protocol",
        "reads_stale",
        "reply_mode",
        "segments",
        "transport",
        "unix",
        "unread",
        "user",
        "wait_token",
        "watch_dirty",
        "watch_suspect",
        "watched",
        "watches_remotely",
        "write_index",
    )

    def __init__(
        self,
        session_id: int,
        address: str,
        local_address: str,
        parser: RequestParser,
        steady_ms: int,
        *,
        unix: bool = False,
    ) -> None:
        self.id = session_id
        self.address = address
        self.local_address = local_address
        self.unix = unix
        self.encrypted = False
        """Whether it came by TLS."""
        self.parser = parser
        self.transport: Any = None
        """The server's own record of the connection (its descriptor, its unsent bytes)."""
        self.connected_ms = steady_ms
        """On the monotonic clock, as is the next."""
        self.last_active_ms = steady_ms
        self.last_command: Command | None = None
        self.name = b""
        self.library_name = b""
        self.library_version = b""
        self.user = b"default"
        self.authenticated = True
        self.database = 0
        self.protocol = 2
        self.flags: set[str] = set()
        """CLIENT NO-EVICT, NO-TOUCH and the like."""
        self.monitor = False
        self.reply_mode = ReplyMode.ON
        self.multi: list[tuple[Command, list[bytes]]] | None = None
        """Commands queued since MULTI, or None outside a transaction."""
        self.multi_bytes = 0
        """The arguments of those commands, in all."""
        self.multi_failed = False
        self.watched: set[tuple[int, bytes]] = set()
        self.watch_dirty = False
        """A watched key was changed."""
        self.watches_remotely = False
        """WATCH was passed on: the keys are watched where the leader is."""
        self.watch_suspect: Batch | None = None
        """The last batch, perhaps not yet applied, with a write aimed at a watched key."""
        self.reads_stale = False
        """READONLY: a node that does not lead may answer reads from what it has."""
        self.write_index = 0
        """Where the last write that it was answered stands in the log, as far as it was noted."""
        self.is_guest = False
        """Its client is at another node (see `guests`)."""
        self.is_surplus = False
        """It came in beyond maxclients, since it may be another node's."""
        self.wait_token = 0
        """A guest's: the name that its node has given to the wait of its next command; 0 for none."""
        self.hello: Hello | None = None
        """What another node has greeted with, and must prove."""
        self.link: Link | None = None
        """Another node's: it takes all that comes from then on."""
        self.blocked: Blocked | None = None
        self.backlog: deque[list[bytes]] = deque()
        """Commands received and not yet looked at: something before them must finish first."""
        self.unread: deque[memoryview] = deque()
        """What it has sent behind those, and is not parsed yet (see `turns`)."""
        self.segments: deque[Segment] = deque()
        self.out: list[bytes] = []
        """Encoded replies ready to be sent."""
        self.close_after_reply = False
        self.killed = False
        self.closed = False
        self.plain = True
        """Whether commands may take the short road: nothing below is in force."""

    def refresh_plain(self) -> None:
        """Recompute `plain`; to be called after any change of what it depends on."""
        self.plain = (
            self.authenticated
            and self.multi is None
            and self.reply_mode is ReplyMode.ON
            and self.blocked is None
            and not self.monitor
            and not self.close_after_reply
            and not self.closed
            and not self.is_surplus
        )

    def queue(self, command: Command, argv: list[bytes]) -> None:
        """Put a command into the open transaction."""
        assert self.multi is not None
        if not self.multi:
            self.multi_bytes = 0
        self.multi.append((command, argv))
        self.multi_bytes += sum(map(len, argv))

    def input_bytes(self) -> int:
        """What is held of its input: bytes of commands that wait, that are not parsed or not complete."""
        backlog = sum(sum(map(len, argv)) for argv in self.backlog)
        return self.parser.pending_bytes + sum(map(len, self.unread)) + backlog

    def is_owed(self) -> bool:
        """Whether replies to what it has sent are still to come, and none of them waits for what may never come."""
        passed_on = self.blocked is not None and not self.waits()
        return bool(self.segments or self.backlog or self.unread or passed_on)

    def is_local(self) -> bool:
        """Whether its client is on this machine (networking.c, islocalClient)."""
        return self.unix or self.address.startswith(("127.", "[::1]:"))

    def is_blocked(self) -> bool:
        """Whether nothing more of the session is executed for now: its command waits, or earlier ones have yet to be
        looked at (its turn was over in the middle of a run)."""
        return self.blocked is not None or bool(self.backlog)

    def waits(self) -> bool:
        """Whether its command waits for something else than another node's answer."""
        return self.blocked is not None and (self.blocked.kind != "leader" or self.blocked.on_timeout is not None)

    def segment_for(self, batch: Batch) -> Segment:
        """The segment for replies that wait for `batch`, behind all others."""
        segments = self.segments
        if segments and segments[-1].batch is batch:
            return segments[-1]
        segment = Segment(self, batch)
        segments.append(segment)
        batch.owners.append(segment)
        return segment

    def answer(self, reply: Any) -> None:
        """Add a reply that is ready, behind all that were promised before it."""
        self.answer_encoded(encode(reply, self.protocol))

    def answer_encoded(self, data: bytes) -> None:
        """Add encoded replies, behind all that were promised before them."""
        if not self.segments:
            self.out.append(data)
            return
        last = self.segments[-1]
        if last.batch is not None:
            last = Segment(self, None)
            self.segments.append(last)
        last.parts.append(data)

    def drain(self) -> None:
        """Move what is ready to `out`."""
        segments = self.segments
        while segments and segments[0].batch is None:
            self.out += segments.popleft().parts

    def statistics(self) -> dict[str, int]:
        """Sizes for CLIENT LIST."""
        return {
            "qbuf": self.input_bytes(),
            "multi": -1 if self.multi is None else len(self.multi),
            "multi-mem": self.multi_bytes if self.multi else 0,
            "watch": len(self.watched),
            "backlog": len(self.backlog),
            "segments": len(self.segments),
        }

    def check(self) -> None:
        """Assert the invariants."""
        plain = self.plain
        self.refresh_plain()
        assert plain == self.plain
        assert not self.segments or self.segments[0].batch is not None
        pairs = zip(self.segments, list(self.segments)[1:], strict=False)
        assert not any(first.batch is None and second.batch is None for first, second in pairs)
