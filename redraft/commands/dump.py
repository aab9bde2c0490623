"""DUMP and RESTORE: a value in Redis's own payload format (Redis: cluster.c).

What RESTORE takes lies in the log as it came; it is unpacked by every replica, and refused by all or by none.

What this leaves out: access times and frequencies, which redraft does not keep: IDLETIME and FREQ are checked and then
forgotten.
"""

from __future__ import annotations

from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.dump_contents import content_of, value_of
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.integers import INT64_MAX
from redraft.rdb import payload
from redraft.rdb.errors import PayloadError, SealError
from redraft.resp.reply import OK

_WRONG_SEAL = "ERR DUMP payload version or checksum are wrong"
_BAD_DATA = "ERR Bad data format"
_INVALID_TTL = "ERR Invalid TTL value, must be >= 0"
_INVALID_IDLETIME = "ERR Invalid IDLETIME value, must be >= 0"
_INVALID_FREQ = "ERR Invalid FREQ value, must be >= 0 and <= 255"
FREQ_MAX = 255


@command(
    "DUMP", 2, "readonly", group="generic", since="2.6.0", summary="Get a key's value in Redis's payload format",
    complexity="O(N) where N is the number of members of a collection, or the bytes of a string.",
    keys=(1, 1, 1), access="RO access", acl="keyspace", tips=("nondeterministic_output",),
)  # fmt: skip
def dump(context: Context, argv: list[bytes]) -> Any:
    value = context.get(argv[1])
    return None if value is None else payload.dump(content_of(value))


@command(
    "RESTORE", -4, "write denyoom", group="generic", since="2.6.0",
    summary="Make a key of a value in Redis's payload format",
    complexity="O(N) where N is the number of members of a collection, O(N*log(N)) for a sorted set.",
    keys=(1, 1, 1), access="OW update", acl="keyspace dangerous",
)  # fmt: skip
def restore(context: Context, argv: list[bytes]) -> Any:
    key = argv[1]
    replace, absolute = _options(argv)
    if not replace and context.exists(key):
        raise CommandError(errors.BUSY_KEY)
    deadline_ms = parse.integer(argv[2])
    if deadline_ms < 0:
        raise CommandError(_INVALID_TTL)
    try:
        value = value_of(payload.load(argv[3]))
    except SealError:
        raise CommandError(_WRONG_SEAL) from None
    except PayloadError:
        raise CommandError(_BAD_DATA) from None
    if deadline_ms and not absolute:
        deadline_ms += context.now_ms
    context.delete(key)
    # A deadline past all time is in the past: Redis's sum wraps round.
    if deadline_ms and not context.now_ms < deadline_ms <= INT64_MAX:
        return OK
    context.db.replace(key, value)
    if deadline_ms:
        context.db.set_deadline(key, deadline_ms)
    return OK


def _options(argv: list[bytes]) -> tuple[bool, bool]:
    """Whether REPLACE and ABSTTL are given. Raises CommandError."""
    words: set[bytes] = set()
    position = 4
    while position < len(argv):
        word = argv[position].lower()
        has_value = position + 1 < len(argv)
        if word == b"idletime" and has_value and b"freq" not in words:
            if parse.integer(argv[position + 1]) < 0:
                raise CommandError(_INVALID_IDLETIME)
            position += 1
        elif word == b"freq" and has_value and b"idletime" not in words:
            if not 0 <= parse.integer(argv[position + 1]) <= FREQ_MAX:
                raise CommandError(_INVALID_FREQ)
            position += 1
        elif word not in (b"replace", b"absttl"):
            raise CommandError(errors.SYNTAX)
        words.add(word)
        position += 1
    return b"replace" in words, b"absttl" in words
