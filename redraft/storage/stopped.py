"""A stopped node's directory, opened to be looked at: nothing in it changes, not even a file's time.

The directory's lock is held, shared: several processes may look at once, and no node starts meanwhile. A node refuses
to start from damaged files; here as much is read as can be, and what cannot is told (`log_reader`, `image_reader`).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from redraft.errors import DirectoryInUseError, StorageError, UserError
from redraft.ids import GroupId
from redraft.storage.directory import NodeIdentity, read_identity
from redraft.storage.image_reader import ImageReader
from redraft.storage.locked import LockedDirectory
from redraft.storage.log_reader import LogReader


class StoppedDirectory(LockedDirectory):
    """A node's directory while the node does not run."""

    identity: NodeIdentity

    def __init__(self, path: Path) -> None:
        """Lock the directory against a start. Raises UserError where no node has ever been, DirectoryInUseError,
        StorageError, DamagedDataError."""
        super().__init__(path)
        try:
            if not path.is_dir():
                raise UserError(f"redraft: {path} is not a directory")
            self._acquire()
            identity = read_identity(path)
            if identity is None:
                raise UserError(f"redraft: {path} is not a node's directory: it has no node.json")
            self.identity = identity
        except OSError as error:
            self.close()
            raise StorageError(f"the data directory {path} cannot be read: {error.strerror or error}") from error
        except (StorageError, UserError):
            self.close()
            raise

    def _acquire(self) -> None:
        try:
            self._lock = os.open(self.path / "LOCK", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            # A copy without its lock: no node has run here.
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._lock, 32).decode(errors="replace").strip() or "unknown"
            raise DirectoryInUseError(
                f"a node is running on {self.path} (pid {holder}): stop it first, or look at a copy of the directory"
            ) from error

    def groups(self) -> list[GroupId]:
        """The groups that have an image, in order."""
        names = [path.name.partition("-")[2] for path in self.path.glob("shard-*")]
        return sorted(GroupId(int(name)) for name in names if name.isdecimal())

    def log(self) -> LogReader:
        """The log store. Raises StorageError, DamagedDataError."""
        return LogReader(self.path / "log")

    def image(self, group: GroupId) -> ImageReader:
        """A shard's image. Raises StorageError, DamagedDataError."""
        return ImageReader(self.path / f"shard-{group}" / "image")

    def installs_snapshot(self, group: GroupId) -> bool:
        """Whether the node was stopped while it put a snapshot into the image's place, which its next start goes on
        with."""
        return (self.path / f"shard-{group}" / "INSTALL").exists()
