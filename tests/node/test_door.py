"""Who is let in as another node: not a second copy of a directory, not who nobody has admitted, not who is older than
the cluster, not who only knows what anybody can know."""

from __future__ import annotations

import msgspec
import pytest

from redraft.ids import NodeId
from redraft.node.calling import Call, NodeCaller, OutcastError
from redraft.node.families.all import TABLE
from redraft.node.links import NONCE_BYTES, OUTCAST, REFUSED, Cluster, GreetingError, Introduction, framed
from redraft.node.peers import Frame, decode_frame, encode_frame
from support.fleet import Fleet
from support.greeting import ask, beat_of, greet, speak
from support.processes import ReplyError
from support.world import Client, World

TICK_MS = 50
TWO, THREE = NodeId(2), NodeId(3)


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
    world.node.door.introduction = Introduction(life)
    world.node.members.incarnation = incarnation
    world.node.members.address_here = f"10.0.0.{number}:7000"
    return world


def pass_ticks(world: World, milliseconds: int, *speaking: Client, lives: dict[NodeId, str] | None = None) -> None:
    """Time passes; those who speak are there: they echo beats, and say whom they hear."""
    for ticks in range(milliseconds // TICK_MS):
        world.clock.ns += TICK_MS * 1_000_000
        world.node.raft_tick()
        world.settle()
        if ticks % 4 == 3:
            for client in speaking:
                if not client.closed:
                    speak(client, lives)


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
    assert here.node.incoming.link_of(TWO).life == "first"


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
    pass_ticks(here, 2100)
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
    assert here.node.incoming.link_of(TWO).life == "first"


def test_what_was_sent_while_this_node_slept_counts(fleet: Fleet) -> None:
    """Time that passed for others alone is no silence: ticks are counted, and what has come is read between them."""
    here = fleet[1]
    first = greet(node(2, "first"), here)
    second = greet(node(2, "second"), here)
    pass_ticks(here, 500, first)
    here.clock.ns += 60_000_000_000
    pass_ticks(here, 100)
    pass_ticks(here, 2000, first)
    assert answer_of(second).startswith(OUTCAST)


def test_what_was_on_its_way_for_long_is_no_sign_of_life(fleet: Fleet) -> None:
    """A node was started again, and what its last process has sent still comes: frames, and echoes of old beats."""
    here = fleet[1]
    first = greet(node(2, "first"), here)
    pass_ticks(here, 1000, first)
    old = beat_of(here, 2)
    second = greet(node(2, "second"), here)
    for _ in range(50):
        pass_ticks(here, 50)
        speak(first, {}, echo=old)
    assert answer_of(second) == "b'OK'"


def test_an_echo_of_an_earlier_process_s_beat_is_none(fleet: Fleet) -> None:
    here = fleet[1]
    first = greet(node(2, "first"), here)
    second = greet(node(2, "second"), here)
    for _ in range(42):
        pass_ticks(here, 50)
        if not first.closed:
            speak(first, echo=here.node.door._first_beat + 10_000)
            speak(first, echo=17)
    assert answer_of(second) == "b'OK'"


def test_a_link_that_gave_way_says_nothing_more(fleet: Fleet) -> None:
    here = fleet[1]
    first = greet(node(2, "first"), here)
    old = here.node.incoming.link_of(TWO)
    first.hang_up()
    greet(node(2, "second"), here)
    old.receive(framed(encode_frame(Frame(beat=99))))
    assert here.node.incoming.link_of(TWO).beat == 0


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
    here.node.door.introduction = Introduction("one")
    speak(greet(node(2, "first"), here))
    with pytest.raises(GreetingError, match="node 2 runs twice"):
        greet(here, node(2, "second"))
    greet(here, node(2, "first"))


# Copies that are heard by different nodes.


@pytest.fixture
def third(fleet: Fleet) -> Client:
    """The link of the third node to the first."""
    link = greet(node(3, "third"), fleet[1])
    assert answer_of(link) == "b'OK'"
    return link


def test_a_copy_is_refused_also_by_who_does_not_hear_the_first(fleet: Fleet, third: Client) -> None:
    here = fleet[1]
    speak(third, {TWO: "first"})
    second = greet(node(2, "second"), here)
    pass_ticks(here, 2400, third, lives={TWO: "first"})
    assert answer_of(second) == "", "what the third says may be of before"
    pass_ticks(here, 1000, third, lives={TWO: "first"})
    assert answer_of(second).startswith(f"{OUTCAST}node 2 runs already")


def test_who_is_heard_elsewhere_no_more_gives_way_at_once(fleet: Fleet, third: Client) -> None:
    speak(third, {TWO: "first"})
    second = greet(node(2, "second"), fleet[1])
    assert answer_of(second) == ""
    speak(third, {})
    assert answer_of(second) == "b'OK'"
    third.hang_up()
    fleet[1].settle()
    assert THREE not in fleet[1].node.door._said


def test_what_who_is_silent_has_said_counts_no_more(fleet: Fleet, third: Client) -> None:
    """The third may sleep, and the first be gone meanwhile."""
    speak(third, {TWO: "first"})
    second = greet(node(2, "second"), fleet[1])
    pass_ticks(fleet[1], 2100)
    assert answer_of(second) == "b'OK'"


def test_what_was_said_counts_no_more_when_who_said_it_is_gone(fleet: Fleet, third: Client) -> None:
    speak(third, {TWO: "first"})
    second = greet(node(2, "second"), fleet[1])
    third.hang_up()
    fleet[1].settle()
    assert answer_of(second) == "b'OK'"


@pytest.mark.parametrize(("here", "there", "stays"), [("a", "b", True), ("b", "a", False)])
def test_of_two_copies_that_are_heard_by_one_node_each_one_is_cut_and_it_is_the_same_for_both(
    fleet: Fleet, third: Client, here: str, there: str, *, stays: bool
) -> None:
    link = greet(node(2, here), fleet[1])
    assert answer_of(link) == "b'OK'"
    for _ in range(80):
        pass_ticks(fleet[1], 50)
        speak(third, {TWO: there})
        if not link.closed:
            speak(link)
    assert link.closed is not stays
    other = greet(node(2, there), fleet[1])
    for _ in range(80):
        pass_ticks(fleet[1], 50)
        speak(third, {TWO: there})
        if not link.closed:
            speak(link)
    assert answer_of(other).startswith(OUTCAST) is stays


def test_a_copy_that_more_nodes_hear_takes_the_place_of_one_that_fewer_hear(fleet: Fleet, third: Client) -> None:
    here = fleet[1]
    first = greet(node(2, "a"), here)
    answer_of(first)
    here.node.members.is_stranger = lambda peer: False  # type: ignore[method-assign]
    fourth = greet(node(4, "fourth", "of 4"), here)
    assert answer_of(fourth) == "b'OK'"
    second = greet(node(2, "b"), here)
    for _ in range(60):
        pass_ticks(here, 50)
        for client in (third, fourth):
            speak(client, {TWO: "b"})
        if not first.closed:
            speak(first)
    assert answer_of(second) == "b'OK'"
    assert first.closed


def test_whom_a_node_hears_is_said_when_it_changes(fleet: Fleet) -> None:
    def said() -> dict[NodeId, str] | None:
        frames = [decode_frame(data) for to, data in fleet[1].frames if to == THREE]
        fleet[1].frames.clear()
        return frames[-1].lives if frames else None

    fleet[1].tick()
    fleet[1].frames.clear()
    first = greet(node(2, "first"), fleet[1])
    assert said() == {TWO: "first"}
    first.hang_up()
    fleet[1].settle()
    assert said() == {}


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
    longer = msgspec.msgpack.encode(["life", "of a newer version", 7])
    assert len(ask(fleet[1].connect(), peer_words(b"2", longer))) == 4
    for garbage in (b"", b"\xff", b"\xc0", b"\x91\x01"):
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
