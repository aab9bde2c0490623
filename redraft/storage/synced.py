"""What must be in the log: the highest sequence number known to be synced, in two files beside it.

RocksDB drops what it cannot read of its write-ahead log, be it a torn tail that was never synced or a hole. So whoever
opens the log compares what was recovered with this number. It is kept in a mapped page, which costs no system call:
after a power cut it may be old, never too new.

The number has a checksum, since a raised bit in it would refuse whole data and a zeroed one would let everything pass,
and stands in two files, of which one whole one is enough. Both are whole on disk before the first entry is, so that a
file that cannot be read is never a file that was not written yet. Until this was so there was only the first file,
without a checksum; what is found like that is believed, and is replaced by the first who writes.

```
sequence number (8 bytes, little endian), CRC-32 of these bytes (4), zeros up to a page
```
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from redraft.errors import DamagedDataError
from redraft.storage.directory import sync_directory

FILES = ("SYNCED", "SYNCED.2")
NUMBER = struct.Struct("<Q")
_RECORD = struct.Struct("<QI")
PAGE_BYTES = mmap.PAGESIZE


class Promise(NamedTuple):
    """What the files of a log say."""

    sequence: int
    whole: tuple[bool, ...]
    """Of each file, whether it says so itself, with a checksum."""


def record(sequence: int) -> bytes:
    """What a file begins with."""
    return _RECORD.pack(sequence, zlib.crc32(NUMBER.pack(sequence)))


def read_promise(log: Path) -> Promise:
    """What must be in the log at the path. Raises DamagedDataError when nobody can tell, OSError."""
    heads = [_head(log / name) for name in FILES]
    told = [None if head is None else _number(head) for head in heads]
    numbers = [number for number in told if number is not None]
    whole = tuple(number is not None for number in told)
    if numbers:
        return Promise(max(numbers), whole)
    first, *others = heads
    if not any(head is not None for head in heads):
        raise DamagedDataError("its file SYNCED is missing, which tells what must be there")
    if first is not None and len(first) == _RECORD.size and not any(others):
        sequence, crc = _RECORD.unpack(first)
        if crc == 0:
            return Promise(sequence, whole)
    raise DamagedDataError("its file SYNCED, which tells what must be there, is damaged, and so is its copy")


def _head(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_RECORD.size)
    except FileNotFoundError:
        return None


def _number(head: bytes) -> int | None:
    number = NUMBER.unpack_from(head)[0] if len(head) == _RECORD.size else 0
    return number if head == record(number) else None


class SyncedMark:
    """The two files of a log that is written."""

    def __init__(self, log: Path, promise: Promise) -> None:
        """Make whole what is not, then map both. Raises OSError."""
        self.sequence = promise.sequence
        # The copy first: a first file without a checksum is believed only where there is no copy.
        for name, is_whole in reversed([*zip(FILES, promise.whole, strict=True)]):
            if not is_whole:
                _make(log / name, promise.sequence)
        self._maps = [_mapped(log / name) for name in FILES]

    def raise_to(self, sequence: int) -> None:
        """All up to `sequence` is synced. (Two threads may sync: the later one knows more.)"""
        if sequence > self.sequence:
            self.sequence = sequence
            data = record(sequence)
            for page in self._maps:
                page[: len(data)] = data

    def close(self) -> None:
        """Let the files go."""
        for page in self._maps:
            page.close()


def _make(path: Path, sequence: int) -> None:
    """Put a whole file in the place of what is there, durably. Its page has no hole: with one, a full disk would be a
    SIGBUS at the first write."""
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(record(sequence).ljust(PAGE_BYTES, b"\0"))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_directory(path.parent)


def _mapped(path: Path) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.posix_fallocate(descriptor, 0, PAGE_BYTES)
        return mmap.mmap(descriptor, PAGE_BYTES)
    finally:
        os.close(descriptor)
