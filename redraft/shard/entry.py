"""A log entry's data: what the leader decided beside the commands, then the commands as Redis writes them.

```
byte 0       format version, 1
8 bytes      the leader's clock, Unix ms, big endian: the time of every command in the entry
8 bytes      the seed of the entry's randomness
the rest     a fragment of an append-only file: RESP arrays, `SELECT n` before commands of another database than the
             last (each entry starts in database 0), `MULTI` … `EXEC` around a transaction
```

Encoding is `hiredis.pack_command`, decoding is hiredis: C speed both ways, and people can read a log.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

import hiredis

from redraft.errors import DamagedDataError

VERSION = 1
_HEADER = struct.Struct(">BqQ")
HEADER_BYTES = _HEADER.size

pack = cast(Callable[[tuple[bytes, ...]], bytes], hiredis.pack_command)
"""A command as a RESP array; hiredis's own annotation is of one-element tuples."""

MULTI = pack((b"MULTI",))
EXEC = pack((b"EXEC",))


class EntryHeader(NamedTuple):
    """What the leader stamped into an entry."""

    time_ms: int
    seed: int


class LoggedCommand(NamedTuple):
    """One write of an entry; or one of the marks around a transaction's, `[b"MULTI"]` and `[b"EXEC"]`."""

    database: int
    argv: list[bytes]


class LoggedRun(NamedTuple):
    """Commands of one name that stand in a row."""

    database: int
    argvs: list[list[bytes]]


def select(database: int) -> bytes:
    """The fragment that makes `database` the one of the commands after it."""
    return pack((b"SELECT", b"%d" % database))


def encode(time_ms: int, seed: int, fragments: list[bytes]) -> bytes:
    """An entry's data from packed commands."""
    return _HEADER.pack(VERSION, time_ms, seed) + b"".join(fragments)


def header(data: bytes) -> EntryHeader:
    """The header of an entry's data. Raises DamagedDataError."""
    if len(data) < HEADER_BYTES:
        raise DamagedDataError(f"a log entry has {len(data)} bytes, less than its header")
    version, time_ms, seed = _HEADER.unpack_from(data)
    if version != VERSION:
        raise DamagedDataError(f"a log entry has the format {version}; this version reads {VERSION}")
    return EntryHeader(time_ms, seed)


def commands(data: bytes) -> Iterator[LoggedCommand]:
    """The writes of an entry in order. Raises DamagedDataError.

    MULTI and EXEC are among them, around the commands of a transaction.
    """
    for database, argvs in runs(data):
        for argv in argvs:
            yield LoggedCommand(database, argv)


def runs(data: bytes) -> Iterator[LoggedRun]:
    """As `commands`, in runs. Raises DamagedDataError."""
    reader = hiredis.Reader(notEnoughData=_NOTHING)
    gets = reader.gets
    database = 0
    last_name, argvs = b"", []
    try:
        reader.feed(data, HEADER_BYTES, len(data) - HEADER_BYTES)
        reader.feed(_END)
        while (argv := gets()) != _END_MARK:
            if argv is _NOTHING:
                raise DamagedDataError("a log entry ends inside a command")
            if type(argv) is not list or set(map(type, argv)) != _BYTES_ONLY:
                raise DamagedDataError("a log entry holds something that is no command")
            if argv[0] == last_name:
                argvs.append(argv)
                continue
            if argvs:
                yield LoggedRun(database, argvs)
            last_name, argvs = argv[0], [argv]
            if last_name == b"SELECT":
                database = int(argv[1])
                if database < 0:
                    raise DamagedDataError(f"a log entry selects the database {database}")
                last_name, argvs = b"", []
        if argvs:
            yield LoggedRun(database, argvs)
    except (hiredis.ProtocolError, IndexError, TypeError, ValueError) as error:
        raise DamagedDataError(f"a log entry does not hold commands: {error}") from error
    if reader.has_data():
        raise DamagedDataError("a log entry holds something that is no command")


_NOTHING = object()
_BYTES_ONLY = {bytes}
_END, _END_MARK = b":0\r\n", 0
"""Read behind the last command. An entry that was cut swallows it, or makes an error of it; the reader itself does not
tell that an array was begun and is not complete."""
