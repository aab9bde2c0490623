"""Up to which size Redis would hold a collection in its compact form: what OBJECT ENCODING, DUMP and the scans go by.

Theory. The encoding of a collection shows in replies and in DUMP, so it must be the same on every replica. Each
keyspace has its `Thresholds`, which are part of its state and change by the log alone (the leader's settings count); a
collection that changes looks at those *in force*, which the executor says before it executes (`IN_FORCE.adopt`).
"""

from __future__ import annotations

import msgspec


class Thresholds(msgspec.Struct, frozen=True, array_like=True):
    """Redis 7.0's defaults; entries are counts of members, values are bytes of the longest one."""

    hash_max_listpack_entries: int = 512
    hash_max_listpack_value: int = 64
    set_max_intset_entries: int = 512
    zset_max_listpack_entries: int = 128
    zset_max_listpack_value: int = 64


DEFAULT = Thresholds()


class InForce:
    """A copy of the thresholds of the keyspace that is executed on; attributes are those of `Thresholds`."""

    def __init__(self) -> None:
        self.adopted = DEFAULT
        self.hash_max_listpack_entries = DEFAULT.hash_max_listpack_entries
        self.hash_max_listpack_value = DEFAULT.hash_max_listpack_value
        self.set_max_intset_entries = DEFAULT.set_max_intset_entries
        self.zset_max_listpack_entries = DEFAULT.zset_max_listpack_entries
        self.zset_max_listpack_value = DEFAULT.zset_max_listpack_value

    def adopt(self, thresholds: Thresholds) -> None:
        """Have these in force from now on."""
        self.adopted = thresholds
        for name in Thresholds.__struct_fields__:
            setattr(self, name, getattr(thresholds, name))


IN_FORCE = InForce()
