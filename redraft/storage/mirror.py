"""A RocksDB directory that is read without a trace.

RocksDB, and rocksdict with it, write to a directory also when they open it for reading only; opened for writing, they
drop what they cannot read. So they are shown a *mirror*, a temporary directory of symbolic links to the files; what
they write is gone with it. It is how a stopped node's directory is looked into, and how a start looks before it touches
anything.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rocksdict import AccessType, DBRecoveryMode, Rdict

from redraft.errors import DamagedDataError, StorageError
from redraft.storage.rocks import base_options, translated

_CHANGED_BY_READING = "rocksdict-config.json"


class Mirror:
    """A database opened for reading only; a context manager."""

    def __init__(self, path: Path, what: str, doing: str = "reading", *, past_damage: bool = False) -> None:
        """Open the database at `path`, which is called `what` in errors. `past_damage`: what stands behind a damaged
        place of the write-ahead log is read too; there are holes then. Raises StorageError, DamagedDataError."""
        self.path = path
        self._doing = f"{doing} the {what} {path}"
        self._copy = ""
        self._stack = ExitStack()
        try:
            with self.told():
                if not (path / "CURRENT").exists():
                    raise DamagedDataError(f"{self._doing}: it is not there")
                self._copy = self._stack.enter_context(_temporary_directory(path))
                for file in path.resolve().iterdir():
                    if file.name != _CHANGED_BY_READING:
                        os.symlink(file, Path(self._copy) / file.name)
                options = base_options()
                options.create_if_missing(False)
                if past_damage:
                    options.set_wal_recovery_mode(DBRecoveryMode.skip_any_corrupted_record())
                self.db = Rdict(self._copy, options, access_type=AccessType.read_only())
                self._stack.callback(self.db.close)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def told(self, doing: str = "") -> Iterator[None]:
        """Raise what RocksDB raises in the block as a StorageError, with the real names of the files."""
        try:
            with translated(doing or self._doing):
                yield
        except StorageError as error:
            if self._copy and self._copy in str(error):
                raise type(error)(str(error).replace(self._copy, str(self.path))) from error
            raise

    def close(self) -> None:
        """Close the files, and remove the mirror."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _temporary_directory(path: Path) -> tempfile.TemporaryDirectory[str]:
    """A directory for a mirror: where temporary files are, or beside the database if no such place may be written."""
    try:
        return tempfile.TemporaryDirectory(prefix="redraft-")
    except OSError:
        return tempfile.TemporaryDirectory(prefix="looking-", dir=path.parent)
