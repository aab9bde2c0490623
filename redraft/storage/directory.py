"""The data directory: its layout, its lock, its format.

```
LOCK              held by the process that uses the directory; holds its process id
node.json         format version, node id, cluster id, incarnation
peers.json        the incarnations of the nodes that this one has met
lives.json        what the logs had at the last starts, and what the node has forgotten (see `node.memory`)
promises.json     what the other nodes are known to have promised; it may be behind
log/              the Raft logs of all groups
shard-1/image/    the image of the shard whose group is 1
```
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from pathlib import Path
from typing import TypeVar

import msgspec

from redraft.errors import DamagedDataError, DirectoryInUseError, StorageError
from redraft.ids import GroupId, NodeId
from redraft.storage.locked import LockedDirectory

FORMAT = 1
T = TypeVar("T")


class NodeIdentity(msgspec.Struct, frozen=True):
    """Who wrote the directory."""

    format: int
    node_id: int
    cluster_id: str
    first_voters: list[int] = []
    """The voters that the logs of the config group and of the first shard begin with: who founded the cluster. None for
    a node that founded it alone."""
    addresses: dict[int, str] = {}
    """Where nodes were when this one was made; until the config table tells."""
    incarnation: str = ""
    """Drawn when the directory is made: who comes back without it has lost its data."""
    recovering: bool = False
    """The node is being made a cluster of its own; a start that finds this completes it (see `server.recovery`)."""
    founding: bool = False
    """It founds a cluster with others, and not all of them have let it in yet: it has no vote so far, and no data."""


class DataDirectory(LockedDirectory):
    """A running node's directory."""

    def __init__(self, path: Path, first: NodeIdentity | None = None) -> None:
        """Lock the directory, making it when it is not there, for the node `first` then. Raises StorageError in a
        sentence for people."""
        super().__init__(path)
        self._first = first or NodeIdentity(FORMAT, 1, secrets.token_hex(20), incarnation=new_incarnation())
        try:
            make_directory(path)
            self._lock = self._acquire()
            self.identity = self._identify()
        except OSError as error:
            self.close()
            raise _explained(path, error) from error
        except StorageError:
            self.close()
            raise

    def met(self) -> dict[NodeId, str]:
        """The incarnations of the nodes that this one has met. Raises DamagedDataError."""
        return _read_json(self.path / "peers.json", dict[NodeId, str]) or {}

    def remember(self, node: NodeId, incarnation: str) -> None:
        """Keep the incarnation of a node that was met. Raises StorageError."""
        try:
            _write_json(self.path / "peers.json", {**self.met(), node: incarnation})
        except OSError as error:
            raise _explained(self.path, error) from error

    def lives(self) -> bytes | None:
        """What was kept of the node's starts. Raises StorageError."""
        return self._read_or_none("lives.json")

    def keep_lives(self, data: bytes) -> None:
        """Keep what there is to know of the node's starts; durable. Raises StorageError."""
        try:
            _write_file(self.path / "lives.json", data)
        except OSError as error:
            raise _explained(self.path, error) from error

    def promises(self) -> bytes | None:
        """What was kept of other nodes' promises. Raises StorageError."""
        return self._read_or_none("promises.json")

    def keep_promises(self, data: bytes) -> None:
        """Keep what others have promised; a power cut may lose it. Raises StorageError."""
        path = self.path / "promises.json"
        temporary = path.with_suffix(".new")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError as error:
            raise _explained(self.path, error) from error

    def _read_or_none(self, name: str) -> bytes | None:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _explained(self.path, error) from error

    @property
    def log_path(self) -> Path:
        """Where the logs are."""
        return self.path / "log"

    def image_path(self, group: GroupId) -> Path:
        """Where a shard's image is."""
        return self.path / f"shard-{group}" / "image"

    def _acquire(self) -> int:
        lock = os.open(self.path / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            reason = _holder(lock)
            os.close(lock)
            raise DirectoryInUseError(f"the data directory {self.path} is {reason}") from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    def _identify(self) -> NodeIdentity:
        identity = read_identity(self.path)
        if identity is not None:
            # The log is made before any image: an image without one is what is left of a node.
            if not self.log_path.exists() and any(self.path.glob("shard-*")):
                raise DamagedDataError(f"the data directory {self.path} has data but no log: {self.log_path} is gone")
            return identity
        if self.log_path.exists():
            raise DamagedDataError(f"the data directory {self.path} has a log but no node.json")
        self._write(self._first)
        return self._first

    def begin_anew(self, first: NodeIdentity) -> None:
        """Make the directory another node's: its own has founded nothing yet, and promised nothing. A power cut leaves
        the one or the other, or a node that has founded nothing. Raises StorageError."""
        assert self.identity.founding
        try:
            for name in ("peers.json", "lives.json", "promises.json"):
                (self.path / name).unlink(missing_ok=True)
            for path in (*self.path.glob("shard-*"), self.log_path):
                if path.exists():
                    shutil.rmtree(path)
            sync_directory(self.path)
        except OSError as error:
            raise _explained(self.path, error) from error
        self.become(first)

    def become(self, identity: NodeIdentity) -> None:
        """Change who writes the directory; durable, and whole or not at all. Raises StorageError."""
        try:
            self._write(identity)
        except OSError as error:
            raise _explained(self.path, error) from error
        self.identity = identity

    def _write(self, identity: NodeIdentity) -> None:
        _write_json(self.path / "node.json", identity)


def new_incarnation() -> str:
    """A name for a directory that is being made."""
    return secrets.token_hex(10)


def _read_json(path: Path, kind: type[T]) -> T | None:
    """What a file holds; None where it is not there. Raises StorageError, DamagedDataError."""
    try:
        if not path.exists():
            return None
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise _explained(path.parent, error) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedDataError(f"{path} is damaged: {error}") from error


def _write_json(path: Path, content: object) -> None:
    """Replace a file, durably. Raises OSError."""
    _write_file(path, msgspec.json.encode(content) + b"\n")


def _write_file(path: Path, data: bytes) -> None:
    """Replace a file, durably. Raises OSError."""
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def read_identity(directory: Path) -> NodeIdentity | None:
    """Who wrote a directory; None for one that no node has written to. Raises StorageError, DamagedDataError."""
    identity = _read_json(directory / "node.json", NodeIdentity)
    if identity is not None and identity.format > FORMAT:
        raise StorageError(
            f"the data directory {directory} was written by a newer version (format {identity.format};"
            f" this one reads up to {FORMAT})"
        )
    return identity


def _holder(lock: int) -> str:
    """Who holds a lock that was refused. Only a process that writes holds it alone, and has put its id into it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        return f"in use by another process (pid {holder})"
    return "being looked at by another process; it is free when that ends"


def make_directory(path: Path) -> None:
    """Make a directory and those above it that are missing; after a power cut they are still there. Raises OSError."""
    missing = [path]
    while not missing[-1].exists():
        missing.append(missing[-1].parent)
    path.mkdir(parents=True, exist_ok=True)
    for existing in missing[1:]:
        sync_directory(existing)


def sync_file(path: Path) -> None:
    """Make a file's bytes durable. Raises OSError."""
    sync_directory(path)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explained(path: Path, error: OSError) -> StorageError:
    reasons = {
        errno.EACCES: "this user may not write to it",
        errno.EPERM: "this user may not write to it",
        errno.EROFS: "its file system is read-only",
        errno.ENOSPC: "its file system is full",
        errno.ENOTDIR: "it, or a part of its path, is not a directory",
        errno.EEXIST: "it is not a directory",
    }
    reason = reasons.get(error.errno or 0, error.strerror or str(error))
    return StorageError(f"the data directory {path} cannot be used: {reason}")
