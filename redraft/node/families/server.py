"""The node itself: TIME SAVE BGSAVE LASTSAVE SHUTDOWN ROLE MONITOR LOLWUT (Redis: server.c, rdb.c, lolwut.c).

A save is a flush of the memtable into the image. Writes are durable without it; it only shortens the next start.
"""

from __future__ import annotations

from typing import Any

from redraft import __version__
from redraft.commands import errors
from redraft.commands.table import command, container
from redraft.errors import CommandError
from redraft.node.context import NO_REPLY, SessionContext
from redraft.node.families.connection import REDIS_VERSION
from redraft.node.flusher import Phase
from redraft.node.node import ShutdownRequest
from redraft.node.redirect import host_and_port
from redraft.node.session import Blocked
from redraft.resp.reply import OK, Status, Verbatim

_SAVE_IN_PROGRESS = "ERR Background save already in progress"


@command(
    "TIME", 1, "loading stale fast", group="server", since="2.6.0", summary="Tell the time of the state: seconds, µs",
    tips=("nondeterministic_output",),
)  # fmt: skip
def time(context: SessionContext, argv: list[bytes]) -> Any:
    now_us = context.node.state_us()
    return [b"%d" % (now_us // 1_000_000), b"%d" % (now_us % 1_000_000)]


@command(
    "SAVE", 1, "admin noscript no_async_loading no_multi", group="server", since="1.0.0",
    summary="Write the memtable into the image and wait", complexity="O(N) where N is the number of changed keys",
)  # fmt: skip
def save(context: SessionContext, argv: list[bytes]) -> Any:
    node, session = context.node, context.session
    node.block(session, Blocked("save"))
    node.flusher.request(lambda: node.unblock(session, OK))
    return NO_REPLY


@command(
    "BGSAVE", -1, "admin noscript no_async_loading", group="server", since="1.0.0",
    summary="Begin to write the memtable into the image", complexity="O(1)",
)  # fmt: skip
def bgsave(context: SessionContext, argv: list[bytes]) -> Any:
    scheduled = len(argv) == 2 and argv[1].lower() == b"schedule"
    if len(argv) > 1 and not scheduled:
        raise CommandError(errors.SYNTAX)
    flusher = context.node.flusher
    busy = flusher.phase is not Phase.IDLE
    if busy and not scheduled:
        raise CommandError(_SAVE_IN_PROGRESS)
    flusher.request()
    return Status(b"Background saving scheduled" if busy else b"Background saving started")


@command(
    "BGREWRITEAOF", 1, "admin noscript no_async_loading", group="server", since="1.0.0",
    summary="Begin to write the memtable into the image, so that the log can be cut", complexity="O(1)",
)  # fmt: skip
def bgrewriteaof(context: SessionContext, argv: list[bytes]) -> Any:
    context.node.flusher.request()
    return Status(b"Background append only file rewriting started")


@command(
    "LASTSAVE", 1, "loading stale fast", group="server", since="1.0.0", acl="admin dangerous",
    summary="Tell the Unix time of the last save", tips=("nondeterministic_output",),
)  # fmt: skip
def lastsave(context: SessionContext, argv: list[bytes]) -> Any:
    return context.node.flusher.last_flush_ms // 1000


@command(
    "SHUTDOWN", -1, "admin noscript loading stale no_multi allow_busy", group="server", since="1.0.0",
    summary="Stop the node; with NOSAVE the next start replays the log instead of reading a fresh image",
    complexity="O(N) where N is the number of changed keys",
)  # fmt: skip
def shutdown(context: SessionContext, argv: list[bytes]) -> Any:
    words = [word.lower() for word in argv[1:]]
    if len(words) > 4 or any(word not in (b"save", b"nosave", b"now", b"force", b"abort") for word in words):
        raise CommandError(errors.SYNTAX)
    if (b"abort" in words and len(words) > 1) or {b"save", b"nosave"} <= set(words):
        raise CommandError(errors.SYNTAX)
    if b"abort" in words:
        raise CommandError("ERR No shutdown in progress.")
    context.node.shutdown_requested = ShutdownRequest(b"nosave" not in words, b"force" in words, context.session)
    return NO_REPLY


@command(
    "ROLE", 1, "noscript loading stale fast", group="server", since="2.8.12", acl="admin dangerous",
    summary="Tell the node's role in Redis's terms",
)  # fmt: skip
def role(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    if node.redirect.role == "master":
        leader = node.shard.raft.leader
        if leader is None or not leader.followers:
            return [b"master", 0, []]
        replicas = [
            [*map(_text, host_and_port(node.members.address(member))), _text(progress.match)]
            for member, progress in sorted(leader.followers.items())
        ]
        return [b"master", node.shard.applied.index, replicas]
    known = node.redirect.leader()
    host, port = host_and_port(node.members.address(known) if known else "")
    return [b"slave", host.encode(), port, b"connected" if known else b"connect", node.shard.applied.index]


def _text(value: object) -> bytes:
    return str(value).encode()


@command(
    "MONITOR", 1, "admin noscript loading stale", group="server", since="1.0.0",
    summary="Show every command that the node is sent, from now on",
)  # fmt: skip
def monitor(context: SessionContext, argv: list[bytes]) -> Any:
    session = context.session
    session.monitor = True
    session.refresh_plain()
    context.node.observer.monitors[session.id] = session
    context.node.refresh_plain()
    return OK


_RAFT = r"""
              ~  ~~   |>    ~~
         ~~  ~        |         ~
     ~       _________|_________     ~~
   ~~  ~~   (=)=(=)=(=)=(=)=(=)=)  ~
  ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
"""


@command(
    "LOLWUT", -1, "readonly fast", group="server", since="5.0.0", acl="read",
    summary="Draw a raft, and tell the version",
)  # fmt: skip
def lolwut(context: Any, argv: list[bytes]) -> Any:
    return Verbatim("txt", f"{_RAFT.lstrip(chr(10))}\nRedis ver. {REDIS_VERSION} (redraft {__version__})\n".encode())


container("MODULE", -2, group="server", since="4.0.0", summary="Code of others in the server: there is none")

_MODULES = "ERR Error loading the extension: redraft runs no code of others"


@command(
    "MODULE LIST", 2, "admin noscript", group="server", since="4.0.0", summary="List the modules: none",
    tips=("nondeterministic_output_order",),
)  # fmt: skip
def module_list(context: SessionContext, argv: list[bytes]) -> Any:
    return []


def _refuse_module(context: SessionContext, argv: list[bytes]) -> Any:
    raise CommandError(_MODULES)


for _name, _arity, _since in (("LOAD", -3, "4.0.0"), ("LOADEX", -3, "7.0.0"), ("UNLOAD", 3, "4.0.0")):
    command(
        f"MODULE {_name}", _arity, "admin noscript no_async_loading", group="server", since=_since,
        summary="Refused: redraft runs no code of others", enabled_by="enable-module-command",
    )(_refuse_module)  # fmt: skip
