"""The whole start of a process that refuses what it finds: not a byte of the directory changes but the lock's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from redraft.errors import DAMAGE_ADVICE, RedraftError
from redraft.ids import FIRST_SHARD_GROUP, Index
from redraft.raft.messages import Entry, EntryKind, HardState, SnapshotMeta
from redraft.server.app import App
from redraft.settings import Settings
from redraft.shard import entry as entries
from redraft.storage.log_store import GroupUpdate, LogStore

SHARD = Path(f"shard-{FIRST_SHARD_GROUP}")


@pytest.fixture
def directory(open_node: Callable[..., Any], tmp_path: Path) -> Path:
    """A stopped node's: keys in the image and behind it, and garbage of an emptied database."""
    node = open_node(tmp_path / "data")
    for number in range(20):
        node.call(b"SET", b"key%d" % number, b"%d" % number)
        if number == 10:
            node.flush()
    node.close()
    return tmp_path / "data"


def everything(path: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(each): (each.stat().st_mtime_ns, each.read_bytes() if each.is_file() else b"")
        for each in sorted(path.rglob("*"))
        if each.name != "LOCK"
    }


def refusal(path: Path) -> str:
    before = everything(path)
    with pytest.raises(RedraftError) as refused:
        App(Settings(dir=str(path), port=0)).run()
    assert everything(path) == before
    return str(refused.value)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 16
    path.write_bytes(data)


def test_of_a_damaged_image(directory: Path) -> None:
    flip(next((directory / SHARD / "image").glob("*.sst")))
    said = refusal(directory)
    assert "the data is damaged" in said
    assert said.endswith(DAMAGE_ADVICE)


def test_of_a_damaged_log(directory: Path) -> None:
    for path in (directory / "log").glob("*.sst"):
        flip(path)
    assert "the data is damaged" in refusal(directory)


def test_of_an_image_that_the_log_does_not_reach(directory: Path) -> None:
    shutil.rmtree(directory / SHARD / "image")
    store = LogStore(directory / "log")
    store.compact(FIRST_SHARD_GROUP, Index(5), store.group(FIRST_SHARD_GROUP).start.conf)
    store.close()
    assert "but its image is empty" in refusal(directory)


def test_of_an_entry_that_this_version_does_not_understand(directory: Path) -> None:
    store = LogStore(directory / "log")
    log = store.group(FIRST_SHARD_GROUP)
    last, term = log.last_index(), log.term(log.last_index())
    data = entries.encode(0, 0, [entries.pack((b"FROM-FUTURE",))])
    entry = Entry(Index(last + 1), term, EntryKind.NORMAL, data)
    store.write([GroupUpdate(FIRST_SHARD_GROUP, HardState(term, log.hard_state.vote, entry.index), [entry])])
    store.close()
    assert "FROM-FUTURE" in refusal(directory)


def test_of_a_damaged_snapshot_that_was_to_become_the_image(directory: Path) -> None:
    """The image and the log go only once what takes their place was read."""
    shutil.copytree(directory / SHARD / "image", directory / SHARD / "incoming")
    meta = SnapshotMeta(Index(1000), store_term(directory))
    (directory / SHARD / "INSTALL").write_bytes(msgspec.msgpack.encode(meta))
    assert "instead of 1000" in refusal(directory)
    for path in (directory / SHARD / "incoming").glob("*.sst"):
        flip(path)
    assert "the data is damaged" in refusal(directory)


def store_term(directory: Path) -> Any:
    store = LogStore(directory / "log")
    log = store.group(FIRST_SHARD_GROUP)
    store.close()
    return log.hard_state.term


def test_of_a_damaged_list_of_met_nodes(directory: Path) -> None:
    (directory / "peers.json").write_bytes(b"{")
    assert "peers.json is damaged" in refusal(directory)
