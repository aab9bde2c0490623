"""A shard's data on disk: a RocksDB directory that holds the keyspace exactly as of one log index.

Nothing enters an image but by ingestion: a flush writes its records in order to a sorted file outside, together with
the meta record, and the file becomes part of the image atomically. So there is no write-ahead log, and at any instant
the image is of one index: the old or the new one. Image keys begin with a generation (see `keyspace.keyspace`), which
never reaches 2³¹.

RocksDB's calls hold the interpreter's lock here, so while a file is finished and ingested the node stands still, in
whatever thread that is. Therefore the file's bytes are made durable first, by a call that lets others run, and it is
not compressed. Compactions compress; they have threads of their own. And as a record of 17 MB (a set with a million
members) would take RocksDB 45 ms, a record longer than `PART_BYTES` is *split*: its key holds only how many parts there
are, and those are records of their own, behind all others, in a second file that is ingested together with the first.

```
generation, key                                  a record, or 0x40 and the number of its parts (4 bytes)
generation | 0x80000000, key', 00 00, number     a part: key' is the key with 00 ff for each 00, so that the parts of a
                                                 key lie together and keys keep their order; the number has 4 bytes
ff ff ff ff ff ff ff ff                          the meta record
```

Looking changes nothing: an image is read in a mirror until somebody writes (see `log_store`). RocksDB, opened for
writing, merges files and deletes those that its manifest does not name.

Measured: 0.7 µs to add a record of 100 bytes, 2–3 ms to ingest a file, 0.9 µs to read a record back.

Thread safety: a writer is used by one thread at a time, and `finish` may run in another than the one that wrote.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
from rocksdict import (
    BlockBasedOptions,
    Cache,
    Checkpoint,
    DBCompressionType,
    IngestExternalFileOptions,
    Rdict,
    RdictIter,
    ReadOptions,
    SstFileWriter,
)

from redraft.errors import DamagedDataError
from redraft.storage.directory import make_directory, sync_directory, sync_file
from redraft.storage.mirror import Mirror
from redraft.storage.rocks import base_options, close_database, translated
from redraft.storage.sizes import bytes_of_files

META_KEY = b"\xff" * 8
FORMAT = 1
NEW_FILE = "flush.sst"
"""A flush's file in the making; what is found of it by the first who writes was never ingested."""
NEW_PARTS_FILE = "flush-parts.sst"
"""The file of a flush's parts; likewise."""

PART_BYTES = 1 << 18
"""A longer record is split into parts of this length: a step of a flush, encoding included, then takes 2 ms at
most for a million members."""
_SPLIT = struct.Struct(">BI")
_SPLIT_TAG = 0x40
_SPLIT_MARK = bytes((_SPLIT_TAG,))
"""The first byte of what stands for a split record; no type's tag (`values.codec`)."""
FIRST_PART = b"\x80"
"""All keys from here on are those of parts, and the meta record's."""


class ImageMeta(msgspec.Struct, frozen=True, array_like=True):
    """What an image is of."""

    format: int
    applied_index: int
    """The last log entry whose effect is in the image."""
    state: bytes
    """What the shard records beside its keys; opaque here."""
    split: list[tuple[bytes, int]] = []
    """The keys of split records, and how many parts they have."""


_decoder = msgspec.msgpack.Decoder(ImageMeta)


def decode_meta(path: Path, record: bytes) -> ImageMeta:
    """The meta record of the image at `path`. Raises DamagedDataError."""
    try:
        meta = _decoder.decode(record)
    except msgspec.MsgspecError as error:
        raise DamagedDataError(f"the image {path} has no readable meta record: {error}") from error
    if meta.format != FORMAT:
        raise DamagedDataError(f"the image {path} has the format {meta.format}; this version reads {FORMAT}")
    return meta


def records(db: Rdict, options: Callable[[], ReadOptions]) -> Iterator[tuple[bytes, bytes]]:
    """All records of an image as of now, in the order of their keys, the split ones put together; `options` are those
    to read with. Raises DamagedDataError when a part is missing, and else what RocksDB raises."""
    return _records(db.iter(options()), db.iter(options()))


def _records(iterator: RdictIter, parts: RdictIter) -> Iterator[tuple[bytes, bytes]]:
    iterator.seek_to_first()
    key, value, step, valid = iterator.key, iterator.value, iterator.next, iterator.valid
    while valid():
        image_key, record = key(), value()
        if image_key >= FIRST_PART:
            break
        if record[:1] == _SPLIT_MARK:
            record = whole_record(parts, image_key, record)
        yield image_key, record
        step()
    # An iterator that meets damage ends early, and says so only here.
    iterator.status()


