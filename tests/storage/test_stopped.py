"""Looking into a stopped node's directory: nothing in it changes, and as much is read as can be."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redraft.errors import DamagedDataError, DirectoryInUseError, UserError
from redraft.ids import GroupId, Index, NodeId, Term
from redraft.raft.messages import ConfState, Entry, EntryKind, HardState
from redraft.storage import log_records, log_store, synced
from redraft.storage.directory import DataDirectory
from redraft.storage.image import Image, ImageMeta
from redraft.storage.log_reader import LAST_NUMBER, Hole, LogReader
from redraft.storage.log_store import GroupUpdate, LogStore
from redraft.storage.stopped import StoppedDirectory

ONE, TWO = GroupId(1), GroupId(2)
STATE = HardState(Term(3), NodeId(2), Index(290))


def entry(index: int) -> Entry:
    return Entry(Index(index), Term(1), EntryKind.NORMAL, random.Random(index).randbytes(700))


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A node's directory: a log of two groups, partly in sorted files, and an image."""
    path = tmp_path / "node"
    with DataDirectory(path) as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_store, "WRITE_BUFFER_BYTES", 64 << 10)
        store = LogStore(directory.log_path)
        for index in range(1, 301):
            store.write([GroupUpdate(ONE, STATE if index == 300 else None, [entry(index)])])
        store.write([GroupUpdate(TWO, None, [entry(1), entry(2)])])
        store.compact(ONE, Index(20), ConfState())
        store.close()
        image = Image(directory.image_path(ONE))
        writer = image.writer()
        writer.put(b"\0\0\0\0a", b"\0v")
        writer.put(b"\0\0\0\0b", b"\0w")
        writer.finish(ImageMeta(1, 300, b"state"))
        image.close()
    return path


