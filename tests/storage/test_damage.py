"""Damaged files: a node refuses to start and says why, or starts with everything; it never starts with less.

Whenever something is refused here, every byte of the directory is as it was (the lock's file tells who had it last)."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from redraft.errors import DamagedDataError, RedraftError, StorageError
from redraft.ids import FIRST_SHARD_GROUP, GroupId, Index, Term
from redraft.raft.messages import ConfState, Entry, EntryKind, HardState
from redraft.storage import image as images
from redraft.storage import log_records, log_store, synced
from redraft.storage.image import Image, ImageMeta
from redraft.storage.log_store import GroupUpdate, LogStore

ONE = GroupId(1)
SHARD_IMAGE = Path(f"shard-{FIRST_SHARD_GROUP}") / "image"


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_store, "WRITE_BUFFER_BYTES", 64 << 10)


def flip(path: Path, at: float, length: int = 1) -> None:
    """Invert bytes of a file, at a fraction of its length."""
    data = bytearray(path.read_bytes())
    first = min(int(len(data) * at), len(data) - length)
    data[first : first + length] = bytes(byte ^ 0xFF for byte in data[first : first + length])
    path.write_bytes(data)


def cut(path: Path, to: float) -> None:
    """Cut a file to a fraction of its length."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * to)])


def everything(path: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and directory below one but the lock: when it was changed, and its bytes."""
    return {
        str(each): (each.stat().st_mtime_ns, each.read_bytes() if each.is_file() else b"")
        for each in sorted(path.rglob("*"))
        if each != path / "LOCK"
    }


@contextmanager
def untouched_if_refused(path: Path) -> Iterator[None]:
    """Nothing below a directory may have changed when the block ends with an error."""
    before = everything(path)
    try:
        yield
    except RedraftError:
        assert everything(path) == before
        raise


@pytest.fixture(name="open_node")
def open_node_fixture(open_node: Callable[..., Any]) -> Callable[..., Any]:
    """Open nodes; a start that is refused must leave all as it was."""

    def opened(path: Path, **settings: object) -> Any:
        with untouched_if_refused(path):
            return open_node(path, **settings)

    return opened


def only(path: Path, pattern: str) -> Path:
    (found,) = path.glob(pattern)
    return found


# The log.


def log_entry(index: int) -> Entry:
    return Entry(Index(index), Term(1), EntryKind.NORMAL, random.Random(index).randbytes(700))


@pytest.fixture(scope="module")
def crashed_log(tmp_path_factory: pytest.TempPathFactory, wait_until_quiet: Callable[[Any], None]) -> Path:
    """The log of a process that was killed: 300 synced entries, the older of them in sorted files, and nothing else."""
    path = tmp_path_factory.mktemp("crashed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_store, "WRITE_BUFFER_BYTES", 64 << 10)
        store = LogStore(path / "running")
    for index in range(1, 301):
        store.write([GroupUpdate(ONE, None, [log_entry(index)])])
        store.sync()
    wait_until_quiet(store._db)
    shutil.copytree(path / "running", path / "log")
    store.close()
    return path / "log"


@pytest.fixture
def log(crashed_log: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(crashed_log, tmp_path / "log")


def refusal(path: Path) -> str:
    """Why a log is not opened, neither at the first attempt nor at the second."""
    texts = [refused_once(path) for _ in range(2)]
    assert not any("another process" in text for text in texts)
    return texts[0]


def refused_once(path: Path) -> str:
    try:
        with untouched_if_refused(path):
            LogStore(path)
    except DamagedDataError as error:
        return str(error)
    raise AssertionError("a damaged log was opened")


def newest_wal(log: Path) -> Path:
    return max(log.glob("*.log"))


def test_an_undamaged_log_is_read_whole(log: Path) -> None:
    store = LogStore(log)
    assert store.read(ONE, Index(1), Index(301), 1 << 30) == [log_entry(index) for index in range(1, 301)]
    store.close()


@pytest.mark.parametrize("to", [0.0, 0.05, 0.3])
def test_a_log_file_cut_short_is_refused(log: Path, to: float) -> None:
    cut(newest_wal(log), to)
    assert "writes up to 300 were synced, only those up to" in refusal(log)


def test_a_missing_log_file_is_refused(log: Path) -> None:
    newest_wal(log).unlink()
    assert "a log file is damaged or cut short" in refusal(log)


@pytest.mark.parametrize("at", [0.0, 0.001, 0.1, 0.2])
def test_a_hole_in_a_log_file_is_refused(log: Path, at: float) -> None:
    flip(newest_wal(log), at)
    assert "a log file is damaged or cut short" in refusal(log)


def test_a_zeroed_stretch_of_a_log_file_is_refused(log: Path) -> None:
    path = newest_wal(log)
    data = bytearray(path.read_bytes())
    data[4096:8192] = bytes(4096)
    path.write_bytes(data)
    assert "a log file is damaged or cut short" in refusal(log)


def test_a_log_that_was_refused_is_whole_once_its_damage_is_put_right(log: Path) -> None:
    path = newest_wal(log)
    whole = path.read_bytes()
    flip(path, 0.1)
    refusal(log)
    path.write_bytes(whole)
    test_an_undamaged_log_is_read_whole(log)


def test_log_files_without_a_current_file_are_not_taken_for_a_new_log(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "running")
    store.write([GroupUpdate(ONE, None, [log_entry(1)])])
    store.sync()
    shutil.copytree(tmp_path / "running", tmp_path / "log")
    store.close()
    (tmp_path / "log" / "CURRENT").unlink()
    assert "no CURRENT file" in refusal(tmp_path / "log")


# What tells how much must be there.


def start_of(log: Path) -> int:
    """Open a log for writing; its last entry."""
    store = LogStore(log)
    store.open_for_writing()
    last = store.group(ONE).last_index()
    store.close()
    return last


@pytest.mark.parametrize("name", synced.FILES)
@pytest.mark.parametrize("bit", [0, 7, 25, 63, 64, 95])
def test_a_flipped_bit_of_what_must_be_there_refuses_nothing_and_hides_nothing(log: Path, name: str, bit: int) -> None:
    flip_bit(log / name, bit)
    copy = shutil.copytree(log, log.parent / "copy")
    assert start_of(log) == 300
    assert [synced.read_promise(log).whole] == [(True, True)], "the first who writes makes both whole again"
    cut(newest_wal(copy), 0.3)
    assert "writes up to 300 were synced, only those up to" in refusal(copy)


def flip_bit(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


@pytest.mark.parametrize("names", [synced.FILES[:1], synced.FILES[1:], synced.FILES])
@pytest.mark.parametrize("data", [None, b"", bytes(4096), bytes(range(256)) * 16])
def test_files_of_what_must_be_there_that_are_spoiled_never_hide_a_cut_tail(
    log: Path, names: tuple[str, ...], data: bytes | None
) -> None:
    for name in names:
        (log / name).unlink() if data is None else (log / name).write_bytes(data)
    cut(newest_wal(log), 0.3)
    said = refusal(log)
    if names == synced.FILES:
        assert "SYNCED, which tells what must be there, is damaged" in said or "SYNCED is missing" in said
    else:
        assert "writes up to 300 were synced, only those up to" in said


def test_what_must_be_there_as_it_was_written_without_a_checksum_is_believed_and_made_anew(log: Path) -> None:
    number = synced.NUMBER.pack(300)
    (log / "SYNCED").write_bytes(number.ljust(4096, b"\0"))
    (log / "SYNCED.2").unlink()
    copy = shutil.copytree(log, log.parent / "copy")
    assert start_of(log) == 300
    assert synced.read_promise(log).whole == (True, True)
    cut(newest_wal(copy), 0.3)
    assert "writes up to 300 were synced, only those up to" in refusal(copy)


def test_an_older_version_that_wrote_its_part_of_it_alone_does_no_harm(log: Path) -> None:
    """It knows neither the checksum nor the copy, which tells of less then."""
    path = log / "SYNCED"
    path.write_bytes(synced.NUMBER.pack(400) + path.read_bytes()[synced.NUMBER.size :])
    assert start_of(log) == 300


def test_a_power_cut_while_the_files_are_made_leaves_a_log_that_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    real = synced._make
    for steps in range(2):
        left = steps

        def make(path: Path, sequence: int) -> None:
            nonlocal left
            if not left:
                raise PowerCut
            left -= 1
            real(path, sequence)

        monkeypatch.setattr(synced, "_make", make)
        log = tmp_path / f"log{steps}"
        with pytest.raises(PowerCut):
            LogStore(log).open_for_writing()
        monkeypatch.undo()
        assert start_of(log) == 0


@pytest.mark.parametrize("at", [0.0, 0.2, 0.5, 0.9, 0.99, 1.0])
def test_a_damaged_sorted_file_of_the_log_is_refused(log: Path, at: float) -> None:
    for path in sorted(log.glob("*.sst")):
        whole = path.read_bytes()
        flip(path, at)
        assert "the data is damaged" in refusal(log), path
        path.write_bytes(whole)


def test_a_missing_sorted_file_of_the_log_is_refused(log: Path) -> None:
    for path in sorted(log.glob("*.sst")):
        hidden = path.rename(log / "hidden")
        assert "the data is damaged" in refusal(log), path
        hidden.rename(path)


def test_a_log_without_its_current_file_is_refused(log: Path) -> None:
    (log / "CURRENT").unlink()
    assert "it has data files but no CURRENT file" in refusal(log)


@pytest.mark.parametrize("text", [b"", b"MANIFEST", b"MANIFEST-999999\n"])
def test_a_damaged_current_file_of_the_log_is_refused(log: Path, text: bytes) -> None:
    (log / "CURRENT").write_bytes(text)
    assert "the data is damaged" in refusal(log)


def test_a_log_without_its_manifest_is_refused(log: Path) -> None:
    only(log, "MANIFEST-*").unlink()
    assert "the data is damaged" in refusal(log)


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6])
def test_a_damaged_manifest_of_the_log_is_refused(log: Path, at: float) -> None:
    flip(only(log, "MANIFEST-*"), at)
    assert "the data is damaged" in refusal(log)


@pytest.mark.parametrize("to", [0.0, 0.1, 0.5])
def test_a_manifest_of_the_log_cut_short_is_refused(log: Path, to: float) -> None:
    cut(only(log, "MANIFEST-*"), to)
    refusal(log)


def test_a_manifest_of_the_log_without_its_newest_lines_is_refused_or_does_no_harm(log: Path) -> None:
    """The log files may still hold what the lost lines tell of."""
    whole = only(log, "MANIFEST-*").read_bytes()
    for to in (0.8, 0.9, 0.95, 0.99):
        copy = shutil.copytree(log, log.parent / f"{to}")
        cut(only(copy, "MANIFEST-*"), to)
        assert only(copy, "MANIFEST-*").read_bytes() != whole
        try:
            store = LogStore(copy)
        except DamagedDataError:
            continue
        assert store.read(ONE, Index(1), Index(301), 1 << 30) == [log_entry(index) for index in range(1, 301)]
        store.close()


def test_a_torn_end_that_was_never_synced_is_dropped(log: Path) -> None:
    store = LogStore(log)
    store.write([GroupUpdate(ONE, None, [log_entry(301)])])
    torn = shutil.copytree(log, log.parent / "torn")
    store.close()
    path = newest_wal(torn)
    data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data[:-100])
    store = LogStore(torn)
    assert store.group(ONE).last_index() == 300
    store.close()


@pytest.mark.parametrize(
    ("key", "record"),
    [
        (b"H" + bytes(7) + b"\x01", b"\xc1"),
        (b"S" + bytes(7) + b"\x01", b"\x90\x01"),
        (b"H" + bytes(7) + b"\x01", msgspec.msgpack.encode(["term", 0, 0])),
    ],
)
def test_a_state_record_that_cannot_be_read_is_refused(log: Path, key: bytes, record: bytes) -> None:
    store = LogStore(log)
    store.open_for_writing()
    store._db.put(key, record)
    store.close()
    with pytest.raises(DamagedDataError, match="opening the log"):
        LogStore(log)


@pytest.mark.parametrize("record", [b"", b"\x00" * 8, b"\x00" * 8 + b"\x63data"])
def test_an_entry_that_cannot_be_read_is_damage(log: Path, record: bytes) -> None:
    store = LogStore(log)
    store.open_for_writing()
    store._db.put(log_records.entry_key(ONE, 150), record)
    with pytest.raises(DamagedDataError, match="reading the log"):
        store.read(ONE, Index(140), Index(160), 1 << 30)
    store.close()


# The image.


@pytest.fixture(scope="module")
def whole_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of three flushes with 600 records."""
    path = tmp_path_factory.mktemp("whole") / "image"
    image = Image(path)
    for flush in range(3):
        writer = image.writer()
        for number in range(flush, 600, 3):
            writer.put(b"\0\0\0\0%06d" % number, b"\0" + random.Random(number).randbytes(300))
        writer.finish(ImageMeta(images.FORMAT, flush, b""))
    image.close()
    return path


@pytest.fixture
def image(whole_image: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(whole_image, tmp_path / "image")


def read_image(path: Path) -> int:
    """How many records an image has."""
    with untouched_if_refused(path):
        image = Image(path)
        try:
            image.meta()
            return sum(1 for _ in image.items())
        finally:
            image.close()


def test_an_undamaged_image_is_read_whole(image: Path) -> None:
    assert read_image(image) == 600


@pytest.mark.parametrize("at", [0.0, 0.2, 0.5, 0.9, 0.99, 1.0])
def test_a_damaged_sorted_file_of_the_image_is_refused(image: Path, at: float) -> None:
    for path in sorted(image.glob("*.sst")):
        whole = path.read_bytes()
        flip(path, at)
        with pytest.raises(DamagedDataError, match="the data is damaged"):
            read_image(image)
        path.write_bytes(whole)


@pytest.mark.parametrize("to", [0.0, 0.5, 0.999])
def test_a_sorted_file_of_the_image_cut_short_is_refused(image: Path, to: float) -> None:
    cut(min(image.glob("*.sst")), to)
    with pytest.raises(DamagedDataError, match="the data is damaged"):
        read_image(image)


def test_a_missing_sorted_file_of_the_image_is_refused(image: Path) -> None:
    for path in sorted(image.glob("*.sst")):
        hidden = path.rename(image / "hidden")
        with pytest.raises(DamagedDataError, match="the data is damaged"):
            read_image(image)
        hidden.rename(path)


def test_an_image_without_its_current_file_is_refused(image: Path) -> None:
    (image / "CURRENT").unlink()
    with pytest.raises(DamagedDataError, match="it has data files but no CURRENT file"):
        read_image(image)


def test_an_image_without_its_manifest_is_refused(image: Path) -> None:
    only(image, "MANIFEST-*").unlink()
    with pytest.raises(DamagedDataError, match="the data is damaged"):
        read_image(image)


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6])
def test_a_damaged_manifest_of_the_image_is_refused(image: Path, at: float) -> None:
    flip(only(image, "MANIFEST-*"), at)
    with pytest.raises(DamagedDataError, match="the data is damaged"):
        read_image(image)


