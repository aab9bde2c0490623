"""`redraft repair`: what can be read is kept, what is lost is named, and the old directory stays as it was."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redraft.cli.main import main
from redraft.errors import RedraftError
from redraft.ids import FIRST_SHARD_GROUP, Index, NodeId
from redraft.raft.messages import ConfState
from redraft.storage import log_store, synced
from redraft.storage.log_store import LogStore

IMAGE = Path(f"shard-{FIRST_SHARD_GROUP}") / "image"
FLUSHED = 400
KEYS = 440


def value(number: int) -> bytes:
    return b"%d " % number + random.Random(number).randbytes(150 if number < FLUSHED else 3000)


@pytest.fixture
def directory(open_node: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A killed node's: 400 keys in the image, 40 later ones in the log, which begins behind the image."""
    monkeypatch.setattr(log_store, "RECYCLED_LOG_FILES", 0)
    node = open_node(tmp_path / "running", log_retain_entries=0)
    for number in range(KEYS):
        node.call(b"SET", b"key%03d" % number, value(number))
        if number == FLUSHED - 1:
            node.call(b"SADD", b"set", *[b"%d" % member for member in range(60_000)])
            node.flush()
    shutil.copytree(tmp_path / "running", tmp_path / "data")
    node.close()
    return tmp_path / "data"


@pytest.fixture
def repair(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command: its status and what it has said."""

    def run(*words: object) -> tuple[int, str]:
        capsys.readouterr()
        status = main(["repair", *map(str, words)])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def everything(path: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(path)): each.read_bytes() for each in sorted(path.rglob("*")) if each.is_file()
    }  # the lock is only looked at


def flip(path: Path, at: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x10
    path.write_bytes(data)


def keys_of(node: Any) -> set[int]:
    """The numbers of the keys that a node has; what they hold must be what was written."""
    there = set()
    for number in range(KEYS):
        found = node.call(b"GET", b"key%03d" % number)
        if found is not None:
            assert found == value(number)
            there.add(number)
    return there


def kept_of(directory: Path) -> Path:
    (kept,) = directory.parent.glob("data.damaged-*")
    return kept


def test_a_directory_without_damage_is_left_alone(directory: Path, repair: Callable[..., Any]) -> None:
    before = everything(directory)
    status, said = repair(directory)
    assert (status, "nothing in" in said) == (0, True)
    assert everything(directory) == before
    assert sorted(each.name for each in directory.parent.iterdir()) == ["data", "running"]


def test_nothing_is_changed_until_it_is_confirmed(directory: Path, repair: Callable[..., Any]) -> None:
    flip(next((directory / IMAGE).glob("*.sst")), 0.3)
    before = everything(directory)
    status, said = repair(directory)
    assert status == 2
    assert "lost: " in said
    assert "nothing was changed" in said
    assert everything(directory) == before
    assert sorted(each.name for each in directory.parent.iterdir()) == ["data", "running"]


def test_a_flipped_bit_of_the_log_costs_the_entries_that_it_is_in(
    directory: Path, repair: Callable[..., Any], open_node: Callable[..., Any]
) -> None:
    """Those behind it are kept, also where RocksDB would read no further."""
    (path,) = [path for path in (directory / "log").glob("*.log") if path.stat().st_size]
    data = path.read_bytes()
    damaged = bytearray(data)
    damaged[data.index(b"key410")] ^= 1
    path.write_bytes(damaged)
    before = everything(directory)
    with pytest.raises(RedraftError, match="a log file is damaged or cut short"):
        open_node(directory)
    status, said = repair(directory, "--yes")
    assert status == 0, said
    before["LOCK"] = (kept_of(directory) / "LOCK").read_bytes()
    assert everything(kept_of(directory)) == before
    node = open_node(directory)
    there = keys_of(node)
    lost = set(range(KEYS)) - there
    assert 410 in lost
    assert lost <= set(range(FLUSHED, KEYS))
    assert node.call(b"SCARD", b"set") == 60_000
    node.call(b"SET", b"key410", value(410))
    node.close()
    assert 410 in keys_of(open_node(directory))
    assert "lost: group 1's entries" in said
    assert len(lost) < 25


def test_a_damaged_block_of_the_image_costs_its_keys_and_they_are_told(
    directory: Path, repair: Callable[..., Any], open_node: Callable[..., Any]
) -> None:
    path = max((directory / IMAGE).glob("*.sst"), key=lambda path: (path.read_bytes().count(b"key2"), path))
    data = bytearray(path.read_bytes())
    data[data.index(value(200))] ^= 1
    path.write_bytes(data)
    status, said = repair(directory, "--yes")
    assert status == 0, said
    lost = set(range(KEYS)) - keys_of(open_node(directory))
    assert 200 in lost
    assert len(lost) < 60
    assert f'behind "key{min(lost) - 1:03d}" of database 0 and before "key{max(lost) + 1:03d}" of database 0' in said
    assert path.name in said
    assert set(range(min(lost), max(lost) + 1)) == lost


def test_a_log_without_its_manifest_is_put_in_order(
    directory: Path, repair: Callable[..., Any], open_node: Callable[..., Any]
) -> None:
    next((directory / "log").glob("MANIFEST-*")).unlink()
    status, said = repair(directory, "--yes")
    assert status == 0, said
    assert "damaged: " in said
    assert "behind the last entry that is kept" in said
    assert len(keys_of(open_node(directory))) == KEYS


def test_an_image_that_cannot_be_opened_leaves_what_the_log_has(
    directory: Path, repair: Callable[..., Any], open_node: Callable[..., Any]
) -> None:
    (directory / IMAGE / "CURRENT").unlink()
    status, said = repair(directory, "--yes")
    assert status == 0, said
    assert "nothing of the image is kept" in said
    assert "what the entries up to" in said
    assert keys_of(open_node(directory)) == set(range(FLUSHED, KEYS))


def test_files_that_tell_what_must_be_there_are_made_anew(
    directory: Path, repair: Callable[..., Any], open_node: Callable[..., Any]
) -> None:
    for name in synced.FILES:
        (directory / "log" / name).write_bytes(bytes(4096))
    status, said = repair(directory, "--yes")
    assert (status, "SYNCED, which tells what must be there, is damaged" in said) == (0, True)
    assert len(keys_of(open_node(directory))) == KEYS


def test_a_member_of_a_cluster_is_not_repaired(directory: Path, repair: Callable[..., Any]) -> None:
    store = LogStore(directory / "log")
    conf = ConfState(voters=(NodeId(1), NodeId(2), NodeId(3)))
    store.compact(FIRST_SHARD_GROUP, Index(store.group(FIRST_SHARD_GROUP).last_index()), conf)
    store.close()
    flip(next((directory / IMAGE).glob("*.sst")), 0.3)
    before = everything(directory)
    status, said = repair(directory, "--yes")
    assert status == 1
    assert "node 1 is one of the members 1 2 3" in said
    assert "redraft replace 1 NEW" in said
    assert everything(directory) == before


def test_a_running_nodes_directory_is_refused(open_node: Callable[..., Any], repair: Callable[..., Any]) -> None:
    node = open_node()
    assert repair(node.path, "--yes")[0] == 3
