"""ACL: what may be asked about the only user there is, `default`, and the categories of commands (Redis: acl.c).

The user may do everything; whether a password is wanted of it is the option `requirepass`. What makes or changes users
is not offered: there is nothing to change.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.table import REDIS_CATEGORIES, command, container
from redraft.errors import CommandError
from redraft.node.context import SessionContext
from redraft.node.families.introspection import public_commands
from redraft.resp.reply import OK, DoubleText, Map, SetReply

DEFAULT_USER = b"default"
_COMMANDS, _KEYS, _CHANNELS = b"+@all", b"~*", b"&*"

_anyone = partial(command, flags="noscript loading stale", group="server", since="6.0.0")
_admin = partial(command, flags="admin noscript loading stale", group="server", since="6.0.0")
DEFAULT_PASSWORD_BITS = 256
MOST_PASSWORD_BITS = 4096
DEFAULT_LOG_ENTRIES = 10
_LOGGED = "O(N) with N being the number of entries shown."
_PER_USER = "O(N) where N is the number of users: one."

container("ACL", -2, group="server", since="6.0.0", summary="Who may do what", help_since="6.0.0")


def _passwords(context: SessionContext) -> list[bytes]:
    """The default user's passwords, by their SHA-256 as Redis shows them."""
    required = context.node.settings.requirepass
    return [hashlib.sha256(required).hexdigest().encode()] if required else []


@_anyone("ACL WHOAMI", 2, summary="Tell the name of the connection's user")
def whoami(context: SessionContext, argv: list[bytes]) -> Any:
    return context.session.user


@_anyone("ACL CAT", -2, summary="List the categories of commands, or the commands of one", complexity="O(1)")
def cat(context: SessionContext, argv: list[bytes]) -> Any:
    if len(argv) > 3:
        raise errors.wrong_subcommand(argv)
    if len(argv) == 2:
        return [category.encode() for category in REDIS_CATEGORIES]
    wanted = argv[2].lower().decode("latin-1")
    if wanted not in REDIS_CATEGORIES:
        raise CommandError(f"ERR Unknown category '{errors.printable(argv[2], 128)}'")
    return [each.name.encode() for each in public_commands(context) if wanted in each.acl_categories()]


@_admin("ACL USERS", 2, summary="List the names of users", complexity=_PER_USER)
def users(context: SessionContext, argv: list[bytes]) -> Any:
    return [DEFAULT_USER]


@_admin("ACL LIST", 2, summary="List users and their rules, as a file would have them", complexity=_PER_USER)
def list_(context: SessionContext, argv: list[bytes]) -> Any:
    proof = [b"#" + password for password in _passwords(context)] or [b"nopass"]
    return [b" ".join([b"user", DEFAULT_USER, b"on", *proof, _KEYS, _CHANNELS, _COMMANDS])]


@_admin("ACL GETUSER", 3, summary="Tell the rules of a user", complexity="O(1)")
def getuser(context: SessionContext, argv: list[bytes]) -> Any:
    if argv[2] != DEFAULT_USER:
        return None
    passwords = _passwords(context)
    return Map(
        [
            (b"flags", SetReply([b"on"] if passwords else [b"on", b"nopass"])),
            (b"passwords", passwords),
            (b"commands", _COMMANDS),
            (b"keys", _KEYS),
            (b"channels", _CHANNELS),
            (b"selectors", []),
        ]
    )


@_anyone("ACL GENPASS", -2, summary="Make a password: 256 random bits, or as many as asked for, in hexadecimal")
def genpass(context: SessionContext, argv: list[bytes]) -> Any:
    if len(argv) > 3:
        raise errors.wrong_subcommand(argv)
    bits = DEFAULT_PASSWORD_BITS if len(argv) == 2 else parse.integer(argv[2])
    if not 0 < bits <= MOST_PASSWORD_BITS:
        raise CommandError(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to"
            f" {MOST_PASSWORD_BITS}"
        )
    letters = (bits + 3) // 4
    return context.node.process.secret_bytes((letters + 1) // 2).hex()[:letters].encode()


@_admin("ACL LOG", -2, summary="Show whom a password was refused, the newest first, or forget it", complexity=_LOGGED)
def log(context: SessionContext, argv: list[bytes]) -> Any:
    if len(argv) > 3:
        raise errors.wrong_subcommand(argv)
    node = context.node
    entries = node.observer.access_log.entries
    count = DEFAULT_LOG_ENTRIES
    if len(argv) == 3:
        if argv[2].lower() == b"reset":
            entries.clear()
            return OK
        count = max(0, parse.integer(argv[2]))
    return [
        Map(
            [
                (b"count", entry.count),
                (b"reason", entry.reason.encode()),
                (b"context", entry.context.encode()),
                (b"object", entry.name.encode("latin-1")),
                (b"username", entry.user),
                (b"age-seconds", DoubleText(b"%.3f" % ((node.steady_ms - entry.time_ms) / 1000))),
                (b"client-info", entry.client.encode("latin-1")),
            ]
        )
        for entry in list(entries)[:count]
    ]
