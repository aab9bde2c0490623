"""Times to live: EXPIRE and its kin, and the expiry options of SET and GETEX (Redis: expire.c).

A deadline is Unix time in milliseconds; relative times count from the entry's time, so every replica computes the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.integers import INT64_MAX, INT64_MIN

SECOND_MS = 1000

_UNITS = {b"ex": (SECOND_MS, True), b"px": (1, True), b"exat": (SECOND_MS, False), b"pxat": (1, False)}
"""Option → (unit in ms, whether it counts from now)."""

_FLAGS_CLASH = "ERR NX and XX, GT or LT options at the same time are not compatible"
_GT_LT_CLASH = "ERR GT and LT options at the same time are not compatible"


class ExpireOptions(NamedTuple):
    """What followed the arguments of SET or GETEX."""

    words: frozenset[bytes]
    """The options without a value, lower case."""
    time: tuple[bytes, bytes] | None
    """One of EX PX EXAT PXAT (lower case) and its value, not looked at yet."""

    def deadline_ms(self, context: Context, name: bytes) -> int | None:
        """The deadline that `time` names, for the command `name`. Raises CommandError."""
        if self.time is None:
            return None
        unit_ms, relative = _UNITS[self.time[0]]
        return seconds_or_ms(context, name, self.time[1], unit_ms, relative=relative)

    @property
    def absolute(self) -> bool:
        """Whether `time` is a point in time."""
        return self.time is not None and not _UNITS[self.time[0]][1]


def seconds_or_ms(context: Context, name: bytes, data: bytes, unit_ms: int, *, relative: bool) -> int:
    """The deadline that a positive time names (t_string.c, getExpireMillisecondsOrReply). Raises CommandError."""
    number = parse.integer(data)
    if number <= 0 or number > INT64_MAX // unit_ms:
        raise errors.invalid_expire(name)
    deadline_ms = number * unit_ms + (context.now_ms if relative else 0)
    if deadline_ms > INT64_MAX:
        raise errors.invalid_expire(name)
    return deadline_ms


def expire_options(argv: list[bytes], start: int, allowed: set[bytes]) -> ExpireOptions:
    """The options of SET and GETEX from `argv[start]` on: `allowed` words and one of EX PX EXAT PXAT, whose last
    value counts. Options that exclude each other are a syntax error. Raises CommandError.
    """
    words: set[bytes] = set()
    time: tuple[bytes, bytes] | None = None
    position = start
    while position < len(argv):
        word = argv[position].lower()
        if word in _UNITS and position + 1 < len(argv):
            if (time is not None and time[0] != word) or words & {b"keepttl", b"persist"}:
                raise CommandError(errors.SYNTAX)
            time = word, argv[position + 1]
            position += 2
            continue
        clash = (
            (word == b"nx" and b"xx" in words)
            or (word == b"xx" and b"nx" in words)
            or (word in (b"keepttl", b"persist") and time is not None)
        )
        if word not in allowed or clash:
            raise CommandError(errors.SYNTAX)
        words.add(word)
        position += 1
    return ExpireOptions(frozenset(words), time)


# Setting deadlines.


def _expire(context: Context, argv: list[bytes], unit_ms: int, *, relative: bool) -> int:
    flags = _flags(argv)
    number = parse.integer(argv[2])
    if not -(-INT64_MIN // unit_ms) <= number <= INT64_MAX // unit_ms:  # as C divides: towards zero
        raise errors.invalid_expire(argv[0])
    deadline_ms = number * unit_ms + (context.now_ms if relative else 0)
    if deadline_ms > INT64_MAX:
        raise errors.invalid_expire(argv[0])
    key = argv[1]
    db = context.db
    db.drop_if_due(key, context.now_ms)
    if not context.exists(key):
        return 0
    current = db.deadline(key)
    if (
        (b"nx" in flags and current is not None)
        or (b"xx" in flags and current is None)
        or (b"gt" in flags and (current is None or deadline_ms <= current))
        or (b"lt" in flags and current is not None and deadline_ms >= current)
    ):
        return 0
    if deadline_ms <= context.now_ms:
        context.delete(key)
    else:
        db.set_deadline(key, deadline_ms)
    return 1


def _flags(argv: list[bytes]) -> set[bytes]:
    flags: set[bytes] = set()
    for word in argv[3:]:
        flag = word.lower()
        if flag not in (b"nx", b"xx", b"gt", b"lt"):
            raise CommandError(f"ERR Unsupported option {word.decode('latin-1')}")
        flags.add(flag)
    if b"nx" in flags and len(flags) > 1:
        raise CommandError(_FLAGS_CLASH)
    if {b"gt", b"lt"} <= flags:
        raise CommandError(_GT_LT_CLASH)
    return flags


@command(
    "EXPIRE", -3, "write fast", group="generic", since="1.0.0", summary="Set a key's time to live in seconds",
    keys=(1, 1, 1), access="RW update", acl="keyspace",
)  # fmt: skip
def expire(context: Context, argv: list[bytes]) -> Any:
    return _expire(context, argv, SECOND_MS, relative=True)


@command(
    "PEXPIRE", -3, "write fast", group="generic", since="2.6.0", summary="Set a key's time to live in milliseconds",
    keys=(1, 1, 1), access="RW update", acl="keyspace",
)  # fmt: skip
def pexpire(context: Context, argv: list[bytes]) -> Any:
    return _expire(context, argv, 1, relative=True)


@command(
    "EXPIREAT", -3, "write fast", group="generic", since="1.2.0", acl="keyspace",
    summary="Set the Unix time in seconds at which a key expires", keys=(1, 1, 1), access="RW update",
)  # fmt: skip
def expireat(context: Context, argv: list[bytes]) -> Any:
    return _expire(context, argv, SECOND_MS, relative=False)


@command(
    "PEXPIREAT", -3, "write fast", group="generic", since="2.6.0", acl="keyspace",
    summary="Set the Unix time in milliseconds at which a key expires", keys=(1, 1, 1), access="RW update",
)  # fmt: skip
def pexpireat(context: Context, argv: list[bytes]) -> Any:
    return _expire(context, argv, 1, relative=False)


@command(
    "PERSIST", 2, "write fast", group="generic", since="2.2.0", summary="Take a key's time to live away",
    keys=(1, 1, 1), access="RW update", acl="keyspace",
)  # fmt: skip
def persist(context: Context, argv: list[bytes]) -> Any:
    db = context.db
    if not context.exists(argv[1]) or db.deadline(argv[1]) is None:
        return 0
    db.set_deadline(argv[1], None)
    return 1


# Asking.

_NO_KEY = -2
_NO_DEADLINE = -1


def _deadline(context: Context, key: bytes) -> int:
    """The deadline in ms, or one of the two negative answers."""
    if not context.exists(key):
        return _NO_KEY
    deadline_ms = context.db.deadline(key)
    return _NO_DEADLINE if deadline_ms is None else deadline_ms


def _in_seconds(milliseconds: int) -> int:
    return milliseconds if milliseconds < 0 else (milliseconds + 500) // 1000


def _left(context: Context, key: bytes) -> int:
    deadline_ms = _deadline(context, key)
    return deadline_ms if deadline_ms < 0 else max(0, deadline_ms - context.clock_ms)


@command(
    "TTL", 2, "readonly fast", group="generic", since="1.0.0", summary="Get a key's time to live in seconds",
    keys=(1, 1, 1), access="RO access", acl="keyspace", tips=("nondeterministic_output",),
)  # fmt: skip
def ttl(context: Context, argv: list[bytes]) -> Any:
    return _in_seconds(_left(context, argv[1]))


@command(
    "PTTL", 2, "readonly fast", group="generic", since="2.6.0", summary="Get a key's time to live in milliseconds",
    keys=(1, 1, 1), access="RO access", acl="keyspace", tips=("nondeterministic_output",),
)  # fmt: skip
def pttl(context: Context, argv: list[bytes]) -> Any:
    return _left(context, argv[1])


@command(
    "EXPIRETIME", 2, "readonly fast", group="generic", since="7.0.0", acl="keyspace",
    summary="Get the Unix time in seconds at which a key expires", keys=(1, 1, 1), access="RO access",
)  # fmt: skip
def expiretime(context: Context, argv: list[bytes]) -> Any:
    return _in_seconds(_deadline(context, argv[1]))


@command(
    "PEXPIRETIME", 2, "readonly fast", group="generic", since="7.0.0", acl="keyspace",
    summary="Get the Unix time in milliseconds at which a key expires", keys=(1, 1, 1), access="RO access",
)  # fmt: skip
def pexpiretime(context: Context, argv: list[bytes]) -> Any:
    return _deadline(context, argv[1])
