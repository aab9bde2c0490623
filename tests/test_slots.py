"""Hash slots: the same as Redis Cluster's, hash tags and all."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from redraft.ids import SLOT_COUNT
from redraft.slots import key_slot
from support.processes import Connection, RedisServer, free_port

ALPHABET = b"{}ab\x00\xff1"
SEED = 20


def test_slots_that_the_specification_names() -> None:
    assert key_slot(b"123456789") == 0x31C3
    assert key_slot(b"foo") == 12182
    assert key_slot(b"") == 0


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"{user1000}.following", b"user1000"),
        (b"foo{}{bar}", b"foo{}{bar}"),
        (b"foo{{bar}}zap", b"{bar"),
        (b"foo{bar}{zap}", b"bar"),
        (b"foo{bar", b"foo{bar"),
        (b"}foo{bar}", b"bar"),
    ],
)
def test_only_the_first_tag_is_hashed_unless_it_is_empty(key: bytes, hashed: bytes) -> None:
    whole = key_slot(hashed) if b"{" not in hashed else None
    if whole is not None:
        assert key_slot(key) == whole
    assert 0 <= key_slot(key) < SLOT_COUNT


@pytest.mark.redis_server
def test_the_same_slots_as_a_real_redis_cluster(tmp_path: Path) -> None:
    real = RedisServer(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    try:
        random = Random(SEED)
        keys = [bytes(random.choices(ALPHABET, k=random.randrange(12))) for _ in range(5000)]
        keys += [b"foo{}{bar}", b"foo{{bar}}zap", b"foo{bar", b"{}", b"{a}", b"\r\n"]
        replies = Connection(real.port).pipeline([(b"CLUSTER", b"KEYSLOT", key) for key in keys])
        assert [key_slot(key) for key in keys] == replies
    finally:
        real.stop()