def everything(path: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a directory: when it was changed, and its bytes; and when the directories were."""
    return {
        str(each): (each.stat().st_mtime_ns, each.read_bytes() if each.is_file() else b"")
        for each in sorted([path, *path.rglob("*")])
    }


def read(path: Path) -> list[Entry | Hole]:
    with LogReader(path) as log:
        return [each for state in log.groups() for each in log.entries(state, Index(0), Index(LAST_NUMBER))]


def test_everything_is_read_and_nothing_changes(node: Path) -> None:
    before = everything(node)
    with StoppedDirectory(node) as directory:
        assert directory.groups() == [ONE]
        with directory.log() as log, directory.image(ONE) as image:
            first, second = log.groups()
            assert log.damage == []
            assert (first.hard_state, first.start.index, first.last) == (STATE, 20, 300)
            assert (second.hard_state, second.start.index, second.last) == (None, 0, 2)
            assert list(log.entries(first, Index(1), Index(LAST_NUMBER))) == [entry(i) for i in range(21, 301)]
            assert list(log.entries(first, Index(30), Index(31))) == [entry(30), entry(31)]
            assert list(log.entries(second, Index(2), Index(9))) == [entry(2)]
            assert image.meta() == ImageMeta(1, 300, b"state")
            assert list(image.items()) == [(b"\0\0\0\0a", b"\0v"), (b"\0\0\0\0b", b"\0w")]
    assert everything(node) == before


def test_the_log_of_a_node_that_was_killed_is_read_whole(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "running")
    store.write([GroupUpdate(ONE, None, [entry(1), entry(2)])])
    store.sync()
    shutil.copytree(tmp_path / "running", tmp_path / "log")
    store.close()
    assert read(tmp_path / "log") == [entry(1), entry(2)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_may_not_be_written_is_read(node: Path) -> None:
    places = [node, *node.rglob("*")]
    for place in places:
        place.chmod(0o500 if place.is_dir() else 0o400)
    try:
        with StoppedDirectory(node) as directory, directory.log() as log:
            assert len(log.groups()) == 2
    finally:
        for place in places:
            place.chmod(0o700)


def test_several_may_look_and_no_node_starts_meanwhile(node: Path) -> None:
    refused = pytest.raises(DirectoryInUseError, match="being looked at by another process")
    with StoppedDirectory(node), StoppedDirectory(node), refused:
        DataDirectory(node)
    with DataDirectory(node):
        pass


def test_a_running_nodes_directory_is_refused_and_the_node_named(node: Path) -> None:
    with DataDirectory(node), pytest.raises(DirectoryInUseError) as refused:
        StoppedDirectory(node)
    assert str(refused.value) == (
        f"a node is running on {node} (pid {os.getpid()}): stop it first, or look at a copy of the directory"
    )


def test_what_is_no_nodes_directory_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match="is not a node's directory"):
        StoppedDirectory(tmp_path / "other")
    with pytest.raises(UserError, match="is not a directory"):
        StoppedDirectory(tmp_path / "nowhere")
    assert [*tmp_path.rglob("*")] == [tmp_path / "other"]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def test_entries_around_a_damaged_block_are_read(node: Path) -> None:
    for path in sorted((node / "log").glob("*.sst")):
        whole = path.read_bytes()
        flip(path, len(whole) // 2)
        found = read(node / "log")
        path.write_bytes(whole)
        [hole] = [each for each in found if isinstance(each, Hole)]
        assert "the data is damaged" in hole.reason
        assert str(node / "log") in hole.reason, "it names the real file"
        there = [*range(21, hole.first), *range(hole.last + 1, 301)]
        assert [each for each in found if isinstance(each, Entry)][:-2] == [entry(index) for index in there]


def test_damage_of_one_file_does_not_hide_what_others_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_store, "WRITE_BUFFER_BYTES", 64 << 10)
    last = 70  # fewer files than are merged into one behind the test's back
    store = LogStore(tmp_path / "log")
    for index in range(1, last + 1):
        store.write([GroupUpdate(ONE, STATE, [entry(index)])])
    store.close()
    flip(max((tmp_path / "log").glob("*.sst")), 0)
    found = read(tmp_path / "log")
    [hole] = [each for each in found if isinstance(each, Hole)]
    assert 1 <= hole.first <= hole.last < hole.first + 12
    there = [*range(1, hole.first), *range(hole.last + 1, last + 1)]
    assert [each for each in found if isinstance(each, Entry)] == [entry(index) for index in there]


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST-*", "*.sst"])
def test_a_log_that_cannot_be_opened_is_damaged(node: Path, name: str) -> None:
    next((node / "log").glob(name)).unlink()
    with StoppedDirectory(node) as directory, pytest.raises(DamagedDataError, match="reading the log"):
        directory.log()


def test_entries_that_are_missing_or_no_entries_are_told(node: Path) -> None:
    def spoil(store: Any) -> None:
        store._db.delete(log_records.entry_key(ONE, 40))
        store._db.delete(log_records.entry_key(ONE, 41))
        store._db.put(log_records.entry_key(ONE, 50), b"short")
        store._db.put(b"H" + TWO.to_bytes(8, "big"), b"\xc1")

    spoiled(node, spoil)
    with LogReader(node / "log") as log:
        first, second = log.groups()
        assert second.hard_state is None
        assert ["group 2's record H is damaged" in each for each in log.damage] == [True]
        found = list(log.entries(first, Index(39), Index(51)))
    holes = [each for each in found if isinstance(each, Hole)]
    assert [(hole.first, hole.last) for hole in holes] == [(40, 41), (50, 50)]
    assert len(found) == 12


def spoiled(node: Path, spoil: Callable[[Any], None]) -> None:
    store = LogStore(node / "log")
    store.open_for_writing()
    spoil(store)
    store.close()


def test_a_log_that_lacks_what_was_synced_says_so(node: Path) -> None:
    files = [node / "log" / name for name in synced.FILES]
    for file in files:
        file.write_bytes(synced.record(100_000))
    with LogReader(node / "log") as log:
        assert ["writes up to 100000 were synced, only those up to" in each for each in log.damage] == [True]
        assert len(log.groups()) == 2
    for file in files:
        file.unlink()
    with LogReader(node / "log") as log:
        assert ["its file SYNCED" in each for each in log.damage] == [True]


def test_a_damaged_image_is_read_up_to_the_damage(node: Path) -> None:
    flip(next((node / "shard-1" / "image").glob("*.sst")), 0)
    refused = pytest.raises(DamagedDataError, match="reading the image")
    with StoppedDirectory(node) as directory, directory.image(ONE) as image, refused:
        list(image.items())
