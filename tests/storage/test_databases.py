"""Databases on disk: another number of them after a restart, and what emptied ones leave in the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from redraft.errors import RedraftError

FROM_BOTH = pytest.mark.parametrize(
    "flushed", [pytest.param(False, id="from the log"), pytest.param(True, id="from the image")]
)


def set_in(node: Any, database: int, key: bytes) -> object:
    node.execute([b"SELECT", b"%d" % database], [b"SET", key, b"1"])
    return node.tick()[-1]


def count_in(node: Any, database: int) -> object:
    node.execute([b"SELECT", b"%d" % database], [b"DBSIZE"])
    return node.tick()[-1]


def test_emptied_and_swapped_databases_are_so_after_a_restart(open_node: Callable[..., Any]) -> None:
    node = open_node()
    set_in(node, 1, b"a")
    set_in(node, 2, b"b")
    node.flush()
    node.call(b"SWAPDB", b"1", b"3")
    node.execute([b"SELECT", b"2"], [b"FLUSHDB"])
    node.tick()
    node.flush()
    node.close()
    node = open_node()
    assert [count_in(node, database) for database in range(5)] == [0, 0, 0, 1, 0]


@FROM_BOTH
@pytest.mark.parametrize("more", [17, 64])
def test_more_databases_than_before_can_be_used(open_node: Callable[..., Any], more: int, flushed: bool) -> None:
    node = open_node(databases=16)
    set_in(node, 15, b"a")
    if flushed:
        node.flush()
    node.close()
    node = open_node(databases=more)
    assert count_in(node, 15) == 1
    assert set_in(node, more - 1, b"b") == b"OK"
    node.close()
    assert count_in(open_node(databases=more), more - 1) == 1


@FROM_BOTH
def test_fewer_databases_than_before_are_refused_or_keep_what_the_others_hold(
    open_node: Callable[..., Any], flushed: bool
) -> None:
    node = open_node(databases=16)
    set_in(node, 9, b"a")
    if flushed:
        node.flush()
    node.close()
    try:
        node = open_node(databases=4)
    except RedraftError:
        return
    node.flush()
    node.close()
    assert count_in(open_node(databases=16), 9) == 1


def test_an_emptied_database_leaves_nothing_in_the_image(open_node: Callable[..., Any]) -> None:
    node = open_node()
    for number in range(20):
        node.call(b"SET", b"%d" % number, b"")
    node.flush()
    node.call(b"FLUSHALL")
    node.flush()
    node.close()
    assert list(open_node().image.items()) == []
