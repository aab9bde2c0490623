"""Who is let in as another node: not a second copy of a directory, not who nobody has admitted, not who is older than
the cluster, not who only knows what anybody can know."""

from __future__ import annotations

import msgspec
import pytest

from redraft.ids import NodeId
from redraft.node.calling import Call, NodeCaller, OutcastError
from redraft.node.families.all import TABLE
from redraft.node.links import NONCE_BYTES, OUTCAST, REFUSED, Cluster, GreetingError, Introduction
from support.fleet import Fleet
from support.greeting import ask, greet, speak
from support.processes import ReplyError
from support.world import Client, World

TICK_MS = 50


@pytest.fixture
def fleet() -> Fleet:
    """Three nodes, the first of which leads both groups; the cluster is founded."""
    fleet = Fleet()
    fleet.elect()
    fleet.pass_time(1000)
    return fleet


def node(number: int, life: str, incarnation: str = "same", **settings: object) -> World:
    """A process that is that node, by its directory."""
    world = World(node_id=number, **settings)
    world.node.door.introduction = Introduction(life, 1)
    world.node.members.incarnation = incarnation
    world.node.members.address_here = f"10.0.0.{number}:7000"
    return world


def pass_ticks(world: World, milliseconds: int, *speaking: Client) -> None:
    """Time passes; who speaks does so as often as a node."""
    for ticks in range(milliseconds // TICK_MS):
        world.node.raft_tick()
        world.settle()
        if ticks % 10 == 9:
            for client in speaking:
                speak(client)


def answer_of(client: Client) -> str:
    """What came, if one reply did."""
    replies = client.replies()
    assert len(replies) <= 1
    return str(replies[0]) if replies else ""


# Two copies of one directory.


def test_the_second_copy_of_a_directory_is_told_to_stop_and_the_first_keeps_its_place(fleet: Fleet) -> None:
    here = fleet[1]
    first = greet(node(2, "first"), here)
    assert answer_of(first) == "b'OK'"
    second = greet(node(2, "second"), here)
    assert answer_of(second) == "", "it waits: the first may be gone without a word"
    pass_ticks(here, 2000, first)
    told = answer_of(second)
    assert told.startswith(f"{OUTCAST}node 2 runs already, at 10.0.0.2:7000: of two copies of a directory only one may")
    assert not first.closed
    assert here.node.incoming.link_of(NodeId(2)).life == "first"


def test_an_outcast_stops_only_when_the_other_has_proved_who_it_is(fleet: Fleet) -> None:
    call = Call(NodeCaller(node(2, "second").node), NodeId(1), b"FRAMES", b"n" * NONCE_BYTES)
    with pytest.raises(GreetingError):
        call.refused(f"{OUTCAST}says who it likes")
    call.answered(ask(fleet[1].connect(), call.greeting()))
    with pytest.raises(OutcastError, match="node 1 says: it runs already"):
        call.refused(f"{OUTCAST}it runs already")


def test_who_is_silent_gives_way_to_a_later_life_and_is_refused_when_it_comes_back(fleet: Fleet) -> None:
    """A machine that lost its power has left its connections open. Or it slept, and a copy was started meanwhile."""
    here = fleet[1]
    silent = greet(node(2, "first"), here)
    second = greet(node(2, "second"), here)
    pass_ticks(here, 2100, second)
    assert answer_of(second) == "b'OK'"
    assert silent.closed
    back = greet(node(2, "first"), here)
    pass_ticks(here, 2100, second)
    assert answer_of(back).startswith(OUTCAST)
    assert not second.closed


def test_a_node_that_was_started_again_need_not_wait(fleet: Fleet) -> None:
    here = fleet[1]
    first = greet(node(2, "first"), here)
    first.hang_up()
    assert answer_of(greet(node(2, "second"), here)) == "b'OK'"


def test_who_waits_is_let_in_as_soon_as_the_other_is_gone(fleet: Fleet) -> None:
    here = fleet[1]
    first = greet(node(2, "first"), here)
    answer_of(first)
    second = greet(node(2, "second"), here)
    pass_ticks(here, 800, first)
    first.hang_up()
    here.settle()
    assert answer_of(second) == "b'OK'"
    here.node.check()


def test_who_gives_up_waiting_leaves_nothing_behind(fleet: Fleet) -> None:
    here = fleet[1]
    first = greet(node(2, "first"), here)
    greet(node(2, "second"), here).hang_up()
    pass_ticks(here, 3000, first)
    assert here.node.incoming.link_of(NodeId(2)).life == "first"


def test_what_was_sent_while_this_node_slept_counts(fleet: Fleet) -> None:
    """Time that passed for others alone is no silence: ticks are counted, and what has come is read between them."""
    here = fleet[1]
    first = greet(node(2, "first"), here)
    second = greet(node(2, "second"), here)
    here.clock.ns += 60_000_000_000
    pass_ticks(here, 100)
    pass_ticks(here, 2000, first)
    assert answer_of(second).startswith(OUTCAST)


def test_the_same_life_may_link_anew_at_once(fleet: Fleet) -> None:
    here, there = fleet[1], node(2, "first")
    first = greet(there, here)
    assert answer_of(greet(there, here)) == "b'OK'"
    assert first.closed


def test_a_second_copy_sends_no_snapshot(fleet: Fleet) -> None:
    here = fleet[1]
    here.node.receive_snapshot = lambda session, peer: pytest.fail("it was let in")
    speak(greet(node(2, "first"), here))
    told = answer_of(greet(node(2, "second"), here, b"SNAPSHOT"))
    assert told == f"{REFUSED}node 2 runs twice: another process that is node 2 has a link to here"


def test_who_dials_another_copy_than_that_which_has_a_link_does_not_speak_to_it(fleet: Fleet) -> None:
    here = fleet[1]
    here.node.door.introduction = Introduction("one", 1)
    speak(greet(node(2, "first"), here))
    with pytest.raises(GreetingError, match="node 2 runs twice"):
        greet(here, node(2, "second"))
    greet(here, node(2, "first"))


def test_nodes_that_have_nothing_to_say_say_so(fleet: Fleet) -> None:
    """Two followers have nothing to say to each other; they are heard all the same."""
    said = []
    for _ in range(20):
        fleet.pass_time(50)
        fleet[2].node.raft_tick()
        said += [to for to, _ in fleet[2].node.take_frames()]
    assert said.count(NodeId(3)) >= 2


# Who is no member.


def test_a_stranger_is_not_let_in(fleet: Fleet) -> None:
    with_id = [answer_of(greet(node(number, "x", f"of {number}"), fleet[1])) for number in (4, 1000)]
    assert with_id == [f"{REFUSED}node {n} is no member, as far as this node has heard" for n in (4, 1000)]
    assert not fleet[1].node.members.met.keys() & {4, 1000}, "and what it says of itself is not kept"
    assert not fleet[1].node.members.heard


def test_who_hears_no_leader_listens_to_those_that_it_does_not_know() -> None:
    """All that it knows may have left while it was down."""
    fleet = Fleet()
    assert answer_of(greet(node(4, "x"), fleet[1])) == "b'OK'"


def test_who_was_let_in_while_nobody_knew_and_is_no_member_is_cut() -> None:
    fleet = Fleet()
    stranger = greet(node(4, "x"), fleet[1])
    assert answer_of(stranger) == "b'OK'"
    fleet.elect()
    fleet.pass_time(1500)
    assert stranger.closed


def test_who_takes_this_node_for_one_of_another_cluster_is_told_of_once(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        words = peer_words(b"2")
        words[3] = b"another\n"
        assert "it is of another cluster" in str(ask(fleet[1].connect(), words))
    [line] = [line for line in caplog.messages if "takes this one for one of its own" in line]
    assert "\n" not in line


def test_an_id_below_one_is_none(fleet: Fleet) -> None:
    assert "greeting cannot be read" in str(ask(fleet[1].connect(), peer_words(b"0")))


def peer_words(sender: bytes, *introduction: bytes) -> list[bytes]:
    return [b"REDRAFT", b"PEER", b"7", b"", sender, b"1", (b"n" * NONCE_BYTES).hex().encode(), *introduction]


# Versions.


def test_an_older_version_is_greeted_and_let_in_until_all_know_better(fleet: Fleet) -> None:
    reply = ask(fleet[1].connect(), peer_words(b"2"))
    assert isinstance(reply, ReplyError), "the cluster is at level 2"
    assert "its version is older than the cluster's" in str(reply)
    young = Fleet()
    assert len(ask(young[1].connect(), peer_words(b"2"))) == 3


def test_who_is_not_understood_greets_as_an_older_version_does() -> None:
    fleet, caller = Fleet(), node(2, "first")
    caller.node.config.tables[:] = caller.node.config.tables[:1]
    call = Call(NodeCaller(caller.node), NodeId(1), b"FRAMES", b"n" * NONCE_BYTES)
    assert len(call.greeting()) == 8
    words = call.refused("ERR wrong number of arguments for 'redraft|peer' command")
    assert len(words) == 7
    assert len(call.answered(ask(fleet[1].connect(), words))) == 6
    with pytest.raises(GreetingError):
        call.refused("ERR wrong number of arguments for 'redraft|peer' command")


def test_what_a_newer_version_adds_to_its_introduction_is_passed_over(fleet: Fleet) -> None:
    longer = msgspec.msgpack.encode(["life", 1, "before", "of a newer version"])
    assert len(ask(fleet[1].connect(), peer_words(b"2", longer))) == 4
    for garbage in (b"", b"\xff", b"\xc0", b"\x93\x01\x02\x03"):
        assert "cannot be read" in str(ask(fleet[1].connect(), peer_words(b"2", garbage)))


# Who knows the secret.


def pair(one: dict[str, bytes], other: dict[str, bytes]) -> tuple[World, World]:
    """Two nodes of one cluster, with these settings."""
    worlds = node(1, "one", "of one", **one), node(2, "two", "of two", **other)
    for world in worlds:
        settings = world.settings
        world.node.cluster = Cluster("a cluster", settings.cluster_secret, settings.requirepass)
        world.node.members.is_stranger = lambda peer: False
    return worlds


def is_let_in(caller: World, answerer: World) -> bool:
    try:
        return answer_of(greet(caller, answerer)) == "b'OK'"
    except GreetingError:
        return False


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"requirepass": b"p"}, {"requirepass": b"p"}, True),
        ({"requirepass": b"p"}, {"requirepass": b"q"}, False),
        ({"requirepass": b"p"}, {}, False),
        ({"cluster_secret": b"s", "requirepass": b"p"}, {"cluster_secret": b"s"}, True),
        ({"cluster_secret": b"s"}, {"requirepass": b"s"}, False),
        ({}, {}, True),
    ],
)
def test_without_a_secret_the_password_is_the_secret(
    one: dict[str, bytes], other: dict[str, bytes], *, same: bool
) -> None:
    first, second = pair(one, other)
    assert is_let_in(first, second) is is_let_in(second, first) is same


