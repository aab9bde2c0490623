"""HyperLogLogs: strings in the form that Redis gives them, byte for byte, so that a value moves between the two.

```
4 bytes     HYLL
1 byte      0 dense, 1 sparse
3 bytes     zeros
8 bytes     the count when it was last asked for, little endian; the top bit is set when registers changed since
the rest    the registers (see `values.cardinality`)
```

*Dense*: 6 bits for each register, the lower bits of a byte first; 12,288 bytes. *Sparse*: opcodes, each for a run of
equal registers:

```
00nnnnnn              n+1 registers are 0                     a ZERO
01nnnnnn nnnnnnnn     n+1 registers are 0                     an XZERO
1vvvvvnn              n+1 registers are v+1                   a VAL
```

A sparse value is edited where it stands, opcode by opcode, by Redis's rules: what it looks like depends on the order in
which elements came. It becomes dense, and stays so, when it would grow above `SPARSE_MAX_BYTES` or a register above 32.

Finding the opcode of a register walks over those before it, at C speed: between XZEROs each byte is an opcode, so that
a table by byte tells how many registers a slice of bytes covers. It takes 5 to 30 µs.

What this leaves out: hashing and counting (`values.cardinality`), keys and replies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from redraft.values.cardinality import REGISTERS
from redraft.values.value import StringValue

MAGIC = b"HYLL"
DENSE, SPARSE = 0, 1
HEADER_BYTES = 16
DENSE_BYTES = HEADER_BYTES + REGISTERS * 6 // 8
SPARSE_MAX_BYTES = 3000
"""Redis's default for `hll-sparse-max-bytes`, header included. A constant: which form a value has is part of the state,
which must not depend on what one node's configuration says."""
SPARSE_MAX_RANK = 32
STALE = 0x80
"""In the last byte of the cached count."""
MERGED_OPCODES = 5
"""Opcodes that are looked at for runs to be joined, after a change."""

_EMPTY = MAGIC + bytes((SPARSE,)) + bytes(10) + bytes((STALE,)) + b"\x7f\xff"
_RUNS = re.compile(rb"([^\x40-\x7f]*)([\x40-\x7f].?)?", re.DOTALL)
"""A run of opcodes of one byte, and the XZERO after it."""
_SPANS = bytes([opcode + 1 if opcode < 0x40 else (opcode & 3) + 1 for opcode in range(256)])
"""By opcode of one byte: the registers it covers."""
_COVERED = [
    bytes(opcode + 1) if opcode < 0x40 else bytes(((opcode >> 2 & 31) + 1,)) * ((opcode & 3) + 1)
    for opcode in range(256)
]
"""By opcode of one byte: the registers."""

# By byte: what it gives to the registers that it is part of.
_LOW_6 = bytes([byte & 63 for byte in range(256)])
_HIGH_2 = bytes([byte >> 6 for byte in range(256)])
_LOW_4_UP = bytes([(byte & 15) << 2 for byte in range(256)])
_HIGH_4 = bytes([byte >> 4 for byte in range(256)])
_LOW_2_UP = bytes([(byte & 3) << 4 for byte in range(256)])
_HIGH_6 = bytes([byte >> 2 for byte in range(256)])
# By register: what it gives to the bytes that it is part of.
_TO_HIGH_2 = bytes([(rank & 3) << 6 for rank in range(256)])
_TO_LOW_4 = bytes([rank >> 2 & 15 for rank in range(256)])
_TO_HIGH_4 = bytes([(rank & 15) << 4 for rank in range(256)])
_TO_LOW_2 = bytes([rank >> 4 & 3 for rank in range(256)])
_TO_HIGH_6 = bytes([(rank & 63) << 2 for rank in range(256)])


class CorruptedError(ValueError):
    """A sparse value whose opcodes are not for 16,384 registers."""


def empty() -> bytearray:
    """The value without elements."""
    return bytearray(_EMPTY)


def is_hyperloglog(value: StringValue) -> bool:
    """Whether a string has the header of one, and if it is dense, the length."""
    if len(value) < HEADER_BYTES or value[:4] != MAGIC or value[4] not in (DENSE, SPARSE):
        return False
    return value[4] == SPARSE or len(value) == DENSE_BYTES


# The cached count.


def maybe_cached_count(value: StringValue) -> int | None:
    """The count that was made last, if no register changed since."""
    return None if value[15] & STALE else int.from_bytes(value[8:16], "little")


