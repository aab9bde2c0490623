"""The files of a snapshot that comes in, and what of them is there from an attempt that broke off (design section 6).

Theory. RocksDB never changes a table file, and nearly all bytes of an image are in table files: of a later checkpoint
of the same image most files are the ones that were sent already. So what is kept is not an attempt but files: one that
is whole is known by its CRC, whoever sends it; of one that is not, a record beside the directory says which file it is
the beginning of. The record is only believed as far as the CRC of the whole file bears it out in the end.
"""

from __future__ import annotations

import shutil
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from redraft.errors import DamagedDataError
from redraft.storage.directory import sync_file

CHUNK_BYTES = 256 * 1024


class File(msgspec.Struct, frozen=True, array_like=True):
    """One file of a snapshot."""

    name: str
    size: int
    crc: int


_decode_record = msgspec.msgpack.Decoder(list[File]).decode


def list_files(directory: Path) -> list[File]:
    """The files of a directory, with their CRCs. Slow; in any thread. Raises OSError."""
    paths = [path for path in sorted(directory.iterdir()) if path.is_file()]
    return [File(path.name, path.stat().st_size, crc_of(path)) for path in paths]


def crc_of(path: Path) -> int:
    """The CRC-32 of a file's bytes. Raises OSError."""
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc


@dataclass(slots=True)
class _Begun:
    """A file that lacks something."""

    file: File
    left: int
    """Bytes that are missing."""
    crc: int
    """Of those that are here."""


class IncomingFiles:
    """A directory that files come into, one behind the other, in the order of the list.

    Making one looks at what is there already, and removes whatever else is: slow; in any thread. Raises OSError.
    """

    def __init__(self, directory: Path, files: Sequence[File]) -> None:
        self._directory = directory
        self._files = files
        self._missing: deque[_Begun] = deque()
        """What lacks something, in the order in which it comes; the first is open."""
        self._open: BinaryIO | None = None
        self.held = self._look()
        """How many bytes of each file were here."""
        self._open_next()

    def _look(self) -> list[int]:
        directory, record = self._directory, self._directory.with_name(self._directory.name + ".files")
        directory.mkdir(exist_ok=True)
        begun = _read_record(record)
        wanted = {file.name for file in self._files}
        for path in directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in wanted:
                path.unlink()
        held = [self._look_at(file, directory / file.name, file in begun) for file in self._files]
        record.write_bytes(msgspec.msgpack.encode(list(self._files)))
        return held

    def _look_at(self, file: File, path: Path, is_begun: bool) -> int:
        """How much of a file is here: all, as its CRC tells, or, as far as one can tell, a beginning."""
        if not file.size:
            path.write_bytes(b"")
            return 0
        size, crc = (path.stat().st_size, crc_of(path)) if path.exists() else (0, 0)
        if size == file.size and crc == file.crc:
            return size
        if size >= file.size or not is_begun:
            path.unlink(missing_ok=True)
            size, crc = 0, 0
        self._missing.append(_Begun(file, file.size - size, crc))
        return size

    def _open_next(self) -> None:
        if self._missing:
            self._open = (self._directory / self._missing[0].file.name).open("ab")

    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return not self._missing

    def write(self, data: memoryview) -> None:
        """Bytes have come, in the order of the files, of each what was not held. Raises OSError; DamagedDataError when
        a file is not what it was said to be, or for more bytes than are missing."""
        while data:
            if self._open is None:
                raise DamagedDataError("more bytes than the snapshot has")
            begun = self._missing[0]
            taken = data[: begun.left]
            self._open.write(taken)
            begun.crc = zlib.crc32(taken, begun.crc)
            begun.left -= len(taken)
            data = data[len(taken) :]
            if not begun.left:
                self._end_file(begun)

    def _end_file(self, begun: _Begun) -> None:
        self.close()
        if begun.crc != begun.file.crc:
            (self._directory / begun.file.name).unlink()
            raise DamagedDataError(f"the file {begun.file.name} was changed on its way")
        self._missing.popleft()
        self._open_next()

    def sync(self) -> None:
        """Make what the files hold durable; in any thread. Raises OSError."""
        for file in self._files:
            sync_file(self._directory / file.name)

    def close(self) -> None:
        """No more bytes will come, or none for now."""
        if self._open is not None:
            self._open.close()
            self._open = None


def _read_record(path: Path) -> set[File]:
    """The files that the last attempt was to bring."""
    try:
        return set(_decode_record(path.read_bytes()))
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
        return set()