def test_who_proves_nothing_is_not_let_in(fleet: Fleet) -> None:
    """It need not look at the proof that it is answered with."""
    client = fleet[1].connect()
    words = Call(NodeCaller(node(2, "x").node), NodeId(1), b"FRAMES", b"n" * NONCE_BYTES)
    made_up = words.answered(ask(client, words.greeting()))
    made_up[3] = b"0" * 64
    assert "does not know the cluster's secret" in str(ask(client, made_up))
    assert client.session.link is None


def test_a_password_that_changes_is_the_secret_of_links_that_are_made_from_then_on() -> None:
    first, second = pair({"requirepass": b"p"}, {"requirepass": b"p"})
    link = greet(first, second)
    admin = second.connect()
    admin("AUTH p")
    assert admin("CONFIG SET requirepass q") == b"OK"
    assert not link.closed, "what is linked stays linked"
    assert not is_let_in(first, second)
    client = first.connect()
    client("AUTH p")
    client("CONFIG SET requirepass q")
    assert is_let_in(first, second)


def test_nothing_but_a_greeting_is_taken_from_who_is_not_known() -> None:
    """Of all commands these are executed without AUTH."""
    every = [each for command in TABLE for each in (command, *(command.subcommands or {}).values())]
    open_to_all = sorted(command.name for command in every if "no_auth" in command.flags)
    assert open_to_all == ["auth", "hello", "quit", "redraft|peer", "redraft|proof", "reset"]
    client = World(requirepass=b"p").connect()
    for command in every:
        if command.name.startswith("redraft|") and "no_auth" not in command.flags and not command.internal:
            words = [*command.name.split("|"), *["1"] * 20][: abs(command.arity)]
            assert str(client(*words)).startswith("NOAUTH"), command.name
