"""The config table: what each change makes of it, and what is refused."""

from __future__ import annotations

import msgspec
import pytest

from redraft.cluster.table import (
    Admit,
    Announce,
    Change,
    Drop,
    Found,
    Left,
    NodeRecord,
    RefusedError,
    Retire,
    Rise,
    Survive,
    Table,
)
from redraft.ids import FIRST_SHARD_GROUP, NodeId

ONE, TWO, THREE, FOUR = (NodeId(n) for n in range(1, 5))


def table_of(*changes: Change) -> Table:
    table = Table()
    for change in changes:
        table = table.after(change)
        table.check()
    return table


@pytest.fixture
def three() -> Table:
    return table_of(
        Found({ONE: NodeRecord("a:1"), TWO: NodeRecord("b:1"), THREE: NodeRecord("c:1")}),
        Announce(ONE, "a:1", "i1"),
        Announce(TWO, "b:1", "i2"),
        Announce(THREE, "c:1", "i3"),
    )


def test_a_cluster_begins_with_one_shard_on_all_its_nodes(three: Table) -> None:
    shard = three.shards[FIRST_SHARD_GROUP]
    assert shard.slots == ((0, 16383),)
    assert shard.replicas == (1, 2, 3)
    assert three.version == 4


def test_a_change_that_is_made_already_makes_no_version(three: Table) -> None:
    for change in (Found({FOUR: NodeRecord("d:1")}), Announce(ONE, "a:1", "i1"), Admit("a:1", "i1"), Drop(FOUR)):
        assert three.after(change) is three
    leaving = three.after(Retire(TWO))
    assert leaving.after(Retire(TWO)) is leaving


def test_a_node_moves_and_keeps_its_incarnation(three: Table) -> None:
    moved = three.after(Announce(TWO, "b:2", "i2"))
    assert moved.nodes[TWO].address == "b:2"
    with pytest.raises(RefusedError, match="node 2 has other data than it had"):
        three.after(Announce(TWO, "b:1", "another"))
    with pytest.raises(RefusedError, match="node 4 is not a member"):
        three.after(Announce(FOUR, "d:1", "i4"))


def test_a_new_node_gets_an_id_that_nobody_had(three: Table) -> None:
    joined = three.after(Admit("d:1", "i4"))
    assert joined.find("i4") == 4
    assert joined.shards[FIRST_SHARD_GROUP].replicas == (1, 2, 3, 4)
    gone = joined.after(Retire(FOUR)).after(Left(FIRST_SHARD_GROUP, FOUR)).after(Drop(FOUR))
    assert gone.shards[FIRST_SHARD_GROUP].replicas == (1, 2, 3)
    assert gone.after(Admit("e:1", "i5")).find("i5") == 5


def test_nobody_joins_at_the_address_of_another_or_before_the_cluster_is_founded(three: Table) -> None:
    with pytest.raises(RefusedError, match="b:1 is node 2 already; remove it first"):
        three.after(Admit("b:1", "new"))
    with pytest.raises(RefusedError, match="not founded"):
        Table().after(Admit("b:1", "new"))


def test_one_node_leaves_at_a_time(three: Table) -> None:
    leaving = three.after(Retire(THREE))
    assert leaving.leaving() == {3: 0}
    with pytest.raises(RefusedError, match="a change is under way: node 3 is leaving"):
        leaving.after(Retire(TWO))
    left = leaving.after(Left(FIRST_SHARD_GROUP, THREE))
    assert set(left.after(Drop(THREE)).nodes) == {1, 2}


def test_a_node_stays_until_it_has_left_its_shards(three: Table) -> None:
    leaving = three.after(Retire(THREE))
    with pytest.raises(RefusedError, match="node 3 is of shard 1 still"):
        leaving.after(Drop(THREE))
    left = leaving.after(Left(FIRST_SHARD_GROUP, THREE))
    assert left.shards[FIRST_SHARD_GROUP].replicas == (1, 2)
    assert left.leaving() == {3: 0}
    assert left.after(Left(FIRST_SHARD_GROUP, THREE)) is left


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Retire(FOUR), "node 4 is not a member"),
        (Retire(ONE, FOUR), "node 4 is not a member"),
        (Retire(ONE, ONE), "cannot take its own place"),
        (Drop(ONE), "node 1 is not leaving"),
        (Left(FIRST_SHARD_GROUP, ONE), "node 1 is not leaving"),
    ],
)
def test_what_is_refused(three: Table, change: Change, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        three.after(change)


def test_the_last_node_stays() -> None:
    with pytest.raises(RefusedError, match="node 1 is the last one"):
        table_of(Found({ONE: NodeRecord("a:1")}), Retire(ONE))


def test_a_survivor_is_alone_and_no_id_is_given_again(three: Table) -> None:
    alone = three.after(Retire(ONE)).after(Survive(ONE))
    assert alone.nodes == {ONE: NodeRecord("a:1", "i1")}
    assert alone.shards[FIRST_SHARD_GROUP].replicas == (1,)
    assert alone.after(Admit("b:1", "new")).find("new") == 4


# Feature levels (design section 7).


def test_a_level_is_used_when_every_node_has_said_that_it_knows_it(three: Table) -> None:
    assert three.level == three.common_level() == 1
    some = three.after(Announce(ONE, "a:1", "i1", level=2)).after(Announce(TWO, "b:1", "i2", level=3))
    assert some.common_level() == 1
    with pytest.raises(RefusedError, match="node 3 runs a version of feature level 1"):
        some.after(Rise(2))
    every = some.after(Announce(THREE, "c:1", "i3", level=2))
    assert every.common_level() == 2
    risen = every.after(Rise(2))
    risen.check()
    assert (risen.level, risen.version) == (2, every.version + 1)
    assert risen.after(Rise(2)) is risen
    assert risen.after(Rise(1)) is risen


def test_an_older_version_is_not_taken_in_by_a_cluster_that_uses_more(three: Table) -> None:
    for node, address, incarnation in ((ONE, "a:1", "i1"), (TWO, "b:1", "i2"), (THREE, "c:1", "i3")):
        three = three.after(Announce(node, address, incarnation, level=2))
    older = three.after(Admit("d:1", "i4", level=1))
    with pytest.raises(RefusedError, match="node 4 runs a version of feature level 1"):
        older.after(Rise(2))
    risen = three.after(Rise(2))
    with pytest.raises(RefusedError, match="the cluster is at 2: start a newer one"):
        risen.after(Admit("d:1", "i4", level=1))
    with pytest.raises(RefusedError, match="the cluster is at 2: start a newer one"):
        risen.after(Announce(ONE, "a:1", "i1", level=1))
    assert risen.after(Admit("d:1", "i4", level=3)).nodes[FOUR].level == 3


def test_the_level_stays_whatever_else_changes(three: Table) -> None:
    for node, address, incarnation in ((ONE, "a:1", "i1"), (TWO, "b:1", "i2"), (THREE, "c:1", "i3")):
        three = three.after(Announce(node, address, incarnation, level=2))
    table = three.after(Rise(2))
    for change in (
        Admit("d:1", "i4", level=2),
        Retire(TWO),
        Left(FIRST_SHARD_GROUP, TWO),
        Drop(TWO),
        Survive(NodeId(9)),
    ):
        table = table.after(change)
        table.check()
        assert table.level == 2


def test_a_table_of_a_version_that_knew_no_levels_is_read() -> None:
    encoded = msgspec.msgpack.encode([3, {1: ["a:1", "i1", False, 0]}, {}, 1])
    table = msgspec.msgpack.decode(encoded, type=Table)
    assert table.level == table.nodes[ONE].level == 1
