"""`redraft image dump`: the keys of a stopped node's image."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from redraft.commands.dump_contents import content_of
from redraft.ids import FIRST_SHARD_GROUP
from redraft.keyspace.keyspace import FIRST_LIMIT
from redraft.rdb import payload
from redraft.server.shard_storage import DiskShardStorage
from redraft.storage.directory import FORMAT, DataDirectory, NodeIdentity
from redraft.storage.image import Image, ImageMeta
from redraft.storage.log_store import LogStore
from support.member import NOW_MS, Member

LINES: list[tuple[int, Sequence[Any]]] = [
    (0, ("SET", "user:1", "ada")),
    (0, ("SET", "user:2", b"\xff\r\n", "PX", "60000")),
    (0, ("RPUSH", "list", "a", "b")),
    (0, ("SADD", "set", "1", "2")),
    (0, ("HSET", "hash", "field", "value")),
    (0, ("ZADD", "zset", "1.5", "x", "inf", "y")),
    (3, ("SET", b"\xffkey", "in three")),
    (3, ("XADD", "stream", "7-1", "f", "v")),
    (3, ("XGROUP", "CREATE", "stream", "g", "0")),
    (3, ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "stream", ">")),
    (5, ("SET", "gone", "with FLUSHDB")),
]


@pytest.fixture
def node(path: Path) -> Path:
    """A node's directory with a key of every type; and what FLUSHDB has left of a database."""
    member = Member().lead()
    for database, words in LINES:
        member(*words, database=database)
    with DataDirectory(path, NodeIdentity(FORMAT, 1, "c1")) as directory:
        store, image = LogStore(directory.log_path), Image(directory.image_path(FIRST_SHARD_GROUP))
        storage = DiskShardStorage(image, store, FIRST_SHARD_GROUP)
        for line in ("PING", "FLUSHDB"):
            if line == "FLUSHDB":
                member(line, database=5)
            writer = storage.writer()
            point = member.shard.begin_flush(writer)
            assert member.shard.flush is not None
            while not member.shard.flush.step(1000):
                pass
            storage._generations = set()
            writer.finish(point)
            member.shard.end_flush(point)
        image.close()
        store.close()
    return path


def keys(ended: Any) -> list[tuple[int, Any]]:
    return [(each["database"], each["key"]) for each in ended.records if each["record"] == "key"]


def test_keys_are_shown_with_what_they_hold(node: Path, redraft: Callable[..., Any]) -> None:
    ended = redraft("image", "dump", node, "--values")
    assert ended.status == 0
    out = re.sub(r", \d+ bytes", ", N bytes", ended.out)
    assert (
        out
        == f"""\
node 1 of cluster c1, {node}
group 1: as of entry 13 of term 1, 2023-11-14T22:13:20.000Z
  format 1; voters 1; {FIRST_LIMIT} databases
[0] "hash"  hash, N bytes
    "field" "value"
[0] "list"  list, N bytes
    1) "a"
    2) "b"
[0] "set"  set, N bytes
    "1"
    "2"
[0] "user:1"  string, N bytes
    "ada"
[0] "user:2"  string, N bytes, until 2023-11-14T22:14:20.000Z (its time is over)
    "\\xff\\r\\n"
[0] "zset"  zset, N bytes
    1.5 "x"
    inf "y"
[3] "stream"  stream, N bytes
    7-1 "f" "v"
    last id 7-1, entries ever added: 1
    group "g": delivered up to 7-1
      consumer "c", heard of last at 2023-11-14T22:13:20.000Z
      pending 7-1 of "c", delivered once
[3] "\\xffkey"  string, N bytes
    "in three"
  8 keys
"""
    )


def test_one_object_a_line(node: Path, redraft: Callable[..., Any]) -> None:
    ended = redraft("image", "dump", node, "--json", "--values")
    head, image, *found = ended.records
    assert head["node_id"] == 1
    assert image["applied"] == {"index": 13, "term": 1, "time_ms": NOW_MS}
    assert image["members"]["voters"] == [1]
    by_key = {each["key"] if isinstance(each["key"], str) else "binary": each for each in found}
    assert by_key["user:2"]["deadline_ms"] == NOW_MS + 60_000
    assert by_key["user:2"]["value"] == {"base64": "/w0K"}
    assert (by_key["user:1"]["bytes"], by_key["user:2"]["bytes"]) == (1 + 3, 1 + 8 + 3)
    assert by_key["hash"]["value"] == [["field", "value"]]
    assert by_key["zset"]["value"] == [[1.5, "x"], ["inf", "y"]]
    assert by_key["stream"]["value"]["entries"] == [["7-1", ["f", "v"]]]
    assert by_key["stream"]["value"]["groups"][0]["pending"] == [["7-1", "c", NOW_MS, 1]]
    assert by_key["binary"]["key"] == {"base64": "/2tleQ=="}


