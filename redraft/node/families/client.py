"""CLIENT: what a connection may ask about itself and others, and do to them (Redis: networking.c)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.table import command, container
from redraft.errors import CommandError
from redraft.node.blocking import end_early
from redraft.node.context import NO_REPLY, SessionContext
from redraft.node.describe import describe
from redraft.node.greeting import checked_name
from redraft.node.node import Node
from redraft.node.session import ReplyMode, Session
from redraft.resp.reply import OK, Map, SetReply, Verbatim

CLIENT_TYPES = (b"normal", b"master", b"replica", b"slave", b"pubsub")
CLIENT_TYPE_NORMAL = b"normal"

_NO_TRACKING = "ERR Client-side caching is not supported: this server sends no invalidation messages"

_anyone = partial(command, flags="noscript loading stale", group="connection", acl="connection")
_admin = partial(command, flags="admin noscript loading stale", group="connection", acl="connection")

container(
    "CLIENT", -2, group="connection", since="2.4.0", summary="What clients are connected, and themselves",
    help_acl="connection",
)  # fmt: skip


def _listing(sessions: list[Session], node: Node) -> Verbatim:
    return Verbatim("txt", "".join(describe(session, node.steady_ms) for session in sessions).encode("latin-1"))


def _by_age(node: Node) -> list[Session]:
    clients = (session for session in node.sessions.values() if session.link is None)
    return sorted(clients, key=lambda session: session.id)


@_anyone("CLIENT ID", 2, since="5.0.0", summary="Tell the connection's id")
def client_id(context: SessionContext, argv: list[bytes]) -> Any:
    return context.session.id


@_anyone("CLIENT GETNAME", 2, since="2.6.9", summary="Tell the connection's name")
def client_getname(context: SessionContext, argv: list[bytes]) -> Any:
    return context.session.name or None


@_anyone("CLIENT SETNAME", 3, since="2.6.9", summary="Name the connection")
def client_setname(context: SessionContext, argv: list[bytes]) -> Any:
    context.session.name = checked_name(argv[2])
    return OK


@_anyone("CLIENT SETINFO", 4, since="7.2.0", summary="Tell the name or the version of the client's library")
def client_setinfo(context: SessionContext, argv: list[bytes]) -> Any:
    option = argv[2].lower()
    if option not in (b"lib-name", b"lib-ver"):
        raise CommandError(f"ERR Unrecognized option '{argv[2].decode('latin-1')}'")
    if any(byte < 33 or byte > 126 for byte in argv[3]):
        raise CommandError(f"ERR {option.decode()} cannot contain spaces, newlines or special characters.")
    if option == b"lib-name":
        context.session.library_name = argv[3]
    else:
        context.session.library_version = argv[3]
    return OK


@_anyone("CLIENT INFO", 2, since="6.2.0", summary="Tell about the connection", tips=("nondeterministic_output",))
def client_info(context: SessionContext, argv: list[bytes]) -> Any:
    return _listing([context.session], context.node)


@_admin("CLIENT LIST", -2, since="2.4.0", summary="Tell about all connections", tips=("nondeterministic_output",))
def client_list(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    sessions = _by_age(node)
    if len(argv) == 4 and argv[2].lower() == b"type":
        wanted = _client_type(argv[3])
        sessions = sessions if wanted == CLIENT_TYPE_NORMAL else []
    elif len(argv) > 3 and argv[2].lower() == b"id":
        ids = [parse.integer(word, "ERR Invalid client ID") for word in argv[3:]]
        sessions = [node.sessions[number] for number in ids if number in node.sessions]
    elif len(argv) != 2:
        raise CommandError(errors.SYNTAX)
    return _listing(sessions, node)


def _client_type(word: bytes) -> bytes:
    if word.lower() not in CLIENT_TYPES:
        raise CommandError(f"ERR Unknown client type '{word.decode('latin-1')}'")
    return word.lower()


@_admin("CLIENT KILL", -3, since="2.4.0", summary="Close connections")
def client_kill(context: SessionContext, argv: list[bytes]) -> Any:
    if len(argv) == 3:
        victims = [s for s in _by_age(context.node) if s.address.encode() == argv[2]]
        if not victims:
            raise CommandError("ERR No such client")
        _kill(context, victims)
        return OK
    if len(argv) % 2:
        raise CommandError(errors.SYNTAX)
    filters: list[Callable[[Session], bool]] = []
    skip_me = True
    for word, value in zip(argv[2::2], argv[3::2], strict=True):
        option = word.lower()
        if option == b"id":
            number = parse.integer_in(value, 1, (1 << 63) - 1, "ERR client-id should be greater than 0")
            filters.append(lambda session, number=number: session.id == number)  # type: ignore[misc]
        elif option == b"type":
            normal = _client_type(value) == CLIENT_TYPE_NORMAL
            filters.append(lambda session, normal=normal: normal)  # type: ignore[misc]
        elif option == b"addr":
            filters.append(lambda session, value=value: session.address.encode() == value)  # type: ignore[misc]
        elif option == b"laddr":
            filters.append(lambda session, value=value: session.local_address.encode() == value)  # type: ignore[misc]
        elif option == b"user":
            if value != b"default":
                raise CommandError(f"ERR No such user '{value.decode('latin-1')}'")
        elif option == b"skipme" and value.lower() in (b"yes", b"no"):
            skip_me = value.lower() == b"yes"
        else:
            raise CommandError(errors.SYNTAX)
    victims = [s for s in _by_age(context.node) if all(matches(s) for matches in filters)]
    if skip_me:
        victims = [session for session in victims if session is not context.session]
    _kill(context, victims)
    return len(victims)


def _kill(context: SessionContext, victims: list[Session]) -> None:
    """Have sessions closed: the one that asks after its reply, the others at once."""
    for session in victims:
        if session is context.session:
            session.close_after_reply = True
        elif context.node.forwarding.waits_elsewhere(session):
            # Its command ends first: the reply may hold an element that would be lost with the connection.
            end_early(context.node, session, by_error=True)
            session.close_after_reply = True
        else:
            session.killed = True
        session.refresh_plain()
        context.node.outgoing[session] = None


@_admin("CLIENT PAUSE", -3, since="2.9.50", summary="Put off commands for some milliseconds")
def client_pause(context: SessionContext, argv: list[bytes]) -> Any:
    writes_only = False
    if len(argv) == 4 and argv[3].lower() in (b"write", b"all"):
        writes_only = argv[3].lower() == b"write"
    elif len(argv) > 3:
        raise CommandError("ERR CLIENT PAUSE mode must be WRITE or ALL")
    milliseconds = parse.integer(argv[2], "ERR timeout is not an integer or out of range")
    if milliseconds < 0:
        raise CommandError(errors.TIMEOUT_NEGATIVE)
    context.node.pause.begin(milliseconds, writes_only=writes_only)
    return OK


@_admin("CLIENT UNPAUSE", 2, since="6.2.0", summary="End a pause")
def client_unpause(context: SessionContext, argv: list[bytes]) -> Any:
    context.node.pause.end()
    return OK


@_anyone("CLIENT REPLY", 3, since="3.2.0", summary="Choose whether commands are answered")
def client_reply(context: SessionContext, argv: list[bytes]) -> Any:
    session = context.session
    mode = argv[2].lower()
    if mode == b"on":
        session.reply_mode = ReplyMode.ON
    elif mode == b"off":
        session.reply_mode = ReplyMode.OFF
    elif mode == b"skip":
        if session.reply_mode is not ReplyMode.OFF:
            session.reply_mode = ReplyMode.SKIP_NEXT
    else:
        raise CommandError(errors.SYNTAX)
    session.refresh_plain()
    return OK if mode == b"on" else NO_REPLY


@_admin("CLIENT NO-EVICT", 3, since="7.0.0", summary="Keep the connection when memory for clients is short, or not")
def client_no_evict(context: SessionContext, argv: list[bytes]) -> Any:
    return _switch(context.session, "no-evict", argv[2])


@_anyone("CLIENT NO-TOUCH", 3, since="7.2.0", summary="Have the connection's reads not count as use of keys, or not")
def client_no_touch(context: SessionContext, argv: list[bytes]) -> Any:
    return _switch(context.session, "no-touch", argv[2])


def _switch(session: Session, flag: str, word: bytes) -> Any:
    if word.lower() not in (b"on", b"off"):
        raise CommandError(errors.SYNTAX)
    if word.lower() == b"on":
        session.flags.add(flag)
    else:
        session.flags.discard(flag)
    return OK


@_anyone("CLIENT GETREDIR", 2, since="6.0.0", summary="Tell where invalidations are sent: nowhere (-1)")
def client_getredir(context: SessionContext, argv: list[bytes]) -> Any:
    return -1


@_anyone("CLIENT TRACKINGINFO", 2, since="6.2.0", summary="Tell about client-side caching: it is off")
def client_trackinginfo(context: SessionContext, argv: list[bytes]) -> Any:
    return Map([(b"flags", SetReply([b"off"])), (b"redirect", -1), (b"prefixes", [])])


@_anyone("CLIENT TRACKING", -3, since="6.0.0", summary="Turn client-side caching off; it cannot be turned on")
def client_tracking(context: SessionContext, argv: list[bytes]) -> Any:
    found: set[bytes] = set()
    position = 3
    while position < len(argv):
        option = argv[position].lower()
        has_value = position + 1 < len(argv)
        if option == b"redirect" and has_value:
            if option in found:
                raise CommandError("ERR A client can only redirect to a single other client")
            if parse.integer(argv[position + 1]) not in context.node.sessions:
                raise CommandError("ERR The client ID you want redirect to does not exist")
            position += 1
        elif option == b"prefix" and has_value:
            position += 1
        elif option not in (b"bcast", b"optin", b"optout", b"noloop"):
            raise CommandError(errors.SYNTAX)
        found.add(option)
        position += 1
    if argv[2].lower() == b"off":
        return OK
    if argv[2].lower() != b"on":
        raise CommandError(errors.SYNTAX)
    if b"prefix" in found and b"bcast" not in found:
        raise CommandError("ERR PREFIX option requires BCAST mode to be enabled")
    if b"bcast" in found and found & {b"optin", b"optout"}:
        raise CommandError("ERR OPTIN and OPTOUT are not compatible with BCAST")
    if found >= {b"optin", b"optout"}:
        raise CommandError("ERR You can't specify both OPTIN mode and OPTOUT mode")
    raise CommandError(_NO_TRACKING)


@_anyone("CLIENT CACHING", 3, since="6.0.0", summary="An error: there is no client-side caching to be chosen for")
def client_caching(context: SessionContext, argv: list[bytes]) -> Any:
    raise CommandError(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
    )


@_admin("CLIENT UNBLOCK", -3, since="5.0.0", summary="End another connection's blocking command")
def client_unblock(context: SessionContext, argv: list[bytes]) -> Any:
    by_error = False
    if len(argv) > 4:
        raise errors.wrong_subcommand(argv)
    if len(argv) == 4 and argv[3].lower() in (b"timeout", b"error"):
        by_error = argv[3].lower() == b"error"
    elif len(argv) == 4:
        raise CommandError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    node = context.node
    session = node.sessions.get(parse.integer(argv[2]))
    if session is None:
        return 0
    if not context.in_transaction and node.blocking.end_and_tell(session, context.session, by_error=by_error):
        return NO_REPLY
    return int(end_early(node, session, by_error=by_error))
