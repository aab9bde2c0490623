"""Reading what can be read of a damaged store, for `redraft repair`.

Of a log every entry has a place, so `log_reader` knows what is missing. An image's keys are known only by reading them:
an iterator that meets a damaged block has no next key, and the keys in that block, and those that stand in other files
between the same two keys, are lost without their names. So what is told of them is where they stood: behind the last
key that could be read, and before the next.

The next key is looked for in two steps: ever farther from the damage, until there is a place that can be read, and then
by halves, back towards the damage.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rocksdict import Rdict, ReadOptions

from redraft.errors import DamagedDataError, StorageError
from redraft.storage.image import FIRST_PART, whole_record
from redraft.storage.image_reader import ImageReader
from redraft.storage.log_reader import LogReader
from redraft.storage.rocks import base_options, translated
from redraft.storage.synced import FILES


class LostKeys(NamedTuple):
    """Keys of an image that cannot be read."""

    after: bytes
    """They stood behind this key, which was read; empty at the image's beginning."""
    before: bytes
    """And before this one, which was read too; empty at the image's end."""
    reason: str
    key: bytes = b""
    """The key itself, where it is known."""


def open_log(path: Path, scratch: Path) -> tuple[LogReader, str]:
    """A log store, as far as it can be read, and what is wrong with it as a whole, or nothing. Where it cannot be
    opened a copy in `scratch` is put in order by RocksDB first. Raises StorageError, DamagedDataError."""
    try:
        return LogReader(path, past_damage=True), ""
    except DamagedDataError as error:
        reason = str(error)
    with translated(f"copying the log {path}"):
        shutil.copytree(path, scratch)
        for name in FILES:
            (scratch / name).unlink(missing_ok=True)
    with translated(f"putting a copy of the log {path} in order"):
        Rdict.repair(str(scratch), base_options())
    reader = LogReader(scratch, past_damage=True)
    reader.damage.clear()
    return reader, f"{reason}; if more was written behind the last entry that is kept, it is lost"


def readable(image: ImageReader) -> Iterator[tuple[bytes, bytes] | LostKeys]:
    """All records of an image that can be read, in the order of their keys, and between them what cannot."""
    place = last = b""
    while True:
        iterator = image.db.iter(ReadOptions())
        iterator.seek(place)
        while iterator.valid():
            key = iterator.key()
            if key >= FIRST_PART:
                return
            try:
                with image.told():
                    record = whole_record(image.db.iter(ReadOptions()), key, iterator.value())
                yield key, record
            except StorageError as error:
                yield LostKeys(last, b"", str(error), key)
            last = key
            iterator.next()
        reason = _trouble(image, iterator)
        if not reason:
            return
        place = _next_readable(image, last)
        yield LostKeys(last, b"" if place >= FIRST_PART else place, reason)
        if place >= FIRST_PART:
            return


def _trouble(image: ImageReader, iterator: Any) -> str:
    try:
        with image.told():
            iterator.status()
    except StorageError as error:
        return str(error)
    return ""


def _next_readable(image: ImageReader, last: bytes) -> bytes:
    """The first key behind `last` that can be read; `FIRST_PART` when there is none."""
    bad, good = last + b"\0", b""
    for candidate in _farther(last):
        if (good := _key_at(image, candidate)) != b"":
            break
        bad = candidate
    if good == b"":
        return FIRST_PART
    low, high, width = *_numbers(bad, candidate), max(len(bad), len(candidate)) + 2
    while high - low > 1:
        middle = (low + high) // 2
        found = _key_at(image, middle.to_bytes(width, "big"))
        low, high = (middle, high) if found == b"" else (low, middle)
        good = found or good
    return good


def _farther(key: bytes) -> Iterator[bytes]:
    """Places behind a key, each farther than the one before."""
    for length in range(len(key), 0, -1):
        if key[length - 1] != 0xFF:
            yield key[: length - 1] + bytes((key[length - 1] + 1,))
    yield FIRST_PART


def _numbers(first: bytes, second: bytes) -> tuple[int, int]:
    width = max(len(first), len(second)) + 2
    return int.from_bytes(first.ljust(width, b"\0"), "big"), int.from_bytes(second.ljust(width, b"\0"), "big")


def _key_at(image: ImageReader, place: bytes) -> bytes:
    """The key at a place or behind it, `FIRST_PART` behind the last; empty where it cannot be read."""
    iterator = image.db.iter(ReadOptions())
    iterator.seek(place)
    if iterator.valid():
        key: bytes = iterator.key()
        return min(key, FIRST_PART)
    return b"" if _trouble(image, iterator) else FIRST_PART
