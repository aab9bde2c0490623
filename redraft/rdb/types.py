"""The byte that a value begins with: its type and encoding in one (Redis: rdb.h)."""

from __future__ import annotations

STRING = 0
LIST = 1
SET = 2
ZSET = 3
HASH = 4
ZSET_2 = 5
HASH_ZIPMAP = 9
LIST_ZIPLIST = 10
SET_INTSET = 11
ZSET_ZIPLIST = 12
HASH_ZIPLIST = 13
LIST_QUICKLIST = 14
STREAM_LISTPACKS = 15
HASH_LISTPACK = 16
ZSET_LISTPACK = 17
LIST_QUICKLIST_2 = 18
STREAM_LISTPACKS_2 = 19

NODE_PLAIN = 1
"""A quicklist's node that is one long string."""
NODE_PACKED = 2
"""A quicklist's node that is a listpack."""
