"""Timers that were called off leave nothing, and sessions that are gone neither."""

from __future__ import annotations

import gc
from random import Random

import pytest

from redraft.node.session import Session
from redraft.node.timers import FEW, Timers
from support.fleet import Fleet
from support.world import World


def test_timers_fire_in_order_and_not_when_called_off() -> None:
    timers, fired = Timers(), []
    random = Random(1)
    made = {}
    for number in random.sample(range(1000), 1000):
        made[number] = timers.at(number, lambda number=number: fired.append(number))  # type: ignore[misc]
    off = set(random.sample(range(1000), 900))
    for number in off:
        made[number].cancel()
        made[number].cancel()
        timers.check()
    assert len(timers) == 100
    assert len(timers._heap) <= 200
    timers.fire(500)
    assert fired == [number for number in range(501) if number not in off]
    made[fired[0]].cancel()
    timers.fire(1000)
    assert fired == [number for number in range(1000) if number not in off]
    timers.check()
    assert timers.next_ns() is None


def test_waits_that_were_served_keep_no_timers(world: World) -> None:
    worker, other = world.connect(), world.connect()
    world.connect().ask("BLPOP idle 3000")
    for _ in range(4 * FEW):
        worker.ask("BLPOP q 3600")
        world.settle()
        other("RPUSH q x")
        assert len(worker.replies()) == 1
    assert len(world.node.timers) == 1
    assert len(world.node.timers._heap) <= FEW + 1


def test_an_unblocked_command_of_the_node_keeps_no_timer(world: World) -> None:
    sleeper, other = world.connect(), world.connect()
    for _ in range(4 * FEW):
        sleeper.ask("WAIT 1 1000000")
        world.settle()
        other("CLIENT", "UNBLOCK", sleeper.id)
        assert sleeper.replies() == [0]
    assert len(world.node.timers._heap) <= FEW + 1


@pytest.mark.parametrize("command", ["INCR n", "BLPOP l 0", "BLPOP l 100", "WAIT 1 0", "GET n"])
def test_a_client_that_goes_while_its_command_is_elsewhere_is_freed(command: str) -> None:
    fleet = Fleet()
    fleet.elect()
    world = fleet[2]
    fleet.cut(2)

    def sessions() -> int:
        return sum(type(each) is Session for each in gc.get_objects())

    gc.collect()
    gc.disable()  # as in a server, where old garbage stays
    try:
        before = sessions()
        for _ in range(20):
            client = world.connect()
            client.ask(command, "PING")
            world.tick()
            client.hang_up()
            world.tick()
            del client
        assert sessions() - before <= 1
    finally:
        gc.enable()
