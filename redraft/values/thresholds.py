"""Up to which size Redis would hold a collection in its compact form: what OBJECT ENCODING answers, and nothing else.
And the policy of eviction: by which Redis would know how often a key is used, or since when it is not.

The node sets the attributes from its configuration. Nothing that is stored or replicated depends on them.
"""

from __future__ import annotations


class Thresholds:
    """Redis 7.0's defaults; entries are counts of members, values are bytes of the longest one."""

    def __init__(self) -> None:
        self.hash_max_listpack_entries = 512
        self.hash_max_listpack_value = 64
        self.list_max_listpack_size = -2
        self.set_max_intset_entries = 512
        self.zset_max_listpack_entries = 128
        self.zset_max_listpack_value = 64
        self.maxmemory_policy = "noeviction"


THRESHOLDS = Thresholds()