def test_what_is_shown_can_be_chosen(node: Path, redraft: Callable[..., Any]) -> None:
    def dump(*options: object) -> Any:
        return redraft("image", "dump", node, "--json", *options)

    assert keys(dump("--match", "user:*")) == [(0, "user:1"), (0, "user:2")]
    assert keys(dump("--db", 3, "--match", "s*")) == [(3, "stream")]
    assert keys(dump("--db", 5)) == []
    assert keys(dump("--limit", 2)) == [(0, "hash"), (0, "list")]
    assert redraft("image", "dump", node, "--group", 9).err == f"redraft: there is no shard 9 in {node}\n"


def test_payloads_are_what_restore_takes(node: Path, redraft: Callable[..., Any]) -> None:
    for record in redraft("image", "dump", node, "--json", "--payloads").records[2:]:
        assert len(payload.load(bytes.fromhex(record["payload"])).__slots__) > 0
    [record] = redraft("image", "dump", node, "--json", "--payloads", "--match", "user:1").records[2:]
    assert record["payload"] == payload.dump(content_of(b"ada")).hex()
    assert f"    {record['payload']}" in redraft("image", "dump", node, "--payloads").lines


def test_the_directory_is_not_changed(node: Path, redraft: Callable[..., Any]) -> None:
    def everything() -> dict[Path, int]:
        return {each: each.stat().st_mtime_ns for each in [node, *node.rglob("*")]}

    before = everything()
    redraft("image", "dump", node, "--values")
    assert everything() == before


def test_a_running_nodes_directory_is_refused(node: Path, redraft: Callable[..., Any]) -> None:
    with DataDirectory(node):
        ended = redraft("image", "dump", node)
    assert (ended.status, ended.out) == (3, "")
    assert ended.err.startswith(f"redraft: a node is running on {node} (pid ")


def rewritten(node: Path, *records: tuple[bytes, bytes], meta: ImageMeta | None = None) -> None:
    """Put records into the image as they are."""
    image = Image(node / "shard-1" / "image")
    was = image.meta()
    assert was is not None
    writer = image.writer()
    for key, record in records:
        writer.put(key, record)
    writer.finish(meta or was)
    image.close()


def test_a_record_that_cannot_be_read_is_told_and_the_others_are_shown(node: Path, redraft: Callable[..., Any]) -> None:
    prefix = (3).to_bytes(4, "big")
    rewritten(node, (prefix + b"bad", b""), (prefix + b"new", b"\x60what is this"))
    ended = redraft("image", "dump", node, "--db", 3)
    assert ended.status == 1
    assert 'damaged: the key "bad" of database 3: an image record is empty' in ended.lines
    assert 'damaged: the key "new" of database 3: an image record has the unknown type 96' in ended.lines
    assert [line for line in ended.lines if line.startswith('[3] "stream"  stream')]
    told = [each for each in redraft("image", "dump", node, "--json").records if each["record"] == "damage"]
    assert [(each["database"], each["key"]) for each in told] == [(3, "bad"), (3, "new")]


def test_damaged_files_are_told_in_a_sentence(node: Path, redraft: Callable[..., Any]) -> None:
    for path in (node / "shard-1" / "image").glob("*.sst"):
        data = bytearray(path.read_bytes())
        data[0] ^= 0xFF
        path.write_bytes(data)
    ended = redraft("image", "dump", node)
    assert ended.status == 1
    assert f"damaged: reading the image {node / 'shard-1' / 'image'}: the data is damaged" in ended.out
    assert ended.err == ""


@pytest.mark.parametrize("state", [b"", b"\xc1", b"\x91\x01"])
def test_a_state_that_cannot_be_read_is_told(node: Path, redraft: Callable[..., Any], state: bytes) -> None:
    rewritten(node, meta=ImageMeta(1, 13, state))
    ended = redraft("image", "dump", node)
    assert ended.status == 1
    assert "has no readable state" in ended.out


def test_an_image_of_another_format_is_told(node: Path, redraft: Callable[..., Any]) -> None:
    rewritten(node, meta=ImageMeta(9, 13, b""))
    assert "has the format 9; this version reads 1" in redraft("image", "dump", node).out


def test_an_empty_image_and_an_installation_under_way_are_told(path: Path, redraft: Callable[..., Any]) -> None:
    with DataDirectory(path) as directory:
        store, image = LogStore(directory.log_path), Image(directory.image_path(FIRST_SHARD_GROUP))
        for each in (store, image):
            each.open_for_writing()
            each.close()
    assert "nothing was flushed yet, everything is in the log" in redraft("image", "dump", path).out
    (path / "shard-1" / "INSTALL").write_bytes(b"")
    shutil.rmtree(path / "shard-1" / "image")
    ended = redraft("image", "dump", path)
    assert ended.status == 1
    assert "its next start goes on with it" in ended.lines[1]
    assert ended.lines[2].endswith("image: it is not there")
