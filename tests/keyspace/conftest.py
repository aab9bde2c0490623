"""A collection type of the tests' own, and a dict that stands for the image."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redraft.errors import DamagedDataError
from redraft.keyspace.flush import RecordWriter
from redraft.keyspace.keyspace import Keyspace
from redraft.values import codec


class FrozenBag:
    """A bag as of one instant; its payload comes in a piece for each member."""

    def __init__(self, members: list[bytes]) -> None:
        self._members = members

    def pieces(self) -> Iterator[bytes]:
        for member in self._members:
            yield member + b"\n"


class Bag:
    """A collection that may be changed in place."""

    type_name = b"bag"
    tag = 0x1E

    def __init__(self, members: list[bytes]) -> None:
        self.members = members

    def __len__(self) -> int:
        return len(self.members)

    def freeze(self) -> FrozenBag:
        return FrozenBag(self.members.copy())

    def copy(self) -> Bag:
        return Bag(self.members.copy())

    @classmethod
    def decode(cls, payload: bytes) -> Bag:
        if payload and not payload.endswith(b"\n"):
            raise DamagedDataError("a bag ends inside a member")
        return cls(payload.splitlines())

    def memory_bytes(self) -> int:
        return sum(map(len, self.members))

    def check(self) -> None:
        """Nothing can be wrong."""

    def release(self, members: int) -> int:
        """Let go of up to `members` members; how many it let go of."""
        freed = min(members, len(self.members))
        del self.members[len(self.members) - freed :]
        return freed


class DictImage(RecordWriter):
    """An image in memory: `put` and `delete` fill a file in the making, `finish` makes it part of the image."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}
        self.file: list[tuple[bytes, bytes | None]] = []

    def put(self, key: bytes, value: bytes) -> None:
        self._append(key, value)

    def delete(self, key: bytes) -> None:
        self._append(key, None)

    def _append(self, key: bytes, value: bytes | None) -> None:
        assert not self.file or self.file[-1][0] < key, "keys must come in strictly ascending order"
        self.file.append((key, value))

    def finish(self) -> None:
        for key, value in self.file:
            if value is None:
                self.records.pop(key, None)
            else:
                self.records[key] = value
        self.file.clear()

    def abort(self) -> None:
        self.file.clear()

    def items(self) -> list[tuple[bytes, bytes]]:
        return sorted(self.records.items())


@pytest.fixture
def bag_type(monkeypatch: pytest.MonkeyPatch) -> type[Bag]:
    """The bag, known to the codec while the test runs."""
    monkeypatch.setitem(codec.COLLECTIONS, Bag.tag, Bag)
    return Bag


@pytest.fixture
def image() -> DictImage:
    return DictImage()


def contents(keyspace: Keyspace) -> list[dict[bytes, bytes]]:
    """All that a keyspace holds, deadlines included: by database and key, as records."""
    out = []
    for database in keyspace.databases:
        records = {}
        for key in database.keys_from(b""):
            value = database.get(key, now_ms=-1)
            assert value is not None, f"{key!r} is listed and not there"
            records[key] = codec.encode(value, database.deadline(key))
        assert len(records) == len(database)
        out.append(records)
    return out


@pytest.fixture(name="contents")
def contents_fixture() -> object:
    """The function that tells all that a keyspace holds."""
    return contents