def whole_record(parts: RdictIter, key: bytes, record: bytes) -> bytes:
    """A record, put together if it is split; `parts` is an iterator of the image. Raises DamagedDataError, and what
    RocksDB raises."""
    if record[:1] != _SPLIT_MARK:
        return record
    if len(record) != _SPLIT.size:
        raise DamagedDataError("a record of an image does not say how many parts it has")
    _, count = _SPLIT.unpack(record)
    found = []
    parts.seek(_part_key(key, 0))
    for number in range(count):
        if not parts.valid() or parts.key() != _part_key(key, number):
            parts.status()
            raise DamagedDataError(f"a record of an image lacks its part {number + 1} of {count}")
        found.append(parts.value())
        parts.next()
    return b"".join(found)


def _part_key(key: bytes, number: int) -> bytes:
    return bytes((key[0] | 0x80,)) + key[1:4] + key[4:].replace(b"\0", b"\0\xff") + b"\0\0" + number.to_bytes(4, "big")


class Image:
    """One shard's image."""

    _db: Rdict
    """The mirror's until the image is opened for writing; there is none while nothing has been written."""

    def __init__(self, path: Path) -> None:
        """Look at the image at `path`, or at the place for one. Raises StorageError, DamagedDataError."""
        self.path = path
        self.reopen()

    def reopen(self) -> None:
        """Look at what is at the path now. Raises StorageError, DamagedDataError."""
        self._mirror: Mirror | None = None
        self._is_writable = False
        self._split: dict[bytes, int] = {}
        if not self._is_made():
            return
        self._mirror = Mirror(self.path, "image", "opening")
        self._db = self._mirror.db
        try:
            meta = self.meta()
        except BaseException:
            self._close_mirror()
            raise
        self._split = {} if meta is None else dict(meta.split)

    def _is_made(self) -> bool:
        """Whether there is a database. Raises StorageError, DamagedDataError."""
        path = self.path
        with translated(f"opening the image {path}"):
            is_made = (path / "CURRENT").exists()
            if not is_made and any(file.name not in (NEW_FILE, NEW_PARTS_FILE) for file in path.glob("*.sst")):
                raise DamagedDataError(f"opening the image {path}: it has data files but no CURRENT file")
        return is_made

    def open_for_writing(self) -> None:
        """Make ready for flushes, and the image when there is none. It is done by the first flush too. Raises
        StorageError, DamagedDataError."""
        if self._is_writable:
            return
        path = self.path
        with translated(f"opening the image {path}"):
            make_directory(path)
            for name in (NEW_FILE, NEW_PARTS_FILE):
                (path / name).unlink(missing_ok=True)
            options = base_options()
            table = BlockBasedOptions()
            table.set_block_cache(Cache(4 << 20))
            options.set_block_based_table_factory(table)
            options.set_write_buffer_size(1 << 20)
            self._file_options = base_options()
            self._file_options.set_compression_type(DBCompressionType.none())
            self._db = Rdict(str(path), options)
        self._is_writable = True
        self._close_mirror()

    def _close_mirror(self) -> None:
        if self._mirror is not None:
            self._mirror.close()
            self._mirror = None

    def _read(self) -> AbstractContextManager[None]:
        """What is raised when the image is read, in redraft's words."""
        return translated(f"reading the image {self.path}") if self._mirror is None else self._mirror.told()

    def meta(self) -> ImageMeta | None:
        """What the image is of, or None when nothing was ever flushed. Raises DamagedDataError."""
        if not self._is_writable and self._mirror is None:
            return None
        with self._read():
            record = self._db.get(META_KEY)
        return None if record is None else decode_meta(self.path, record)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All records as of now in the order of their keys, checksums verified; may be read in any thread. Raises
        DamagedDataError."""

        def options() -> ReadOptions:
            options = ReadOptions()
            options.set_verify_checksums(True)
            options.set_readahead_size(2 << 20)
            return options

        if not self._is_writable and self._mirror is None:
            return iter(())
        with self._read():
            return self._told(records(self._db, options))

    def _told(self, found: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        with self._read():
            yield from found

    def writer(self) -> ImageWriter:
        """Begin the files of a flush. One at a time. Raises StorageError."""
        self.open_for_writing()
        return ImageWriter(self)

    def new_file(self, name: str) -> SstFileWriter:
        """Begin a sorted file in the image's directory. Raises StorageError."""
        path = self.path / name
        with translated(f"writing {path}"):
            path.unlink(missing_ok=True)
            writer = SstFileWriter(self._file_options)
            writer.open(str(path))
        return writer

    def split(self) -> dict[bytes, int]:
        """The keys of split records, and how many parts each has."""
        return dict(self._split)

    def ingest(self, names: list[str], split: dict[bytes, int]) -> None:
        """Make finished files part of the image, atomically. Raises StorageError."""
        paths = [self.path / name for name in names]
        with translated(f"finishing {paths[0]}"):
            options = IngestExternalFileOptions()
            options.set_move_files(True)
            self._db.ingest_external_file([str(path) for path in paths], options)
            for path in paths:
                path.unlink(missing_ok=True)
            sync_directory(self.path)
        self._split = split

    def drop_generations(self, generations: Sequence[int]) -> None:
        """Forget the records of generations that the meta record does not name. Raises StorageError."""
        if not generations:
            return
        self.open_for_writing()
        gone = {generation.to_bytes(4, "big") for generation in generations}
        self._split = {key: count for key, count in self._split.items() if key[:4] not in gone}
        with translated(f"cleaning the image {self.path}"):
            for first in generations:
                for generation in (first, first | 1 << 31):
                    self._db.delete_range(generation.to_bytes(4, "big"), (generation + 1).to_bytes(4, "big"))
            self._db.flush()

    def checkpoint(self, destination: Path) -> None:
        """A copy by hard links, of the last ingested state."""
        self.open_for_writing()
        with translated(f"copying the image {self.path}"):
            Checkpoint(self._db).create_checkpoint(str(destination))

    def size_bytes(self) -> int:
        """Bytes on disk."""
        return bytes_of_files(self.path)

    def close(self) -> None:
        """Close the files."""
        self._close_mirror()
        if self._is_writable:
            close_database(self._db, f"closing the image {self.path}")