def cache_count(value: bytearray, count: int) -> None:
    """Keep the count of the present registers."""
    value[8:16] = count.to_bytes(8, "little")


def forget_count(value: bytearray) -> None:
    """Say that registers changed since the count was made."""
    value[15] |= STALE


# All registers.


def registers(value: StringValue) -> bytes:
    """The registers, a byte each. Raises CorruptedError."""
    if value[4] == DENSE:
        return _unpacked(value[HEADER_BYTES:])
    parts: list[bytes] = []
    covered = 0
    for match in _RUNS.finditer(value, HEADER_BYTES):
        run = match[1]
        covered += sum(run.translate(_SPANS)) if len(run) <= REGISTERS else len(run)
        zeros = _span(match[2]) if match[2] else 0
        covered += zeros
        if covered > REGISTERS:
            break
        parts += map(_COVERED.__getitem__, run)
        parts.append(bytes(zeros))
    if covered != REGISTERS:
        raise CorruptedError
    return b"".join(parts)


def make_dense(value: bytearray) -> None:
    """Give a value the dense form. Raises CorruptedError."""
    if value[4] == SPARSE:
        replace_registers(value, registers(value))


def replace_registers(value: bytearray, ranks: bytes) -> None:
    """Make a value of either form a dense one with these registers."""
    value[HEADER_BYTES:] = _packed(ranks)
    value[4] = DENSE


def _unpacked(packed: StringValue) -> bytes:
    """Three bytes hold four registers."""
    first, second, third = packed[0::3], packed[1::3], packed[2::3]
    ranks = bytearray(REGISTERS)
    ranks[0::4] = first.translate(_LOW_6)
    ranks[1::4] = _either(first.translate(_HIGH_2), second.translate(_LOW_4_UP))
    ranks[2::4] = _either(second.translate(_HIGH_4), third.translate(_LOW_2_UP))
    ranks[3::4] = third.translate(_HIGH_6)
    return bytes(ranks)


def _packed(ranks: bytes) -> bytes:
    first, second, third, fourth = (ranks[number::4] for number in range(4))
    packed = bytearray(DENSE_BYTES - HEADER_BYTES)
    packed[0::3] = _either(first, second.translate(_TO_HIGH_2))
    packed[1::3] = _either(second.translate(_TO_LOW_4), third.translate(_TO_HIGH_4))
    packed[2::3] = _either(third.translate(_TO_LOW_2), fourth.translate(_TO_HIGH_6))
    return bytes(packed)


def _either(first: StringValue, second: StringValue) -> bytes:
    """Both, bit by bit."""
    return (int.from_bytes(first, "little") | int.from_bytes(second, "little")).to_bytes(len(first), "little")


# One register.


def raise_register(value: bytearray, register: int, rank: int) -> bool:
    """Make a register at least `rank`; whether it was less. The cached count stays. Raises CorruptedError."""
    if value[4] == SPARSE:
        raised = _raise_sparse(value, register, rank, _Start()) if rank <= SPARSE_MAX_RANK else None
        if raised is not None:
            return raised
        make_dense(value)
    return _raise_dense(value, register, rank)


def dense_rank(value: StringValue, register: int) -> int:
    """A register of a dense value."""
    position, shift = HEADER_BYTES + register * 6 // 8, register * 6 & 7
    return int.from_bytes(value[position : position + 2], "little") >> shift & 63


def _raise_dense(value: bytearray, register: int, rank: int) -> bool:
    if dense_rank(value, register) >= rank:
        return False
    position, shift = HEADER_BYTES + register * 6 // 8, register * 6 & 7
    window = int.from_bytes(value[position : position + 2], "little")
    window = window & ~(63 << shift) | rank << shift
    value[position] = window & 0xFF
    if shift > 2:
        value[position + 1] = window >> 8
    return True


def raise_all(value: bytearray, ranks: bytes) -> None:
    """Make the registers `ranks`, none of which is less than it was: as if they were raised one by one, in order.
    Raises CorruptedError."""
    if value[4] == DENSE or max(ranks) > SPARSE_MAX_RANK:
        replace_registers(value, ranks)
        return
    start = _Start()
    for register, (old, rank) in enumerate(zip(registers(value), ranks, strict=True)):
        if rank > old and _raise_sparse(value, register, rank, start) is None:
            replace_registers(value, ranks)
            return