# A whole node.


@pytest.fixture
def stopped_node(open_node: Callable[..., Any], tmp_path: Path) -> Path:
    """The directory of a node with 40 flushed keys and ten later ones, its log compacted behind the image."""
    node = open_node(tmp_path / "data", log_retain_entries=0)
    for number in range(50):
        node.call(b"SET", b"key%d" % number, b"%d" % number)
        if number in (20, 39):
            node.flush()
    node.close()
    return tmp_path / "data"


def keys_of(node: Any) -> int:
    return int(node.call(b"DBSIZE"))


def test_a_node_starts_with_all_its_keys(stopped_node: Path, open_node: Callable[..., Any]) -> None:
    assert keys_of(open_node(stopped_node)) == 50


def test_a_node_whose_image_is_gone_is_refused(stopped_node: Path, open_node: Callable[..., Any]) -> None:
    shutil.rmtree(stopped_node / SHARD_IMAGE)
    with pytest.raises(DamagedDataError, match=r"the log of shard 1 begins after entry \d+, but its image is empty"):
        open_node(stopped_node)


def test_a_node_whose_log_is_gone_is_refused(stopped_node: Path, open_node: Callable[..., Any]) -> None:
    shutil.rmtree(stopped_node / "log")
    with pytest.raises(DamagedDataError, match="has data but no log"):
        open_node(stopped_node)


