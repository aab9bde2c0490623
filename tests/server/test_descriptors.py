"""A process with few file descriptors keeps what it needs of them for itself, and goes on where one is missing."""

from __future__ import annotations

import errno
import logging
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from redraft.errors import CommandError
from redraft.server import descriptors
from redraft.server.descriptors import make_room
from redraft.server.logs import start_logging
from redraft.server.process import SystemProcess
from redraft.settings import Settings
from redraft.storage.rocks import most_open_files
from redraft.storage.sizes import bytes_of_files


class Limit:
    """The process's limit of descriptors, which the test makes up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> None:
        self.soft, self.hard = soft, hard
        monkeypatch.setattr(resource, "getrlimit", lambda which: (self.soft, self.hard))
        monkeypatch.setattr(resource, "setrlimit", self._set)

    def _set(self, which: int, limits: tuple[int, int]) -> None:
        assert which == resource.RLIMIT_NOFILE
        if self.hard != resource.RLIM_INFINITY and limits[0] > self.hard:
            raise ValueError("not allowed to raise maximum limit")
        self.soft = limits[0]


def files_of_databases(limit: Limit) -> int:
    return descriptors.DATABASES * most_open_files(limit.soft)


@pytest.mark.parametrize("hard", [resource.RLIM_INFINITY, 1 << 20])
def test_the_soft_limit_is_raised_to_what_the_clients_need(monkeypatch: pytest.MonkeyPatch, hard: int) -> None:
    limit, settings = Limit(monkeypatch, 1024, hard), Settings()
    make_room(settings)
    assert settings.maxclients == 10_000
    assert limit.soft >= 10_000 + descriptors.RESERVED + files_of_databases(limit)


@pytest.mark.parametrize("limit", [64, 256, 1024, 4096])
def test_where_it_cannot_be_raised_maxclients_is_lowered_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, limit: int
) -> None:
    made, settings = Limit(monkeypatch, limit, limit), Settings()
    make_room(settings)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        f"the limit of {limit} file descriptors (ulimit -n) leaves room for {settings.maxclients} clients:"
        " maxclients is lowered from 10000 to that"
    )
    left = limit - settings.maxclients
    assert left >= min(limit * 3 // 4, descriptors.RESERVED + files_of_databases(made))
    assert settings.maxclients >= limit // 4


def test_maxclients_is_not_set_to_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    limit, settings = Limit(monkeypatch, 1024, 4096), Settings(maxclients=100)
    make_room(settings)
    settings.set_many([(b"maxclients", b"1000")])
    assert limit.soft > 1000
    fits = 4096 - descriptors.RESERVED - descriptors.DATABASES * most_open_files(4096)
    with pytest.raises(CommandError) as refused:
        settings.set_many([(b"maxclients", b"10000")])
    assert refused.value.text == (
        "ERR CONFIG SET failed (possibly related to argument 'maxclients') - The operating system is not able to"
        f" handle the specified number of clients, try with {fits}"
    )
    assert settings.maxclients == 1000


def test_memory_is_looked_at_without_a_descriptor_more(monkeypatch: pytest.MonkeyPatch) -> None:
    none: Any = None
    process = SystemProcess(Settings(), none, none, none)

    def fail(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", fail)
    before = process.rss_bytes()
    assert before > 0
    monkeypatch.setattr(os, "pread", fail)
    assert process.rss_bytes() == before


def test_sizes_of_files_that_are_gone_are_nobodys_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"12345")
    assert bytes_of_files(tmp_path) == 10
    assert bytes_of_files(tmp_path / "nothing") == 0
    found = list(tmp_path.iterdir())
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(found))
    found[0].unlink()
    assert bytes_of_files(tmp_path) == 5


def test_a_log_that_cannot_be_rotated_goes_on_in_the_file_that_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    path = tmp_path / "log"
    monkeypatch.setattr(os, "rename", fail)
    log = logging.getLogger("redraft.test")
    with start_logging(Settings(logfile=str(path), log_rotate_size="100")):
        for number in range(10):
            log.warning("line %d, long enough for several files", number)
    lines = path.read_text().splitlines()
    assert [line for line in lines if "long enough" in line] == [
        line for line in lines if "cannot be begun" not in line
    ]
    assert sum("long enough" in line for line in lines) >= 9
    assert sum("a new log file cannot be begun" in line for line in lines) <= 1
