"""Worlds: nodes without sockets, disk or wall clock (see `support.world`)."""

from __future__ import annotations

import pytest

from support.fleet import Fleet
from support.world import Client, World


@pytest.fixture
def world() -> World:
    """A world with the default settings."""
    return World()


@pytest.fixture
def client(world: World) -> Client:
    """A client of the world."""
    return world.connect()


@pytest.fixture
def other(world: World) -> Client:
    """Another client of the world."""
    return world.connect()


@pytest.fixture
def fleet() -> Fleet:
    """Three nodes, the first of which leads."""
    fleet = Fleet()
    fleet.elect()
    return fleet