def test_a_node_whose_image_went_back_in_time_is_refused(open_node: Callable[..., Any], tmp_path: Path) -> None:
    node = open_node(tmp_path / "data", log_retain_entries=0)
    node.call(b"SET", b"a", b"1")
    node.flush()
    shutil.copytree(tmp_path / "data" / SHARD_IMAGE, tmp_path / "old")
    for number in range(10):
        node.call(b"SET", b"a", b"%d" % number)
    node.flush()
    node.close()
    shutil.rmtree(tmp_path / "data" / SHARD_IMAGE)
    shutil.copytree(tmp_path / "old", tmp_path / "data" / SHARD_IMAGE)
    with pytest.raises(DamagedDataError, match=r"ends at entry \d+, but its log begins after entry \d+"):
        open_node(tmp_path / "data")


def test_a_node_whose_log_reaches_back_replays_what_an_older_image_lacks(
    open_node: Callable[..., Any], tmp_path: Path
) -> None:
    node = open_node(tmp_path / "data", log_retain_entries=1000)
    for number in range(10):
        node.call(b"INCR", b"counter")
        if number == 4:
            node.flush()
            shutil.copytree(tmp_path / "data" / SHARD_IMAGE, tmp_path / "old")
    node.flush()
    node.close()
    shutil.rmtree(tmp_path / "data" / SHARD_IMAGE)
    shutil.copytree(tmp_path / "old", tmp_path / "data" / SHARD_IMAGE)
    assert open_node(tmp_path / "data").call(b"GET", b"counter") == b"10"


