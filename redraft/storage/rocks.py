"""RocksDB as redraft uses it: options, and its errors in redraft's words.

rocksdict raises plain `Exception` with RocksDB's status text; `translated` is the one place where they are told apart.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from rocksdict import Options, Rdict

from redraft.errors import DamagedDataError, DirectoryInUseError, DiskFullError, RedraftError, StorageError

log = logging.getLogger("redraft.storage")

_LOCKED = ("while lock file", "lock is already held", "lock hold by")
"""What RocksDB says when another process, or this one, has a database open."""


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what RocksDB raises in the block as a StorageError that says what was being done."""
    try:
        yield
    except RedraftError:
        raise
    except msgspec.MsgspecError as error:
        raise DamagedDataError(f"{doing}: a record is damaged ({error})") from error
    except OSError as error:
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
        raise kind(f"{doing}: {error.strerror or error}") from error
    except Exception as error:
        raise _translate(doing, " ".join(str(error).split())) from error


def _translate(doing: str, text: str) -> StorageError:
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
    options.set_max_open_files(256)
    return options
