"""A flush writes the keyspace as of the moment it began, whatever is changed while it is written."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from redraft.keyspace.flush import HANDFUL, RUN_KEYS
from redraft.keyspace.keyspace import Keyspace
from redraft.values import codec

Contents = Callable[[Keyspace], list[dict[bytes, bytes]]]


def flush_all(keyspace: Keyspace, image: Any) -> None:
    flush = keyspace.begin_flush(image)
    while not flush.step(1000):
        pass
    image.finish()


def test_what_is_flushed_is_what_is_loaded(image: Any, bag_type: Any, contents: Contents) -> None:
    keyspace = Keyspace(2)
    first, second = keyspace.databases
    first.put(b"bytes", b"1")
    first.put(b"raw", bytearray(b"2"))
    first.put(b"bag", bag_type([b"x", b"y"]))
    second.put(b"bytes", b"due later")
    second.set_deadline(b"bytes", 1_700_000_000_000)
    second.put(b"", b"")
    flush_all(keyspace, image)
    loaded = Keyspace.load(keyspace.meta(), image.items())
    assert contents(loaded) == contents(keyspace)
    assert type(loaded.databases[0].get(b"raw", 0)) is bytearray
    loaded.check()


def test_only_keys_changed_since_the_last_flush_are_written(image: Any) -> None:
    keyspace = Keyspace(1)
    database = keyspace.databases[0]
    for key in (b"a", b"b", b"c"):
        database.put(key, b"")
    flush_all(keyspace, image)
    database.put(b"b", b"new")
    flush = keyspace.begin_flush(image)
    assert flush.keys == 1
    assert flush.step(1000)
    assert image.file == [(b"\0\0\0\0b", b"\0new")]


def test_a_deleted_key_is_removed_from_the_image(image: Any) -> None:
    keyspace = Keyspace(1)
    keyspace.databases[0].put(b"a", b"")
    flush_all(keyspace, image)
    keyspace.databases[0].delete(b"a")
    flush_all(keyspace, image)
    assert image.items() == []


@pytest.mark.parametrize("change", ["put", "replace", "replace_all", "delete", "set_deadline", "mutable", "reap"])
def test_a_change_during_a_flush_is_not_in_it_but_in_the_next(image: Any, contents: Contents, change: str) -> None:
    keyspace = Keyspace(1)
    database = keyspace.databases[0]
    for key in (b"a", b"b", b"c"):
        database.put(key, bytearray(b"old"))
        database.set_deadline(key, 10)
    before, meta = contents(keyspace), keyspace.meta()
    flush = keyspace.begin_flush(image)
    match change:
        case "put":
            database.put(b"b", b"new")
        case "replace":
            database.replace(b"b", b"new")
        case "replace_all":
            database.replace_all([b"b", b"d", b"b"], [b"newer", b"d", b"new"])
        case "delete":
            database.delete(b"b")
        case "set_deadline":
            database.set_deadline(b"b", 20)
        case "mutable":
            value: Any = database.mutable(b"b", 0)
            value += b" and new"
        case "reap":
            assert database.reap(now_ms=10, limit=3) == 3
    after = contents(keyspace)
    assert flush.step(1000)
    image.finish()
    assert contents(Keyspace.load(meta, image.items())) == before
    flush_all(keyspace, image)
    assert contents(Keyspace.load(keyspace.meta(), image.items())) == after != before


@pytest.mark.parametrize("change", ["put", "replace_all", "delete", "set_deadline", "mutable"])
def test_a_string_that_is_to_be_flushed_may_change_before_and_during_it(
    image: Any, contents: Contents, change: str
) -> None:
    keyspace = Keyspace(1)
    database = keyspace.databases[0]

    def change_b(value: bytes) -> None:
        match change:
            case "put":
                database.put(b"b", value)
            case "replace_all":
                database.replace_all([b"b", b"d"], [value, value])
            case "delete":
                database.delete(b"b")
            case "set_deadline":
                database.set_deadline(b"b", 20 + len(value))
            case "mutable":
                assert database.mutable(b"b", 0) is not None

    for early in (False, True):
        database.replace_all([b"a", b"b", b"c"], [b"set", b"set", b"set"])
        if early:
            change_b(b"before")
        before, meta = contents(keyspace), keyspace.meta()
        flush = keyspace.begin_flush(image)
        change_b(b"during the flush")
        after = contents(keyspace)
        assert flush.step(1000)
        image.finish()
        assert contents(Keyspace.load(meta, image.items())) == before
        flush_all(keyspace, image)
        assert contents(Keyspace.load(keyspace.meta(), image.items())) == after


def test_a_long_string_that_is_overwritten_during_a_flush_is_written_in_pieces(image: Any, contents: Contents) -> None:
    keyspace = Keyspace(1)
    database = keyspace.databases[0]
    database.replace_all([b"a", b"b", b"c"], [b"short", b"long" * codec.PIECE_BYTES, b"short"])
    before, meta = contents(keyspace), keyspace.meta()
    flush = keyspace.begin_flush(image)
    database.replace_all([b"b"], [b"not long"])
    steps = 1
    while not flush.step(1):
        steps += 1
    assert steps > 5
    image.finish()
    assert contents(Keyspace.load(meta, image.items())) == before


def test_a_key_that_is_made_during_a_flush_is_not_in_it(image: Any) -> None:
    keyspace = Keyspace(1)
    keyspace.databases[0].put(b"a", b"")
    flush = keyspace.begin_flush(image)
    keyspace.databases[0].put(b"b", b"")
    assert flush.step(1000)
    assert [key for key, _ in image.file] == [b"\0\0\0\0a"]
    assert keyspace.dirty_keys() == 1


def test_a_collection_changed_while_its_pieces_are_written_is_written_as_it_was(image: Any, bag_type: Any) -> None:
    keyspace = Keyspace(1)
    bag = bag_type([b"%d" % number for number in range(50)])
    keyspace.databases[0].put(b"bag", bag)
    record = b"\x1e" + b"".join(b"%d\n" % number for number in range(50))
    flush = keyspace.begin_flush(image)
    steps = 0
    while not flush.step(1):
        steps += 1
        changing: Any = keyspace.databases[0].mutable(b"bag", 0)
        changing.members[-1] = b"changed"
    assert steps > 50
    assert image.file == [(b"\0\0\0\0bag", record)]


def test_emptying_a_database_during_a_flush_does_not_empty_the_flush(image: Any, contents: Contents) -> None:
    keyspace = Keyspace(2)
    for number in range(200):
        keyspace.databases[number % 2].put(b"%d" % number, bytearray(b"old"))
    before, meta = contents(keyspace), keyspace.meta()
    flush = keyspace.begin_flush(image)
    flush.step(20)
    keyspace.flush_all()
    while not flush.step(7):
        keyspace.bury(50)
    image.finish()
    assert contents(Keyspace.load(meta, image.items())) == before
    flush_all(keyspace, image)
    assert contents(Keyspace.load(keyspace.meta(), image.items())) == [{}, {}]


def test_databases_are_written_in_the_order_of_their_generations_after_a_swap(image: Any, contents: Contents) -> None:
    keyspace = Keyspace(3)
    for number, database in enumerate(keyspace.databases):
        database.put(b"%d" % number, b"")
    keyspace.swap(0, 2)
    keyspace.flush_database(1)
    keyspace.databases[1].put(b"new", b"")
    flush_all(keyspace, image)
    assert contents(Keyspace.load(keyspace.meta(), image.items())) == contents(keyspace)


def test_more_keys_than_a_run_are_written_in_order(image: Any, contents: Contents) -> None:
    rng = random.Random(1)
    keyspace = Keyspace(1)
    for number in rng.sample(range(10 * RUN_KEYS), 3 * RUN_KEYS + 1):
        keyspace.databases[0].put(b"%d" % number, b"")
    flush_all(keyspace, image)
    assert contents(Keyspace.load(keyspace.meta(), image.items())) == contents(keyspace)


def test_a_step_does_no_more_than_it_was_asked_for(image: Any) -> None:
    keyspace = Keyspace(1)
    for number in range(100):
        keyspace.databases[0].put(b"%03d" % number, b"")
    flush = keyspace.begin_flush(image)
    assert flush.keys == flush.remaining() == 100
    written = [len(image.file)]
    while not flush.step(10):
        written.append(len(image.file))
    assert max(after - before for before, after in itertools.pairwise(written)) < 10 + HANDFUL
    assert flush.remaining() == 0


def test_a_flush_of_nothing_is_done_at_once(image: Any) -> None:
    flush = Keyspace(16).begin_flush(image)
    assert flush.keys == 0
    assert flush.step(1)
    assert image.file == []


def test_beginning_a_flush_starts_the_count_of_changes_anew(image: Any) -> None:
    keyspace = Keyspace(1)
    keyspace.changes = 7
    keyspace.databases[0].put(b"a", b"")
    assert keyspace.dirty_keys() == 1
    keyspace.begin_flush(image)
    assert keyspace.changes == 0
    assert keyspace.dirty_keys() == 0


class Life:
    """A keyspace under random commands, flushed now and then; now and then it is forgotten and read back."""

    DATABASES = 3
    KEYS = 12

    def __init__(self, seed: int, image: Any, bag_type: Any, contents: Contents) -> None:
        self.rng = random.Random(seed)
        self.image = image
        self.bag_type = bag_type
        self.contents = contents
        self.keyspace = Keyspace(self.DATABASES)
        self.flush: Any = None
        self.as_of = self.flushed = (contents(self.keyspace), self.keyspace.meta())
        self.now_ms = 0
        self.flushes = self.restarts = 0

    def live(self, steps: int) -> None:
        for _ in range(steps):
            self.now_ms += 1
            if self.rng.random() < 0.3:
                self.flush_some()
            else:
                self.command()
            self.keyspace.check()
            if self.flush is not None:
                for part in self.flush.parts:
                    part.check()
            if self.rng.random() < 0.005:
                self.restart()

    def value(self) -> Any:
        text = b"%d" % self.rng.randrange(1000)
        return self.rng.choice([text, text, bytearray(text), self.bag_type([text] * self.rng.randint(1, 4))])

    def command(self) -> None:
        rng, keyspace = self.rng, self.keyspace
        database = rng.choice(keyspace.databases)
        key = b"%d" % rng.randrange(self.KEYS)
        match rng.randrange(27):
            case 0:
                keyspace.flush_database(rng.randrange(self.DATABASES))
            case 1:
                keyspace.swap(rng.randrange(self.DATABASES), rng.randrange(self.DATABASES))
            case 2 if rng.random() < 0.2:
                keyspace.flush_all()
            case 3:
                keyspace.bury(rng.randrange(5))
            case 4 | 5:
                database.reap(self.now_ms, rng.randrange(3))
            case 6 | 7 | 8:
                database.replace(key, self.value())
            case 24 | 25 | 26:
                keys = [b"%d" % rng.randrange(self.KEYS) for _ in range(rng.randrange(5))]
                database.replace_all(keys, [b"%d" % rng.randrange(1000) for _ in keys])
            case 9 | 10 | 11:
                database.delete(key)
            case 12 | 13 | 14:
                if database.exists(key, self.now_ms):
                    database.set_deadline(key, rng.choice([None, self.now_ms + rng.randrange(30)]))
            case 15 | 16 | 17 | 18:
                self.change_in_place(database.mutable(key, self.now_ms))
            case _:
                database.put(key, self.value())

    def change_in_place(self, value: Any) -> None:
        if isinstance(value, bytearray):
            value += b"+"
        elif isinstance(value, self.bag_type):
            value.members[self.rng.randrange(len(value))] = b"changed"
            value.members.append(b"added")

    def flush_some(self) -> None:
        if self.flush is None:
            self.as_of = (self.contents(self.keyspace), self.keyspace.meta())
            self.flush = self.keyspace.begin_flush(self.image)
        elif self.flush.step(self.rng.randint(1, 12)):
            self.flush = None
            self.image.finish()
            self.flushed = self.as_of
            self.flushes += 1
            self.read_back()

    def read_back(self) -> Keyspace:
        expected, meta = self.flushed
        loaded = Keyspace.load(meta, self.image.items())
        loaded.check()
        assert self.contents(loaded) == expected
        return loaded

    def restart(self) -> None:
        self.image.abort()
        self.flush = None
        self.keyspace = self.read_back()
        self.restarts += 1


@pytest.mark.parametrize("seed", range(12))
def test_the_image_is_the_keyspace_as_of_the_moment_a_flush_began(
    seed: int, image: Any, bag_type: Any, contents: Contents
) -> None:
    life = Life(seed, image, bag_type, contents)
    life.live(2000)
    assert life.flushes > 20
    assert life.restarts > 0
