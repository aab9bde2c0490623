"""Looking into values: OBJECT, MEMORY USAGE, and DEBUG OBJECT's facts (Redis: object.c)."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.table import command, container
from redraft.errors import CommandError
from redraft.integers import parse_int64
from redraft.values import string
from redraft.values.value import AnyValue

SHARED_INTEGERS = 10_000
"""Redis shares the objects of the integers below this; their REFCOUNT is INT_MAX."""
INT_MAX = 2**31 - 1
KEY_OVERHEAD_BYTES = 130
"""What the maps, the order of keys and the set of dirty keys take for each key, besides the two objects."""

FREQUENCY_OF_A_NEW_KEY = 5
"""LFU_INIT_VAL: uses of keys are not counted, so every key is as good as new."""


class Eviction:
    """What the node's `maxmemory-policy` means for OBJECT FREQ and IDLETIME; the node sets it."""

    counts_uses = False
    """Whether Redis would count uses of keys, rather than keep the time of the last one."""


EVICTION = Eviction()

_WHEN_SWITCHING = (
    "Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."
)
_NO_LFU = f"ERR An LFU maxmemory policy is not selected, access frequency not tracked. {_WHEN_SWITCHING}"
_NO_LRU = f"ERR An LFU maxmemory policy is selected, idle time not tracked. {_WHEN_SWITCHING}"

_about_key = partial(
    command, arity=3, flags="readonly", group="generic", keys=(2, 2, 1), access="RO", acl="keyspace",
    tips=("nondeterministic_output",),
)  # fmt: skip

container(
    "OBJECT", -2, group="generic", since="2.2.3", summary="What can be told about a key's value", help_since="6.2.0",
    help_acl="keyspace",
)  # fmt: skip


def encoding(value: AnyValue) -> bytes:
    """What OBJECT ENCODING answers for a value."""
    return string.encoding(value) if isinstance(value, (bytes, bytearray)) else value.encoding()


def refcount(value: AnyValue) -> int:
    """What OBJECT REFCOUNT answers for a value."""
    if isinstance(value, bytes) and len(value) <= 4:
        number = parse_int64(value)
        if number is not None and 0 <= number < SHARED_INTEGERS:
            return INT_MAX
    return 1


@_about_key("OBJECT ENCODING", since="2.2.3", summary="Tell how Redis would hold a key's value in memory")
def object_encoding(context: Context, argv: list[bytes]) -> Any:
    value = context.get(argv[2])
    return None if value is None else encoding(value)


@_about_key("OBJECT REFCOUNT", since="2.2.3", summary="Tell how many references Redis would hold to a key's value")
def object_refcount(context: Context, argv: list[bytes]) -> Any:
    value = context.get(argv[2])
    return None if value is None else refcount(value)


@_about_key("OBJECT IDLETIME", since="2.2.3", summary="0 for every key that exists: times of access are not kept")
def object_idletime(context: Context, argv: list[bytes]) -> Any:
    if not context.exists(argv[2]):
        return None
    if EVICTION.counts_uses:
        raise CommandError(_NO_LRU)
    return 0


@_about_key("OBJECT FREQ", since="4.0.0", summary="5 for every key, under an LFU policy: uses of keys are not counted")
def object_freq(context: Context, argv: list[bytes]) -> Any:
    if not context.exists(argv[2]):
        return None
    if not EVICTION.counts_uses:
        raise CommandError(_NO_LFU)
    return FREQUENCY_OF_A_NEW_KEY


def memory_bytes(key: bytes, value: AnyValue) -> int:
    """Bytes of memory that a key and its value take, estimated."""
    of_value = sys.getsizeof(value) if isinstance(value, (bytes, bytearray)) else value.memory_bytes()
    return sys.getsizeof(key) + of_value + KEY_OVERHEAD_BYTES


container("MEMORY", -2, group="server", since="4.0.0", summary="What can be told about memory", help_since="4.0.0")


@command(
    "MEMORY USAGE", -3, "readonly", group="server", since="4.0.0", keys=(2, 2, 1), access="RO", acl="read",
    summary="Estimate the memory of a key and its value",
    complexity="O(N) where N is the number of samples.",
)  # fmt: skip
def memory_usage(context: Context, argv: list[bytes]) -> Any:
    for position in range(3, len(argv), 2):
        if argv[position].lower() != b"samples" or position + 1 == len(argv):
            raise CommandError(errors.SYNTAX)
        if parse.integer(argv[position + 1]) < 0:
            raise CommandError(errors.SYNTAX)
    value = context.get(argv[2])
    return None if value is None else memory_bytes(argv[2], value)
