"""An image: each finished file of changes becomes part of it whole, and an unfinished one not at all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from redraft.errors import DamagedDataError, StorageError
from redraft.storage.image import FORMAT, META_KEY, NEW_FILE, PART_BYTES, Image, ImageMeta


def meta(index: int, state: bytes = b"") -> ImageMeta:
    return ImageMeta(FORMAT, index, state)


def flush(image: Image, index: int, changes: dict[bytes, bytes | None]) -> None:
    """Write changes in order (None deletes) and make them part of the image."""
    writer = image.writer()
    for key, value in sorted(changes.items()):
        if value is None:
            writer.delete(key)
        elif len(value) <= 100_000:
            writer.put(key, value)
        else:
            pieces = [value[start : start + 99_999] for start in range(0, len(value), 99_999)]
            assert len(list(writer.put_pieces(key, pieces))) == len(pieces)
    writer.finish(meta(index))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shard-1" / "image"


@pytest.fixture
def open_image(path: Path) -> Iterator[Callable[[], Image]]:
    """Open the image; if it is open already, close it first: a restart."""
    opened: list[Image] = []

    def reopen() -> Image:
        while opened:
            opened.pop().close()
        opened.append(Image(path))
        return opened[0]

    yield reopen
    for image in opened:
        image.close()


@pytest.fixture
def image(open_image: Callable[[], Image]) -> Image:
    return open_image()


def before_and_after(image: Image, open_image: Callable[[], Image]) -> Iterator[Image]:
    """The image as it is, then as it is after a restart."""
    yield image
    yield open_image()


def test_a_new_image_holds_nothing(open_image: Callable[[], Image]) -> None:
    for image in before_and_after(open_image(), open_image):
        assert image.meta() is None
        assert list(image.items()) == []


def test_a_finished_flush_is_there_with_its_meta(open_image: Callable[[], Image]) -> None:
    image = open_image()
    records = {b"\0\0\0\0": b"", b"\0\0\0\0a": b"\x00" * 5000, b"\0\0\0\0a\0": b"x", b"\0\0\1\0z": b"\xff"}
    writer = image.writer()
    for key, value in records.items():
        writer.put(key, value)
    writer.finish(meta(17, b"state"))
    for opened in before_and_after(image, open_image):
        assert list(opened.items()) == list(records.items())
        assert opened.meta() == meta(17, b"state")


def test_later_flushes_set_replace_and_delete(open_image: Callable[[], Image]) -> None:
    image = open_image()
    flush(image, 1, {b"a": b"1", b"b": b"1", b"c": b"1"})
    flush(image, 2, {b"b": b"2", b"d": b"2"})
    flush(image, 3, {b"a": None, b"d": b"3", b"not there": None})
    for opened in before_and_after(image, open_image):
        assert list(opened.items()) == [(b"b", b"2"), (b"c", b"1"), (b"d", b"3")]
        assert opened.meta() == meta(3)


def test_a_key_may_come_back_after_it_was_deleted(open_image: Callable[[], Image]) -> None:
    image = open_image()
    for index, value in enumerate([b"1", None, b"2", None, b"3"], 1):
        flush(image, index, {b"a": value})
    assert list(open_image().items()) == [(b"a", b"3")]


def test_a_flush_of_nothing_only_moves_the_index(open_image: Callable[[], Image]) -> None:
    image = open_image()
    flush(image, 1, {b"a": b"1"})
    flush(image, 2, {})
    for opened in before_and_after(image, open_image):
        assert list(opened.items()) == [(b"a", b"1")]
        assert opened.meta() == meta(2)


def test_an_aborted_flush_leaves_no_trace(open_image: Callable[[], Image], path: Path) -> None:
    image = open_image()
    flush(image, 1, {b"a": b"1"})
    files = sorted(path.iterdir())
    writer = image.writer()
    writer.put(b"a", b"2")
    writer.put(b"b", b"2")
    writer.abort()
    assert sorted(path.iterdir()) == files
    for opened in before_and_after(image, open_image):
        assert list(opened.items()) == [(b"a", b"1")]
        assert opened.meta() == meta(1)


def test_after_an_aborted_flush_another_can_be_written(image: Image) -> None:
    writer = image.writer()
    writer.put(b"a", b"1")
    writer.abort()
    flush(image, 2, {b"b": b"2"})
    assert list(image.items()) == [(b"b", b"2")]


def test_a_flush_that_a_crash_left_unfinished_is_swept_away(open_image: Callable[[], Image], path: Path) -> None:
    image = open_image()
    flush(image, 1, {b"a": b"1"})
    writer = image.writer()
    writer.put(b"a", b"2")
    (path / NEW_FILE).write_bytes(b"half a file")
    image = open_image()
    assert list(image.items()) == [(b"a", b"1")]
    assert (path / NEW_FILE).exists(), "who only looks tidies nothing up"
    image.open_for_writing()
    assert not (path / NEW_FILE).exists()
    assert list(image.items()) == [(b"a", b"1")]
    flush(image, 2, {b"a": b"3"})
    assert list(open_image().items()) == [(b"a", b"3")]


def test_nothing_of_a_flush_is_seen_before_it_is_finished(image: Image) -> None:
    flush(image, 1, {b"a": b"1"})
    writer = image.writer()
    writer.put(b"a", b"2")
    assert list(image.items()) == [(b"a", b"1")]
    assert image.meta() == meta(1)
    writer.finish(meta(2))
    assert list(image.items()) == [(b"a", b"2")]


def test_a_finished_flush_leaves_no_file_in_the_making(image: Image, path: Path) -> None:
    flush(image, 1, {b"a": b"1"})
    assert not (path / NEW_FILE).exists()


def test_keys_that_do_not_ascend_are_refused(image: Image) -> None:
    writer = image.writer()
    writer.put(b"b", b"")
    for key in (b"a", b"b"):
        with pytest.raises(StorageError, match="writing"):
            writer.put(key, b"")
        with pytest.raises(StorageError, match="writing"):
            writer.delete(key)


def test_a_dropped_generation_is_gone_and_its_neighbours_stay(open_image: Callable[[], Image]) -> None:
    image = open_image()
    prefixes = [number.to_bytes(4, "big") for number in (0, 255, 256, 257)]
    flush(image, 1, {prefix + key: b"" for prefix in prefixes for key in (b"", b"a", b"\xff" * 9)})
    image.drop_generations([255])
    for opened in before_and_after(image, open_image):
        assert {key[:4] for key, _ in opened.items()} == {prefixes[0], prefixes[2], prefixes[3]}
        assert opened.meta() == meta(1)


def test_a_checkpoint_is_an_image_of_its_own(image: Image, tmp_path: Path) -> None:
    flush(image, 1, {b"a": b"1"})
    image.checkpoint(tmp_path / "copy")
    flush(image, 2, {b"a": b"2"})
    copy = Image(tmp_path / "copy")
    try:
        assert list(copy.items()) == [(b"a", b"1")]
        assert copy.meta() == meta(1)
        flush(copy, 9, {b"b": b"9"})
    finally:
        copy.close()
    assert list(image.items()) == [(b"a", b"2")]


def test_the_size_is_that_of_the_files(image: Image) -> None:
    image.open_for_writing()
    before = image.size_bytes()
    flush(image, 1, {b"a": random.Random(0).randbytes(100_000)})
    assert 100_000 < image.size_bytes() - before < 150_000


def write_meta_record(image: Image, record: bytes) -> None:
    image.open_for_writing()
    image._db.put(META_KEY, record)


def test_a_meta_record_of_a_newer_format_is_refused(image: Image) -> None:
    write_meta_record(image, msgspec.msgpack.encode(ImageMeta(FORMAT + 1, 5, b"")))
    with pytest.raises(DamagedDataError, match=f"has the format {FORMAT + 1}; this version reads {FORMAT}"):
        image.meta()


@pytest.mark.parametrize("record", [b"", b"\xc1", b"\x93\x01", msgspec.msgpack.encode(["1", 2, b""])])
def test_a_meta_record_that_cannot_be_read_is_damage(image: Image, record: bytes) -> None:
    write_meta_record(image, record)
    with pytest.raises(DamagedDataError, match="no readable meta record"):
        image.meta()


def test_an_image_that_is_open_is_not_opened_twice(image: Image, path: Path) -> None:
    image.open_for_writing()
    with pytest.raises(StorageError, match="another process has it open"):
        Image(path).open_for_writing()


@pytest.mark.parametrize("seed", range(6))
def test_flushes_add_up_to_a_dict(seed: int, open_image: Callable[[], Image]) -> None:
    rng = random.Random(seed)
    image = open_image()
    model: dict[bytes, bytes] = {}
    for index in range(1, 30):
        changes = {
            b"\0\0\0\0%d" % rng.randrange(60): rng.choice([None, b"\0" + rng.randbytes(rng.choice([0, 10, 5000]))])
            for _ in range(rng.randrange(20))
        }
        if rng.random() < 0.2:
            writer = image.writer()
            for key, value in sorted(changes.items()):
                writer.put(key, value or b"")
            writer.abort()
        else:
            flush(image, index, changes)
            for key, value in changes.items():
                if value is None:
                    model.pop(key, None)
                else:
                    model[key] = value
        if rng.random() < 0.3:
            image = open_image()
        assert list(image.items()) == sorted(model.items())


NAMES = [b"a", b"a\0", b"a\0\0", b"a\0\0\0\0\0", b"a\0\0\0\0\0\1", b"a\0\xff", b"a\xff", b"b", b"", b"\0", b"\xff" * 9]
"""Keys whose parts would be mixed up if zeros were not escaped."""


@pytest.mark.parametrize("seed", range(4))
def test_large_records_are_split_and_put_together(seed: int, open_image: Callable[[], Image]) -> None:
    rng = random.Random(seed)
    image = open_image()
    model: dict[bytes, bytes] = {}
    sizes = [None, 0, 10, PART_BYTES - 2, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES, 3 * PART_BYTES + 5]
    for index in range(1, 20):
        names = rng.sample(NAMES, rng.randrange(6))
        changes = {
            rng.choice([b"\0\0\0\0", b"\0\0\0\7"]) + name: None if size is None else b"\0" + rng.randbytes(size)
            for name in names
            for size in [rng.choice(sizes)]
        }
        flush(image, index, changes)
        model |= {key: value for key, value in changes.items() if value is not None}
        for key in [key for key, value in changes.items() if value is None]:
            model.pop(key, None)
        if rng.random() < 0.3:
            image = open_image()
        assert list(image.items()) == sorted(model.items())
        parts = sum(-(-len(value) // PART_BYTES) for value in model.values() if len(value) > PART_BYTES)
        assert count_records(image) == len(model) + parts + 1


def test_parts_go_with_their_generation(image: Image, open_image: Callable[[], Image]) -> None:
    large = bytes(PART_BYTES * 2)
    flush(image, 1, {b"\0\0\0\0a": large, b"\0\0\0\1a": large})
    image.drop_generations([0])
    for each in before_and_after(image, open_image):
        assert list(each.items()) == [(b"\0\0\0\1a", large)]
        assert count_records(each) == 1 + 2 + 1


def test_a_missing_part_is_damage(image: Image) -> None:
    flush(image, 1, {b"\0\0\0\0a": bytes(PART_BYTES * 3)})
    del image._db[b"\x80\0\0\0a\0\0\0\0\0\1"]
    with pytest.raises(DamagedDataError, match="lacks its part 2 of 3"):
        list(image.items())


def count_records(image: Image) -> int:
    """Everything in the database: records, parts, the meta record."""
    return len(list(image._db.keys()))
