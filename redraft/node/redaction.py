"""Passwords do not get into what people look at: SLOWLOG and MONITOR (Redis: redactClientCommandArgument)."""

from __future__ import annotations

from redraft.commands.table import Command
from redraft.option_kinds import Secret
from redraft.options import BY_NAME

REDACTED = b"(redacted)"


def redacted(command: Command, argv: list[bytes]) -> list[bytes]:
    """The words of a command with `(redacted)` for what must not be shown; the same list when there is nothing."""
    name = command.name
    if name == "auth":
        return [argv[0], *[REDACTED] * (len(argv) - 1)]
    if name == "hello":
        for position in range(2, len(argv)):
            if argv[position].lower() == b"auth":
                hidden = argv[position + 1 : position + 3]
                return [*argv[: position + 1], *[REDACTED] * len(hidden), *argv[position + 3 :]]
    elif name == "config|set":
        shown = list(argv)
        for position in range(2, len(argv) - 1, 2):
            option = BY_NAME.get(argv[position].decode("latin-1").lower())
            if option is not None and isinstance(option.kind, Secret):
                shown[position + 1] = REDACTED
        return shown
    return argv
