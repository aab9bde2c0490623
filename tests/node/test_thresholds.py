"""The thresholds of encodings are the leader's, and part of what is replicated: each replica answers the same."""

from __future__ import annotations

from redraft.values import codec
from support.fleet import Fleet, say

LOWER = "CONFIG SET hash-max-listpack-entries 2 set-max-intset-entries 2 zset-max-listpack-entries 2"
MEMBERS = ["HSET h a 1 b 2 c 3", "SADD s 1 2 3", "ZADD z 1 a 2 b 3 c"]
ENCODINGS = [f"OBJECT ENCODING {key}" for key in "hsz"]
SMALL, LARGE = [b"listpack", b"intset", b"listpack"], [b"hashtable", b"hashtable", b"skiplist"]


def records(fleet: Fleet, place: int) -> list[bytes]:
    """The image's records of the three keys at a node."""
    database = fleet[place].node.shard.keyspace.databases[0]
    values = [database.peek(key) for key in (b"h", b"s", b"z")]
    return [codec.encode(value, None) for value in values if value is not None]


def test_a_setting_holds_from_the_next_command_on(fleet: Fleet) -> None:
    client = fleet[1].connect()
    replies = say(fleet, client, *MEMBERS, LOWER, *ENCODINGS, "DEL h s z", *MEMBERS, *ENCODINGS)
    assert [reply for reply in replies if isinstance(reply, bytes)] == [b"OK", *SMALL, *LARGE]


def test_the_leaders_setting_counts_at_every_node(fleet: Fleet) -> None:
    leader, other = fleet[1].connect(), fleet[2].connect()
    assert say(fleet, other, LOWER) == [b"OK"]
    assert say(fleet, other, *MEMBERS, *ENCODINGS)[3:] == SMALL
    assert say(fleet, leader, "DEL h s z", LOWER, *MEMBERS, *ENCODINGS)[5:] == LARGE
    assert say(fleet, fleet[3].connect(), *ENCODINGS) == LARGE
    fleet.pass_time(200)
    assert records(fleet, 1) == records(fleet, 2) == records(fleet, 3)
    assert len(records(fleet, 1)) == 3


def test_a_new_leader_brings_its_own(fleet: Fleet) -> None:
    client = fleet[2].connect()
    say(fleet, client, LOWER)
    fleet[1].node.shard.raft.transfer_leader(fleet[2].node.id)
    fleet.pass_time(150)
    assert fleet.leader() == 2
    assert say(fleet, client, *MEMBERS, *ENCODINGS)[3:] == LARGE
    thresholds = [fleet[place].node.shard.keyspace.thresholds for place in (1, 2, 3)]
    assert thresholds[0] == thresholds[1] == thresholds[2]
    assert thresholds[0].hash_max_listpack_entries == 2


def test_what_was_small_stays_small_through_an_image_whatever_is_in_force(fleet: Fleet) -> None:
    client = fleet[1].connect()
    say(fleet, client, *MEMBERS, LOWER)
    before = records(fleet, 1)
    assert [codec.encode(*codec.decode(record)) for record in before] == before
    keyspace = fleet[1].node.shard.keyspace
    assert type(keyspace).load(keyspace.meta(), []).thresholds == keyspace.thresholds
