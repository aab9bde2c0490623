"""A shard's image that is only read (see `image`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rocksdict import ReadOptions

from redraft.storage.image import META_KEY, ImageMeta, decode_meta, records
from redraft.storage.mirror import Mirror


class ImageReader(Mirror):
    """An image."""

    def __init__(self, path: Path) -> None:
        """Open the image at `path`. Raises StorageError, DamagedDataError."""
        super().__init__(path, "image")

    def meta(self) -> ImageMeta | None:
        """What the image is of, or None when nothing was ever flushed. Raises DamagedDataError."""
        with self.told():
            record = self.db.get(META_KEY)
        return None if record is None else decode_meta(self.path, record)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """The records in the order of their keys, up to the first that cannot be read. Raises DamagedDataError."""
        with self.told():
            yield from records(self.db, ReadOptions)
