"""The records of the log store: what `log_store` writes, and whoever looks into a stopped node's log reads.

```
E group(8) index(8)  →  term(8) kind(1) data       an entry
H group(8)           →  msgpack HardState          term, vote, commit
S group(8)           →  msgpack SnapshotMeta       where the log begins: the last entry that was let go
```

Numbers are big endian, so that the order of keys is the order of entries.
"""

from __future__ import annotations

import struct

import msgspec

from redraft.errors import DamagedDataError
from redraft.ids import GroupId, Index, Term
from redraft.raft.messages import Entry, EntryKind, HardState, SnapshotMeta

ENTRY_HEAD = struct.Struct(">QB")
"""Term and kind, before an entry's data."""

encode_hard = msgspec.msgpack.Encoder().encode
decode_hard = msgspec.msgpack.Decoder(HardState).decode
decode_start = msgspec.msgpack.Decoder(SnapshotMeta).decode


def entry_key(group: GroupId, index: int) -> bytes:
    """The key of an entry."""
    return b"E" + group.to_bytes(8, "big") + index.to_bytes(8, "big")


def place_of(key: bytes) -> tuple[GroupId, Index]:
    """The group and the index that an entry's key names."""
    return GroupId(int.from_bytes(key[1:9], "big")), Index(int.from_bytes(key[9:], "big"))


def decode_entry(index: Index, record: bytes) -> Entry:
    """An entry of its record. Raises DamagedDataError."""
    try:
        term, kind = ENTRY_HEAD.unpack_from(record)
        return Entry(index, Term(term), EntryKind(kind), record[ENTRY_HEAD.size :])
    except (struct.error, ValueError) as error:
        raise DamagedDataError(f"reading the log: entry {index} is damaged ({error})") from error
