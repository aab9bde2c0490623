"""HyperLogLogs: PFADD, PFCOUNT, PFMERGE, PFDEBUG (Redis: hyperloglog.c).

PFCOUNT of one key keeps the count that it makes in the value, as Redis's does, and therefore goes through the log,
though it is called a read. What is corrupted is refused before anything is changed; Redis keeps what it had added until
it came upon the damage.

PFSELFTEST is left out: it tests Redis's implementation; redraft's has its tests beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial, reduce
from typing import Any

from redraft.commands import errors
from redraft.commands.context import Context
from redraft.commands.strings import own_buffer
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.resp.reply import OK, Status
from redraft.values import cardinality, hyperloglog
from redraft.values.value import StringValue

_NOT_ONE = "WRONGTYPE Key is not a valid HyperLogLog string value."
_CORRUPTED = "INVALIDOBJ Corrupted HLL object detected"
_NO_KEY = "ERR The specified key does not exist"
_NOT_SPARSE = "ERR HLL encoding is not sparse"

_pf = partial(command, group="hyperloglog", acl="hyperloglog", since="2.8.9")


def _checked(value: StringValue | None) -> StringValue | None:
    if value is not None and not hyperloglog.is_hyperloglog(value):
        raise CommandError(_NOT_ONE)
    return value


def _held(context: Context, key: bytes) -> StringValue | None:
    """The HyperLogLog of a key, for reading only. Raises WRONGTYPE."""
    return _checked(context.string(key))


def _registers(value: StringValue) -> bytes:
    try:
        return hyperloglog.registers(value)
    except hyperloglog.CorruptedError:
        raise CommandError(_CORRUPTED) from None


@_pf(
    "PFADD", -2, "write denyoom fast", summary="Add elements to a HyperLogLog", keys=(1, 1, 1), access="RW insert",
    complexity="O(1) for each element.",
)  # fmt: skip
def pfadd(context: Context, argv: list[bytes]) -> Any:
    key = argv[1]
    held = _checked(context.owned_string(key))
    places = [cardinality.register_and_rank(element) for element in argv[2:]]
    if held is not None and held[4] == hyperloglog.DENSE:
        return _add_to_dense(context, key, held, places)
    value = bytearray(held) if held is not None else hyperloglog.empty()
    try:
        raised = [hyperloglog.raise_register(value, register, rank) for register, rank in places]
    except hyperloglog.CorruptedError:
        raise CommandError(_CORRUPTED) from None
    if held is not None and not any(raised):
        return 0
    hyperloglog.forget_count(value)
    context.db.put(key, value)
    return 1


def _add_to_dense(context: Context, key: bytes, held: StringValue, places: list[tuple[int, int]]) -> int:
    wanted = [(register, rank) for register, rank in places if hyperloglog.dense_rank(held, register) < rank]
    if not wanted:
        return 0
    value = own_buffer(context, key, held)
    for register, rank in wanted:
        hyperloglog.raise_register(value, register, rank)
    hyperloglog.forget_count(value)
    return 1


@_pf(
    "PFCOUNT", -2, "readonly", summary="Estimate how many different elements HyperLogLogs have got together",
    keys=(1, -1, 1), access="RW access",
    complexity="O(1) for one key, O(N) for the N keys of several, each of them taking longer than one key alone.",
)  # fmt: skip
def pfcount(context: Context, argv: list[bytes]) -> Any:
    if len(argv) > 2:
        return cardinality.estimate(_merged(_held(context, key) for key in argv[1:]))
    held = _checked(context.owned_string(argv[1]))
    if held is None:
        return 0
    count = hyperloglog.maybe_cached_count(held)
    if count is None:
        count = cardinality.estimate(_registers(held))
        hyperloglog.cache_count(own_buffer(context, argv[1], held), count)
    return count


def _merged(values: Iterable[StringValue | None]) -> bytes:
    """The registers of several values together; they are looked at one by one. Raises CommandError."""
    each = (_registers(value) for value in values if value is not None)
    return reduce(cardinality.highest, each, bytes(cardinality.REGISTERS))


@_pf(
    "PFMERGE", -2, "write denyoom", summary="Make a HyperLogLog of all elements that several have got",
    keys=(1, -1, 1), access="RW access insert; RO access", complexity="O(N) for N HyperLogLogs.",
)  # fmt: skip
def pfmerge(context: Context, argv: list[bytes]) -> Any:
    key = argv[1]
    context.db.drop_if_due(key, context.now_ms)
    merged = _merged(_held(context, name) for name in argv[1:])
    values = [context.string(name) for name in argv[1:]]
    held = values[0]
    value = bytearray(held) if held is not None else hyperloglog.empty()
    if any(each is not None and each[4] == hyperloglog.DENSE for each in values):
        hyperloglog.make_dense(value)
    hyperloglog.raise_all(value, merged)
    hyperloglog.forget_count(value)
    context.db.put(key, value)
    return OK


@_pf(
    "PFDEBUG", 3, "admin write denyoom", summary="Look into a HyperLogLog: GETREG, DECODE, ENCODING, TODENSE",
    keys=(2, 2, 1), access="RW access", complexity="O(1)",
)  # fmt: skip
def pfdebug(context: Context, argv: list[bytes]) -> Any:
    word, key = argv[1].lower(), argv[2]
    held = context.owned_string(key)
    if held is None:
        raise CommandError(_NO_KEY)
    _checked(held)
    is_sparse = held[4] == hyperloglog.SPARSE
    if word == b"encoding":
        return Status(b"sparse" if is_sparse else b"dense")
    if word == b"decode":
        if not is_sparse:
            raise CommandError(_NOT_SPARSE)
        return b" ".join([_shown(*run) for run in hyperloglog.opcodes(held)])
    if word not in (b"getreg", b"todense"):
        raise CommandError(f"ERR Unknown PFDEBUG subcommand '{errors.printable(argv[1], 128)}'")
    ranks = _registers(held)
    if is_sparse:
        hyperloglog.make_dense(own_buffer(context, key, held))
    return list(ranks) if word == b"getreg" else int(is_sparse)


def _shown(rank: int, length: int, is_long: bool) -> bytes:
    if rank:
        return b"v:%d,%d" % (rank, length)
    return b"Z:%d" % length if is_long else b"z:%d" % length
