"""What HELLO and AUTH say, looked at before anything of it is done."""

from __future__ import annotations

import hmac
from typing import NamedTuple

from redraft.commands import errors, parse
from redraft.errors import CommandError
from redraft.node.session import Session
from redraft.settings import Settings

_NEEDS_AUTH = (
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option"
    " can be used to authenticate the client and select the RESP protocol version at the same time"
)


class Greeting(NamedTuple):
    """A HELLO's arguments."""

    protocol: int
    name: bytes | None
    credentials: tuple[bytes, bytes] | None


def greeting(argv: list[bytes], protocol: int) -> Greeting:
    """What a HELLO asks for, where `protocol` is spoken now. Raises CommandError."""
    position = 2
    if len(argv) > 1:
        protocol = parse.integer(argv[1], "ERR Protocol version is not an integer or out of range")
        if protocol not in (2, 3):
            raise CommandError(errors.PROTO_VERSION)
    name: bytes | None = None
    credentials: tuple[bytes, bytes] | None = None
    while position < len(argv):
        option = argv[position].lower()
        left = len(argv) - position - 1
        if option == b"auth" and left >= 2:
            credentials = argv[position + 1], argv[position + 2]
            position += 3
        elif option == b"setname" and left >= 1:
            name = argv[position + 1]
            position += 2
        else:
            text = argv[position].decode("latin-1")
            raise CommandError(f"ERR Syntax error in HELLO option '{text}'")
    return Greeting(protocol, name, credentials)


def check_credentials(settings: Settings, user: bytes, password: bytes) -> None:
    """Raises WRONGPASS for who is not let in. There is one user, `default`, until ACLs come."""
    required = settings.requirepass
    right = not required or hmac.compare_digest(password, required)
    if user != b"default" or not right:
        raise CommandError(errors.WRONG_PASS)


def check_is_in(session: Session) -> None:
    """Raises NOAUTH, in HELLO's words."""
    if not session.authenticated:
        raise CommandError(_NEEDS_AUTH)


def checked_name(name: bytes) -> bytes:
    """A client's name as CLIENT SETNAME takes it. Raises CommandError for spaces and control characters."""
    if any(byte < 33 or byte > 126 for byte in name):
        raise CommandError("ERR Client names cannot contain spaces, newlines or special characters.")
    return name


def protocol_after(settings: Settings, argv: list[bytes], protocol: int) -> int:
    """The protocol that a session which is in speaks after a HELLO."""
    try:
        asked = greeting(argv, protocol)
        if asked.credentials is not None:
            check_credentials(settings, *asked.credentials)
        if asked.name is not None:
            checked_name(asked.name)
    except CommandError:
        return protocol
    return asked.protocol