def rewrite_meta(path: Path, change: Callable[[ImageMeta], ImageMeta]) -> None:
    image = Image(path)
    meta = image.meta()
    assert meta is not None
    writer = image.writer()
    writer.finish(change(meta))
    image.close()


def test_an_image_of_a_newer_format_is_refused(stopped_node: Path, open_node: Callable[..., Any]) -> None:
    newer = images.FORMAT + 1
    rewrite_meta(stopped_node / SHARD_IMAGE, lambda meta: ImageMeta(newer, meta.applied_index, meta.state))
    with pytest.raises(StorageError, match=f"has the format {newer}; this version reads {images.FORMAT}"):
        open_node(stopped_node)


@pytest.mark.parametrize("state", [b"", b"\xc1", b"\x90"])
def test_an_image_whose_state_cannot_be_read_is_refused(
    stopped_node: Path, open_node: Callable[..., Any], state: bytes
) -> None:
    rewrite_meta(stopped_node / SHARD_IMAGE, lambda meta: ImageMeta(meta.format, meta.applied_index, state))
    with pytest.raises(DamagedDataError, match="has no readable state"):
        open_node(stopped_node)


@pytest.mark.parametrize(
    "data",
    [
        b"\x01short",
        b"\x02" + bytes(16) + b"*1\r\n$7\r\nFLUSHDB\r\n",
        b"\x01" + bytes(16) + b"*2\r\n$3\r\nGET\r\n$1\r",
        b"\x01" + bytes(16) + b"nonsense\r\n",
        b"\x01" + bytes(16) + b"*1\r\n$11\r\nFROM-FUTURE\r\n",
    ],
)
def test_an_entry_that_is_not_commands_is_refused(
    stopped_node: Path, open_node: Callable[..., Any], data: bytes
) -> None:
    append(stopped_node, data)
    with pytest.raises(StorageError):
        open_node(stopped_node)