class ImageWriter:
    """The files of a flush in the making: keys come in strictly ascending order."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._writer = image.new_file(NEW_FILE)
        self._parts: SstFileWriter | None = None
        """The file of parts, once there is one."""
        self._split = image.split()

    def put(self, key: bytes, value: bytes) -> None:
        """Set a record. Raises StorageError."""
        if key in self._split:
            self._forget_parts(key, 0)
        try:
            self._writer[key] = value
        except Exception:
            with self._told():
                raise

    def put_all(self, keys: list[bytes], values: list[bytes]) -> None:
        """Set records. Raises StorageError."""
        if self._split:
            for key, value in zip(keys, values, strict=True):
                self.put(key, value)
            return
        writer = self._writer
        try:
            for key, value in zip(keys, values, strict=True):
                writer[key] = value
        except Exception:
            with self._told():
                raise

    def put_pieces(self, key: bytes, pieces: Iterable[bytes]) -> Iterator[None]:
        """Set a record to what the pieces are together, a piece a step. Raises StorageError."""
        buffer = bytearray()
        count = 0
        for piece in pieces:
            buffer += piece
            while len(buffer) > PART_BYTES:
                self._put_part(_part_key(key, count), bytes(buffer[:PART_BYTES]))
                del buffer[:PART_BYTES]
                count += 1
            yield
        if not count:
            self.put(key, bytes(buffer))
            return
        self._put_part(_part_key(key, count), bytes(buffer))
        count += 1
        self._forget_parts(key, count)
        self._split[key] = count
        with self._told():
            self._writer[key] = _SPLIT.pack(_SPLIT_TAG, count)

    def _put_part(self, key: bytes, value: bytes) -> None:
        if self._parts is None:
            self._parts = self._image.new_file(NEW_PARTS_FILE)
        with self._told():
            self._parts[key] = value

    def _forget_parts(self, key: bytes, kept: int) -> None:
        """Remove the parts that a record has in the image from number `kept` on."""
        count = self._split.pop(key, 0)
        if kept < count and self._parts is None:
            self._parts = self._image.new_file(NEW_PARTS_FILE)
        with self._told():
            for number in range(kept, count):
                del self._parts[_part_key(key, number)]  # type: ignore[union-attr]

    def delete(self, key: bytes) -> None:
        """Remove a record, whether it is there or not. Raises StorageError."""
        self._forget_parts(key, 0)
        with self._told():
            del self._writer[key]

    def finish(self, meta: ImageMeta) -> None:
        """Make all that was written, and `meta`, part of the image: durable and atomic. Slow. Raises StorageError."""
        meta = msgspec.structs.replace(meta, split=list(self._split.items()))
        writers = {NEW_FILE: self._writer}
        if self._parts is not None:
            writers[NEW_PARTS_FILE] = self._parts
        with self._told():
            # The last key of all, in the last file: files that are ingested together may not overlap.
            (self._parts or self._writer)[META_KEY] = msgspec.msgpack.encode(meta)
            for name, writer in writers.items():
                sync_file(self._image.path / name)
                writer.finish()
        self._image.ingest(list(writers), self._split)

    def abort(self) -> None:
        """Forget what was written."""
        for name in (NEW_FILE, NEW_PARTS_FILE):
            (self._image.path / name).unlink(missing_ok=True)

    def _told(self) -> AbstractContextManager[None]:
        return translated(f"writing a flush of {self._image.path}")
