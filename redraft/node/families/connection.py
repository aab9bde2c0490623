"""Connection commands: PING ECHO SELECT HELLO AUTH QUIT RESET (Redis: networking.c, acl.c, server.c)."""

from __future__ import annotations

from typing import Any

from redraft.commands import errors, parse
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.node.access_log import Refusal
from redraft.node.context import SessionContext
from redraft.node.describe import describe
from redraft.node.greeting import check_credentials, check_is_in, checked_name, greeting
from redraft.node.session import ReplyMode
from redraft.resp.reply import OK, PONG, Map, Status

REDIS_VERSION = "7.0.15"
"""The Redis whose behaviour is offered; clients switch features on by it."""

_AUTH_WITHOUT_PASSWORD = (
    "ERR AUTH <password> called without any password configured for the default user."
    " Are you sure your configuration is correct?"
)


@command(
    "PING", -1, "fast", group="connection", since="1.0.0", acl="connection",
    summary="Answer PONG, or the message that was sent",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)  # fmt: skip
def ping(context: SessionContext, argv: list[bytes]) -> Any:
    if len(argv) > 2:
        raise errors.wrong_arity("ping")
    return PONG if len(argv) == 1 else argv[1]


@command(
    "ECHO", 2, "loading stale fast", group="connection", since="1.0.0", acl="connection", summary="Answer the message"
)  # fmt: skip
def echo(context: SessionContext, argv: list[bytes]) -> Any:
    return argv[1]


@command(
    "SELECT", 2, "loading stale fast", group="connection", since="1.0.0", acl="connection",
    summary="Make a numbered database the connection's own",
)  # fmt: skip
def select(context: SessionContext, argv: list[bytes]) -> Any:
    # That a guest's exists was looked at where its client is; if it does not here, its commands say so.
    count = parse.INT_MAX if context.session.is_guest else context.node.databases()
    context.session.database = parse.database_number(argv[1], count)
    return OK


@command(
    "QUIT", -1, "noscript loading stale fast no_auth allow_busy", group="connection", since="1.0.0", acl="connection",
    summary="Close the connection once its replies are sent",
)  # fmt: skip
def quit_(context: SessionContext, argv: list[bytes]) -> Any:
    session = context.session
    session.close_after_reply = True
    session.refresh_plain()
    context.node.outgoing[session] = None  # also when it wants no reply
    return OK


@command(
    "AUTH", -2, "noscript loading stale fast no_auth allow_busy", group="connection", since="1.0.0", acl="connection",
    summary="Prove who the connection is", complexity="O(N) where N is the number of passwords defined for the user",
)  # fmt: skip
def auth(context: SessionContext, argv: list[bytes]) -> Any:
    if len(argv) > 3:
        raise CommandError(errors.SYNTAX)
    if len(argv) == 2 and not context.node.settings.requirepass:
        raise CommandError(_AUTH_WITHOUT_PASSWORD)
    user, password = (b"default", argv[1]) if len(argv) == 2 else (argv[1], argv[2])
    _authenticate(context, argv, user, password)
    return OK


def _authenticate(context: SessionContext, argv: list[bytes], user: bytes, password: bytes) -> None:
    """Let the session in, or raise WRONGPASS, which ACL LOG tells of."""
    node = context.node
    try:
        check_credentials(node.settings, user, password)
    except CommandError:
        where, name = "multi" if context.in_transaction else "toplevel", argv[0].decode("latin-1")
        shown = describe(context.session, node.steady_ms).rstrip("\n")
        node.observer.access_log.add(Refusal("auth", where, name, user, shown, node.steady_ms))
        raise
    session = context.session
    session.authenticated = True
    session.parser.authenticated = True
    session.refresh_plain()


@command(
    "HELLO", -1, "noscript loading stale fast no_auth allow_busy", group="connection", since="6.0.0", acl="connection",
    summary="Choose the protocol's version, and tell who both sides are",
)  # fmt: skip
def hello(context: SessionContext, argv: list[bytes]) -> Any:
    node, session = context.node, context.session
    asked = greeting(argv, session.protocol)
    if asked.credentials is not None:
        _authenticate(context, argv, *asked.credentials)
    check_is_in(session)
    if asked.name is not None:
        session.name = checked_name(asked.name)
    session.protocol = asked.protocol
    return Map(
        [
            (b"server", b"redis"),
            (b"version", REDIS_VERSION.encode()),
            (b"proto", asked.protocol),
            (b"id", session.id),
            (b"mode", node.redirect.mode.encode()),
            (b"role", node.redirect.role.encode().replace(b"slave", b"replica")),
            (b"modules", []),
        ]
    )


@command(
    "RESET", 1, "noscript loading stale fast no_auth allow_busy", group="connection", since="6.2.0", acl="connection",
    summary="Make the connection as good as new",
)  # fmt: skip
def reset(context: SessionContext, argv: list[bytes]) -> Any:
    session = context.session
    node = context.node
    session.multi = None
    session.multi_failed = False
    if not node.loading:
        node.unwatch(session)
    if node.observer.monitors.pop(session.id, None) is not None:
        session.monitor = False
        node.refresh_plain()
    session.database = 0
    session.protocol = 2
    session.reads_stale = False
    session.name = b""
    session.flags.clear()
    session.reply_mode = ReplyMode.ON
    session.authenticated = not node.settings.requirepass
    session.parser.authenticated = session.authenticated
    session.refresh_plain()
    return Status(b"RESET")
