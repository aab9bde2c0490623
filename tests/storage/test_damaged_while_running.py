"""An image that turns out to be damaged while its node runs: nobody is sent it, and it is made anew from memory."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redraft.errors import DamagedDataError
from redraft.ids import FIRST_SHARD_GROUP
from redraft.node.flusher import Phase
from redraft.server import shard_storage
from redraft.server.shard_storage import complete_install
from redraft.storage.image import Image
from redraft.storage.log_store import LogStore

KEYS = 300
IMAGE = Path(f"shard-{FIRST_SHARD_GROUP}") / "image"


@pytest.fixture
def node(open_node: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> Any:
    """A node whose image, of most of its keys, has just lost a bit on the disk; its log begins behind them."""
    caplog.set_level(logging.WARNING, "redraft")
    node = open_node(log_retain_entries=0, enable_debug_command="yes")
    node.node.reload = lambda: node.storage.load()[0]
    for number in range(KEYS):
        node.call(b"SET", b"key%03d" % number, b"%d " % number * 50)
        if number == KEYS - 20:
            node.call(b"SADD", b"large", *[b"%d" % member for member in range(60_000)])
            node.flush()
    path = max((node.path / IMAGE).glob("*.sst"), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    # RocksDB's cache still has what was there before.
    node.image.close()
    node.image.reopen()
    node.image.open_for_writing()
    return node


def run_until_idle(node: Any) -> list[object]:
    """Ticks until nothing is left to flush; the replies of all of them."""
    replies = []
    for _ in range(10_000):
        replies += node.tick()
        if not node.node.flusher.active() and node.node.flusher.phase is Phase.IDLE:
            return replies
    raise AssertionError("the flush does not end")


def assert_made_anew(node: Any, open_node: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    said = [record for record in caplog.records if "the image of this node" in record.message]
    assert [record.levelname for record in said] == ["ERROR", "WARNING"]
    assert "is damaged: " in said[0].message
    assert "was made anew" in said[1].message
    node.close()
    again = open_node()
    assert again.call(b"DBSIZE") == KEYS + 1
    assert all(again.call(b"GET", b"key%03d" % number) == b"%d " % number * 50 for number in range(KEYS))
    assert again.call(b"SCARD", b"large") == 60_000
    assert again.loaded_index > KEYS
    assert sorted(path.name for path in (again.path / IMAGE).parent.iterdir()) == ["image"]


def test_what_is_sent_to_another_node_is_read_first(
    node: Any, open_node: Callable[..., Any], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with pytest.raises(DamagedDataError, match="the data is damaged"):
        node.storage.checkpoint(tmp_path / "sending")
    try:
        node.storage.checkpoint(tmp_path / "sending")
    except DamagedDataError as error:
        node.node.flusher.image_is_damaged(error)
        node.node.flusher.image_is_damaged(error)
    run_until_idle(node)
    assert node.storage.checkpoint(tmp_path / "sending").index == node.shard.flushed
    assert_made_anew(node, open_node, caplog)


def test_a_reload_that_finds_it_damaged_goes_on_once_it_is_made_anew(
    node: Any, open_node: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    node.execute([b"DEBUG", b"RELOAD"], [b"DBSIZE"])
    assert run_until_idle(node) + node.tick() == [b"OK", KEYS + 1]
    assert_made_anew(node, open_node, caplog)


def test_a_flush_that_meets_damage_is_done_to_a_new_image(
    node: Any, open_node: Callable[..., Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when RocksDB has met a damaged block while it merged files: it takes nothing more from then on."""
    ingest = Image.ingest

    def refuse(image: Image, *arguments: Any) -> None:
        if image is node.image:
            raise DamagedDataError("finishing a flush: the data is damaged (Corruption: block checksum mismatch)")
        ingest(image, *arguments)

    monkeypatch.setattr(Image, "ingest", refuse)
    node.execute([b"BGSAVE"])
    node.tick()
    node.call(b"SET", b"key000", b"0 " * 50)
    run_until_idle(node)
    monkeypatch.undo()
    assert_made_anew(node, open_node, caplog)


def test_the_log_is_kept_until_there_is_a_whole_image(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = node.store.group(FIRST_SHARD_GROUP).first_index()
    flusher = node.node.flusher
    flusher.request()
    flusher.step()
    assert flusher.phase is Phase.WRITING
    while flusher.phase is Phase.WRITING:
        flusher.step()
    flusher.image_is_damaged(DamagedDataError("seen by another thread while the flush is being finished"))
    job = node.node.jobs.take()
    job.run()
    job.done()
    assert flusher.makes_anew
    assert node.store.group(FIRST_SHARD_GROUP).first_index() == first
    run_until_idle(node)
    assert not flusher.makes_anew
    assert node.store.group(FIRST_SHARD_GROUP).first_index() > first


def test_a_disk_that_damages_the_new_image_too_stops_the_node(node: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*arguments: Any, **options: Any) -> None:
        raise DamagedDataError("the data is damaged")

    monkeypatch.setattr(shard_storage, "_check_snapshot", damaged)
    node.node.flusher.image_is_damaged(DamagedDataError("the data is damaged"))
    with pytest.raises(DamagedDataError):
        run_until_idle(node)


class PowerCut(BaseException):
    """Nothing of what runs may go on."""


@pytest.mark.parametrize("steps", range(4))
def test_a_power_cut_while_the_new_image_takes_its_place(
    steps: int, node: Any, open_node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Until the new image is marked the damaged one is refused; from then on a start goes on with the new one."""
    left = steps
    sync = shard_storage.sync_directory

    def cut(path: Path) -> None:
        nonlocal left
        if not left:
            raise PowerCut
        left -= 1
        sync(path)

    monkeypatch.setattr(shard_storage, "sync_directory", cut)
    node.node.flusher.image_is_damaged(DamagedDataError("the data is damaged"))
    if steps < 3:
        with pytest.raises(PowerCut):
            run_until_idle(node)
    else:
        run_until_idle(node)
    monkeypatch.undo()
    node.store.sync()
    left_path = shutil.copytree(node.path, tmp_path / "left")
    store = LogStore(left_path / "log")
    complete_install(left_path / IMAGE, store, FIRST_SHARD_GROUP)
    store.close()
    assert open_node(left_path).call(b"DBSIZE") == KEYS + 1
    assert sorted(path.name for path in (left_path / IMAGE).parent.iterdir()) == ["image"]
