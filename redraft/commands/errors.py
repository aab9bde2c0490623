"""Every error text that clients see from commands, word for word as Redis 7.0 has it (shared.c, object.c, t_*.c)."""

from __future__ import annotations

from redraft.commands import absent
from redraft.errors import CommandError

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NO_SUCH_KEY = "ERR no such key"
SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NOT_A_FLOAT = "ERR value is not a valid float"
OUT_OF_RANGE = "ERR value is out of range"
MUST_BE_POSITIVE = "ERR value is out of range, must be positive"
INDEX_OUT_OF_RANGE = "ERR index out of range"
OFFSET_OUT_OF_RANGE = "ERR offset is out of range"
INCREMENT_OVERFLOW = "ERR increment or decrement would overflow"
INCREMENT_NAN_OR_INFINITY = "ERR increment would produce NaN or Infinity"
DECREMENT_OVERFLOW = "ERR decrement would overflow"
STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
DB_INDEX_OUT_OF_RANGE = "ERR DB index is out of range"
SAME_OBJECT = "ERR source and destination objects are the same"
INVALID_CURSOR = "ERR invalid cursor"
TIMEOUT_NOT_A_FLOAT = "ERR timeout is not a float or out of range"
TIMEOUT_NEGATIVE = "ERR timeout is negative"
UNBLOCKED_BY_CHANGE = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
UNBLOCKED = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
STREAM_GONE = "UNBLOCKED the stream key no longer exists"
BUSY_KEY = "BUSYKEY Target key name already exists."
TOO_MANY_CLIENTS = "ERR max number of clients reached"
NO_AUTH = "NOAUTH Authentication required."
WRONG_PASS = "WRONGPASS invalid username-password pair or user is disabled."
NOT_ENABLED = (
    'ERR {name} command not allowed. If the {option} option is set to "local", you can run it from a local connection,'
    " otherwise you need to set this option in the configuration file, and then restart the server."
)
OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'."
LOADING = "LOADING Redis is loading the dataset in memory"
NESTED_MULTI = "ERR MULTI calls can not be nested"
EXEC_WITHOUT_MULTI = "ERR EXEC without MULTI"
DISCARD_WITHOUT_MULTI = "ERR DISCARD without MULTI"
WATCH_INSIDE_MULTI = "ERR WATCH inside MULTI is not allowed"
EXEC_ABORT = "EXECABORT Transaction discarded because of previous errors."
NOT_IN_MULTI = "ERR Command not allowed inside a transaction"
PROTO_VERSION = "NOPROTO unsupported protocol version"


def invalid_expire(command_name: bytes) -> CommandError:
    """A time to live that is not positive or not representable, in the named command."""
    return CommandError(f"ERR invalid expire time in '{command_name.decode('latin-1').lower()}' command")


def wrong_arity(command_name: str) -> CommandError:
    """Too few or too many arguments for the command, given by its full lower-case name (`client|kill`)."""
    return CommandError(f"ERR wrong number of arguments for '{command_name}' command")


def newer_command(name: str, level: int, cluster_level: int) -> CommandError:
    """A command that not every node of the cluster would know."""
    return CommandError(
        f"ERR '{name}' needs feature level {level}, and the cluster is at {cluster_level} until all of its nodes run a"
        " version that knows it"
    )


def exec_aborted_by(error: CommandError) -> CommandError:
    """An EXEC that may not run (server.c, rejectCommand)."""
    return CommandError("EXECABORT Transaction discarded because of: " + error.text.removeprefix("ERR "))


def unknown_command(argv: list[bytes]) -> CommandError:
    """A command that is not in the table; the text shows the beginning of its arguments (server.c, processCommand), or
    says why one of Redis's is missing."""
    if (reason := absent.maybe_reason(argv[0].lower().decode("latin-1"))) is not None:
        return CommandError(f"ERR unknown command '{printable(argv[0], 128)}': {reason}")
    shown = ""
    for arg in argv[1:]:
        if len(shown) >= 128:
            break
        shown += f"'{printable(arg, 128 - len(shown))}' "
    return CommandError(f"ERR unknown command '{printable(argv[0], 128)}', with args beginning with: {shown}")


def unknown_subcommand(argv: list[bytes]) -> CommandError:
    """A sub-command that its container does not have."""
    container = argv[0].decode("latin-1").upper()
    name = b"|".join(argv[:2]).lower().decode("latin-1")
    if (reason := absent.maybe_reason(name)) is not None:
        return CommandError(f"ERR unknown subcommand '{printable(argv[1], 128)}': {reason}")
    return CommandError(f"ERR unknown subcommand '{printable(argv[1], 128)}'. Try {container} HELP.")


def wrong_subcommand(argv: list[bytes]) -> CommandError:
    """Arguments that a sub-command does not have (networking.c, addReplySubcommandSyntaxError)."""
    container, sub = argv[0].decode("latin-1").upper(), printable(argv[1], 128)
    return CommandError(f"ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {container} HELP.")


def printable(data: bytes, limit: int) -> str:
    """A client's word as an error text shows it: what stands before a zero byte, up to a limit of bytes."""
    # Latin-1 carries every byte through to the encoder, which maps it back.
    return data[:limit].split(b"\0", 1)[0].decode("latin-1")
