"""How many different elements there were, told from 16,384 small numbers: the arithmetic of HyperLogLog.

Theory. An element is hashed to 64 bits. 14 of them choose a register; in the other 50 the place of the first one is a
*rank*: rank r has the probability 2^-r. Each register keeps the highest rank it has seen. From how many registers have
which rank follows the estimate, with a standard error of 0.81 % (Otmar Ertl, New cardinality estimation algorithms for
HyperLogLog sketches, arXiv:1702.01284, algorithm 6). Redis hashes by Austin Appleby's MurmurHash64A, and so must
whoever shares values with it.

Only additions, products, quotients and square roots of doubles are used, which IEEE 754 rounds in one way only: the
estimate is the same on every machine.

A register is below 64 and stands in a byte of its own here, so that one large integer is 16,384 registers side by side,
and a maximum of two sets of them a few operations at C speed: 0.1 ms. To hash takes 0.3 µs for each 8 bytes.

What this leaves out: how registers are packed in a value (`values.hyperloglog`).
"""

from __future__ import annotations

import math
import struct

from redraft.integers import INT64_MAX

REGISTERS = 1 << 14
RANK_BITS = 50
SEED = 0xADC83B19

_MASK = (1 << 64) - 1
_MULTIPLIER = 0xC6A4A7935BD1E995
_SHIFT = 47
_ALPHA = 0.721347520444481703680
"""1 / (2 ln 2)."""
_TOPS = int.from_bytes(b"\x80" * REGISTERS, "little")


def hash64(data: bytes) -> int:
    """MurmurHash64A with Redis's seed."""
    words = len(data) >> 3
    result = SEED ^ (len(data) * _MULTIPLIER & _MASK)
    for word in struct.unpack_from(f"<{words}Q", data):
        word = word * _MULTIPLIER & _MASK
        word = (word ^ word >> _SHIFT) * _MULTIPLIER & _MASK
        result = (result ^ word) * _MULTIPLIER & _MASK
    if len(data) & 7:
        result = (result ^ int.from_bytes(data[words * 8 :], "little")) * _MULTIPLIER & _MASK
    result = (result ^ result >> _SHIFT) * _MULTIPLIER & _MASK
    return result ^ result >> _SHIFT


def register_and_rank(element: bytes) -> tuple[int, int]:
    """The register of an element, and the element's rank: from 1 to 51."""
    hashed = hash64(element)
    rest = hashed >> 14 | 1 << RANK_BITS
    return hashed & REGISTERS - 1, (rest & -rest).bit_length()


def highest(first: bytes, second: bytes) -> bytes:
    """Of each register the greater of two."""
    a, b = int.from_bytes(first, "little"), int.from_bytes(second, "little")
    # A byte's top bit is set where a >= b; then all bits below it are.
    tops = ((a | _TOPS) - b) & _TOPS
    taken = tops - (tops >> 7)
    return (b ^ (a ^ b) & taken).to_bytes(REGISTERS, "little")


def estimate(registers: bytes) -> int:
    """How many different elements have left these registers; 2^63 - 1 at most."""
    counts: list[int] = []
    left = REGISTERS
    for rank in range(RANK_BITS + 2):
        counts.append(registers.count(rank) if left else 0)
        left -= counts[-1]
    total = REGISTERS * _tau((REGISTERS - counts[RANK_BITS + 1]) / REGISTERS)
    for rank in range(RANK_BITS, 0, -1):
        total = (total + counts[rank]) * 0.5
    total += REGISTERS * _sigma(counts[0] / REGISTERS)
    count = _ALPHA * REGISTERS * REGISTERS / total if total else math.inf
    if count >= INT64_MAX:
        return INT64_MAX
    whole = math.floor(count)
    return whole + (count - whole >= 0.5)


def _sigma(x: float) -> float:
    """x + the sum of x^(2^k) * 2^(k-1) for k from 1: the weight of registers that are 0."""
    if x == 1.0:
        return math.inf
    weight = 1.0
    result, before = x, -1.0
    while result != before:
        before = result
        x *= x
        result += x * weight
        weight += weight
    return result


def _tau(x: float) -> float:
    """(1 - x - the sum of (1 - x^(2^-k))^2 * 2^-k for k from 1) / 3: the weight of registers at the highest rank."""
    if x in (0.0, 1.0):
        return 0.0
    weight = 1.0
    result, before = 1.0 - x, -1.0
    while result != before:
        before = result
        x = math.sqrt(x)
        weight *= 0.5
        result -= (1.0 - x) * (1.0 - x) * weight
    return result / 3.0