class _Start:
    """Where the search for a register begins: at an opcode shortly before the one that was found last."""

    __slots__ = ("before", "first", "position")

    def __init__(self) -> None:
        self.position = HEADER_BYTES
        self.before = HEADER_BYTES
        """The position of the opcode before it; its own, if there is none."""
        self.first = 0
        """The first register that it covers."""


def _raise_sparse(value: bytearray, register: int, rank: int, start: _Start) -> bool | None:
    """As `raise_register`; None, and nothing done, where the value has to become dense."""
    position, before, first = _locate(value, register, start)
    opcode = value[position]
    size = 1
    of_rest = 0
    if opcode & 0x80:
        of_rest = (opcode >> 2 & 31) + 1
        if of_rest >= rank:
            return False
        span = (opcode & 3) + 1
    elif opcode & 0x40:
        size = 2
        span = _span(value[position : position + 2])
    else:
        span = opcode + 1
    lower, upper = register - first, first + span - 1 - register
    opcodes = _run(of_rest, lower) + _run(rank, 1) + _run(of_rest, upper)
    length = len(value) + len(opcodes) - size
    if len(opcodes) > size and length > SPARSE_MAX_BYTES:
        return None
    value[position : position + size] = opcodes
    del value[length:]  # where the value ends within an XZERO, Redis counts both of its bytes
    _join_runs(value, before)
    return True


def _span(xzero: StringValue) -> int:
    # A value may end within an opcode; Redis reads the zero byte that stands after every string.
    return (int.from_bytes(xzero.ljust(2, b"\0"), "big") & 0x3FFF) + 1


def _run(rank: int, length: int) -> bytes:
    """The opcode of a run; none for one of no length. A VAL's length is 4 at most."""
    if not length:
        return b""
    if rank:
        return bytes((0x80 | rank - 1 << 2 | length - 1,))
    return (0x4000 | length - 1).to_bytes(2, "big") if length > 64 else bytes((length - 1,))


def _locate(value: bytearray, register: int, near: _Start) -> tuple[int, int, int]:
    """The position of the opcode that covers a register, that of the opcode before it (its own, if there is none), and
    the first register that it covers. Moves `near` to one or two opcodes before it. Raises CorruptedError."""
    first, before = near.first, near.before
    for match in _RUNS.finditer(value, near.position):
        start, end = match.span(1)
        spans = match[1].translate(_SPANS)
        covered = sum(spans)
        if register < first + covered:
            place, reached = _place(spans, first, covered, register)
        elif match[2] and register < first + covered + _span(match[2]):
            place, reached = len(spans), first + covered
        else:
            first += covered + (_span(match[2]) if match[2] else 0)
            before = end
            continue
        position = start + place
        if place < 2:
            near.position, near.before, near.first = start, before, first
        else:
            near.position, near.before, near.first = position - 1, position - 2, reached - spans[place - 1]
        return position, position - 1 if place else before, reached
    raise CorruptedError


def _place(spans: bytes, first: int, covered: int, register: int) -> tuple[int, int]:
    """In a run of opcodes of one byte that cover `covered` registers from `first` on: the place of the one that covers
    a register, and the first register that it covers."""
    place = 0
    while len(spans) > 1:
        half = len(spans) // 2
        of_half = sum(spans[:half])
        if register < first + of_half:
            spans = spans[:half]
        else:
            first += of_half
            place += half
            spans = spans[half:]
    return place, first


def _join_runs(value: bytearray, position: int) -> None:
    """Make one VAL of two with the same rank, if it can hold both, among a few opcodes from `position` on."""
    for _ in range(MERGED_OPCODES):
        if position >= len(value):
            return
        opcode = value[position]
        if not opcode & 0x80:
            position += 2 if opcode & 0x40 else 1
            continue
        following = value[position + 1] if position + 1 < len(value) else 0
        length = (opcode & 3) + (following & 3) + 2
        if following & 0x80 and not (opcode ^ following) & 0x7C and length <= 4:
            value[position : position + 2] = _run((opcode >> 2 & 31) + 1, length)
        else:
            position += 1


def opcodes(value: StringValue) -> Iterator[tuple[int, int, bool]]:
    """The runs of a sparse value: rank, length, and whether it is an XZERO."""
    for match in _RUNS.finditer(value, HEADER_BYTES):
        for opcode in match[1]:
            yield (opcode >> 2 & 31) + 1 if opcode & 0x80 else 0, _SPANS[opcode], False
        if match[2]:
            yield 0, _span(match[2]), True