@pytest.mark.parametrize(
    "commands",
    [
        b"+OK\r\n",
        b"*0\r\n",
        b"*2\r\n$6\r\nSELECT\r\n$3\r\n999\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n",
        b"*2\r\n$6\r\nSELECT\r\n$2\r\n-1\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n",
    ],
)
def test_an_entry_whose_commands_make_no_sense_is_refused(
    stopped_node: Path, open_node: Callable[..., Any], commands: bytes
) -> None:
    append(stopped_node, b"\x01" + bytes(16) + commands)
    with pytest.raises(StorageError):
        open_node(stopped_node)


def test_a_log_that_lost_its_mark_of_what_was_synced_is_refused(
    stopped_node: Path, open_node: Callable[..., Any]
) -> None:
    for name in synced.FILES:
        (stopped_node / "log" / name).unlink()
    with pytest.raises(DamagedDataError, match="SYNCED is missing"):
        open_node(stopped_node)


def append(directory: Path, data: bytes) -> None:
    """Put a committed entry behind the log of a node."""
    store = LogStore(directory / "log")
    log = store.group(ONE)
    last = log.last_index()
    entry = Entry(Index(last + 1), log.term(last), EntryKind.NORMAL, data)
    store.write([GroupUpdate(ONE, HardState(entry.term, log.hard_state.vote, entry.index), [entry])])
    store.close()


def test_a_log_with_a_group_of_more_voters_is_refused(stopped_node: Path, open_node: Callable[..., Any]) -> None:
    store = LogStore(stopped_node / "log")
    conf = ConfState(voters=(1, 2, 3))  # type: ignore[arg-type]
    store.compact(ONE, store.group(ONE).last_index(), conf)
    store.close()
    with pytest.raises(RedraftError):
        open_node(stopped_node)


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize("seed", range(30))
def test_damage_to_any_file_is_harmless_or_refused(
    seed: int, damage: Callable[[Path, float], None], stopped_node: Path, open_node: Callable[..., Any]
) -> None:
    rng = random.Random(seed)
    files = [path for path in sorted(stopped_node.rglob("*")) if path.is_file() and path.stat().st_size]
    path = rng.choice(files)
    damage(path, rng.random())
    try:
        node = open_node(stopped_node)
    except RedraftError:
        return
    assert keys_of(node) == 50, path
    assert all(node.call(b"GET", b"key%d" % number) == b"%d" % number for number in range(50)), path
