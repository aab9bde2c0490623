"""Random HyperLogLog commands: few elements and many, so that values are sparse, dense and in between, and strings that
look like one but are damaged.

A damaged one gets an element at a time: of several, Redis keeps those that it had added before it came upon the damage,
while redraft refuses a command as a whole.
"""

from __future__ import annotations

from hypothesis import strategies as st

from oracle.commands import Command, extended, sequences, words

SOUND = [b"h1", b"h2", b"h\xff\x00", b"other", b"none"]
DAMAGED = [b"damaged", b"damaged2"]
HEADER = b"HYLL\x01\x00\x00\x00" + bytes(7) + b"\x80"
FORGED = [
    b"", b"text", b"12", b"HYLL", HEADER, HEADER[:15], b"HYLM" + HEADER[4:] + b"\x7f\xff",
    b"HYLL\x02" + HEADER[5:] + b"\x7f\xff", b"HYLL\x00" + HEADER[5:] + b"\x7f\xff", HEADER + b"\x7f\xff",
    HEADER + b"\x7f\xfe\x83", HEADER + b"\x7f\xff\x80", HEADER + b"\x3f" * 255 + b"\x7f",
    HEADER + b"\x3f" * 256, HEADER + b"\x80" * 16, HEADER + b"\xff" * 4096, HEADER + b"\xfb" * 4095 + b"\x03",
    b"HYLL\x00" + HEADER[5:] + bytes(12288), b"HYLL\x00" + HEADER[5:] + b"\x41" * 12288,
    b"HYLL\x00" + bytes(10) + b"\x05" + bytes(12288), b"HYLL\x00" + bytes(11) + bytes(12287),
    b"HYLL\x01" + bytes(3) + b"\x2a" + bytes(7) + b"\x7f\xff", HEADER + b"\x3f\x00\x80\x84\x84\x84\x80\x80\x7f\xb8",
]  # fmt: skip

sound = st.sampled_from(SOUND)
damaged = st.sampled_from(DAMAGED)
key = st.sampled_from(SOUND + DAMAGED)
element = (
    st.integers(0, 1000).map(lambda number: b"%d" % number)
    | st.binary(max_size=20)
    | st.binary(min_size=60, max_size=99)
)
crowd = st.builds(
    lambda name, start, count: (b"PFADD", name, *(b"e:%d" % number for number in range(start, start + count))),
    sound, st.integers(0, 10**9), st.sampled_from([50, 300, 700, 1000]),
)  # fmt: skip

command: st.SearchStrategy[Command] = st.one_of(
    extended(words("PFADD", sound), st.tuples(element)), extended(words("PFADD", sound), st.tuples(element), 10), crowd,
    crowd, words("PFADD", damaged, element), words("PFADD", damaged),
    extended(words("PFCOUNT", key), st.tuples(key)), words("PFCOUNT", key), words("PFCOUNT", key),
    extended(words("PFMERGE", key), st.tuples(key)), words("PFMERGE", key, key, key), words("PFADD"), words("PFMERGE"),
    words("PFCOUNT"), words("SET", damaged, st.sampled_from(FORGED)), words("DEL", key), words("GET", key),
    words("RPUSH", st.just(b"other"), element), words("EXPIRE", key, st.just(b"100")), words("COPY", sound, key),
    words("COPY", damaged, damaged),
    words("PFDEBUG", st.sampled_from([b"GETREG", b"decode", b"ENCODING", b"ToDense", b"what"]), key),
    words("APPEND", damaged, st.sampled_from([b"\x00", b"\x7f\xff", b"\x80"])),
)  # fmt: skip


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """Sequences of them."""
    return sequences(command, most)
