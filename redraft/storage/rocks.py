"""RocksDB as redraft uses it: options, and its errors in redraft's words.

rocksdict raises plain `Exception` with RocksDB's status text; `translated` is the one place where they are told apart.
"""

from __future__ import annotations

import errno
import logging
import resource

import msgspec
from rocksdict import Options, Rdict

from redraft.errors import DamagedDataError, DirectoryInUseError, DiskFullError, RedraftError, StorageError

log = logging.getLogger("redraft.storage")

MOST_OPEN_FILES = 256
LEAST_OPEN_FILES = 20
_LOCKED = ("while lock file", "lock is already held", "lock hold by")
"""What RocksDB says when another process, or this one, has a database open."""


class _Translation:
    """What `translated` returns. It is no generator: with one, from Python 3.12 on, what was raised would be part of a
    cycle, and the iterators in its traceback would keep the database open until the garbage is collected."""

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, RedraftError):
            raise _translate(self._doing, error) from error


def translated(doing: str) -> _Translation:
    """Raise what RocksDB raises in the block as a StorageError that says what was being done."""
    return _Translation(doing)


def _translate(doing: str, error: Exception) -> StorageError:
    if isinstance(error, msgspec.MsgspecError):
        return DamagedDataError(f"{doing}: a record is damaged ({error})")
    if isinstance(error, OSError):
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
        return kind(f"{doing}: {error.strerror or error}")
    text = " ".join(str(error).split())
    low = text.lower()
    if "no space left" in low or "file too large" in low:
        return DiskFullError(f"{doing}: the disk is full ({text})")
    if "corruption" in low or "checksum" in low or "bad table magic" in low or "no such file" in low:
        return DamagedDataError(f"{doing}: the data is damaged ({text})")
    if any(words in low for words in _LOCKED):
        return DirectoryInUseError(f"{doing}: another process has it open ({text})")
    if "permission denied" in low:
        return StorageError(f"{doing}: permission denied ({text})")
    if "read-only file system" in low:
        return StorageError(f"{doing}: the file system is read-only ({text})")
    return StorageError(f"{doing}: {text}")


def close_database(database: Rdict, doing: str) -> None:
    """Close a database. It may fail to write its memory to a sorted file (a full disk); nothing is lost by that, since
    what counts is durable already, so it is only logged."""
    try:
        with translated(doing):
            database.close()
    except StorageError as error:
        log.warning("%s; what was durable still is", error)


def most_open_files(limit: int) -> int:
    """How many files a database keeps open in a process that may have so many descriptors."""
    return (
        MOST_OPEN_FILES if limit == resource.RLIM_INFINITY else max(LEAST_OPEN_FILES, min(MOST_OPEN_FILES, limit // 8))
    )


def base_options() -> Options:
    """What every database here has: small memory, checked data, few and small info logs."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_paranoid_checks(True)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1 << 20)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    options.set_max_background_jobs(2)
    options.set_max_open_files(most_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
    return options
