"""A shard: from commands to entries, from entries to replies, and what becomes of them when it does not go well."""

from __future__ import annotations

from typing import Any

import pytest

from redraft.commands.table import Command
from redraft.errors import CommandError
from redraft.ids import Index, NodeId, Term
from redraft.keyspace.flush import RecordWriter
from redraft.keyspace.keyspace import Keyspace
from redraft.raft.errors import EntryTooBigError, NotLeaderError
from redraft.raft.membership import ChangeKind, ConfChange, MemberChange, decode_change, encode_change
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import ConfState, Entry, EntryKind
from redraft.raft.ready import Ready
from redraft.resp.reply import OK
from redraft.shard import entry, shard
from redraft.shard.shard import FEW_WRITES, FULL_BYTES, MOST_IN_FLIGHT, UNKNOWN_OUTCOME, AppliedPoint, Outcome, Shard
from support.member import NOW_MS, Member, state


@pytest.fixture
def member() -> Member:
    return Member().lead()


def times(member: Member) -> list[int]:
    return [entry.header(each.data).time_ms for each in member.entries()]


def commands(member: Member) -> list[list[list[bytes]]]:
    """The commands of each entry of the log."""
    marks = ([b"MULTI"], [b"EXEC"])
    return [[argv for _, argv in entry.commands(each.data) if argv not in marks] for each in member.entries()]


def answers(outcomes: list[Outcome]) -> list[Any]:
    return [reply for outcome in outcomes for replies in outcome.replies for reply in replies]


# The road of a write.


def test_the_writes_of_a_tick_are_one_entry(member: Member) -> None:
    for word in ("SET a 1", "SET b 2", "INCR a", "GET a"):
        member.add(*word.split())
    assert member.replies() == [OK, OK, 2, b"2"]
    assert commands(member) == [[[b"SET", b"a", b"1"], [b"SET", b"b", b"2"], [b"INCR", b"a"]]]


def test_a_write_is_executed_once_it_is_committed_and_not_before(member: Member) -> None:
    batch = member.add("SET", "a", "1")
    assert member.propose() == []
    assert batch.index == member.raft.last_index
    assert member.read("GET", "a") is None
    member.persist()
    assert member.read("GET", "a") is None, "durable, but not applied yet"
    assert not batch.applied
    (outcome,) = member.persist()
    assert outcome.batch is batch
    assert outcome.replies == [[OK]]
    assert batch.applied
    assert member.read("GET", "a") == b"1"
    assert member.settle() == [], "its replies are handed out once"


def test_a_tick_without_writes_is_no_entry(member: Member) -> None:
    before = member.raft.last_index
    member.add("GET", "a")
    (outcome,) = member.propose()
    assert outcome.replies == [[None]]
    assert outcome.batch.applied
    assert member.raft.last_index == before


def test_a_batch_is_closed_once_it_is_large(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard, "BATCH_BYTES", 100)
    for number in range(20):
        member.add("APPEND", "k", f"{number:02d}")
    member.add_exec(member.transaction(*["APPEND k x"] * 9))
    assert member.shard.batch.items == [], "a large transaction closes its batch too"
    packed = b"".join(entry.pack((b"APPEND", b"k", b"yy")) for _ in range(9))
    append, argv = member.lookup(["APPEND", "k", "yy"])
    member.shard.add_writes("client", append, [argv] * 9, 0, packed)
    assert member.shard.batch.items == [], "and so does a long run"
    replies = member.replies()
    assert replies[:20] == list(range(2, 42, 2))
    assert [len(words) for words in commands(member)] == [4] * 5 + [9, 9], "28 bytes each"
    assert member.read("STRLEN", "k") == 40 + 9 + 18


# Reads behind writes.


def test_a_read_behind_a_write_sees_it_and_nothing_later(member: Member) -> None:
    sequence = [("SET", "a", 1), ("GET", "a"), ("GET", "a"), ("SET", "a", 2), ("GET", "a"), ("DEL", "a"), ("GET", "a")]
    for words in sequence:
        member.add(*words)
    assert member.replies() == [OK, b"1", b"1", OK, b"2", 1, None]


def test_a_read_joins_the_last_write_wherever_it_is_on_its_way(member: Member) -> None:
    first = member.add("SET", "a", 1)
    assert member.add("GET", "a") is first, "in the open batch"
    member.propose()
    assert member.add("GET", "a") is first, "proposed"
    member.persist()
    assert member.add("GET", "a") is first, "durable"
    second = member.add("SET", "a", 2)
    assert second is not first
    assert member.add("GET", "a") is second
    assert member.replies() == [OK, b"1", b"1", b"1", OK, b"2"]
    assert member.add("GET", "a") is member.shard.batch, "nothing is on its way"
    assert member.replies() == [b"2"]


def test_a_transaction_that_only_reads_stands_behind_writes_too(member: Member) -> None:
    member.add("SET", "a", 1)
    member.propose()
    member.add_exec(member.transaction("GET a", "EXISTS a"))
    member.add("SET", "a", 2)
    assert member.replies() == [OK, [b"1", 1], OK]
    assert commands(member) == [[[b"SET", b"a", b"1"]], [[b"SET", b"a", b"2"]]]


def test_a_transaction_is_logged_with_its_writes_only(member: Member) -> None:
    member.add_exec(member.transaction("SET a 1", "GET a", "INCR a"))
    assert member.replies() == [[OK, b"1", 2]]
    assert commands(member) == [[[b"SET", b"a", b"1"], [b"INCR", b"a"]]]


def test_what_is_not_applied_yet_is_told_in_order(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard, "BATCH_BYTES", 30)
    first = member.add("SET", "a", "x" * 30)
    member.propose()
    second = member.add("SET", "b", "x" * 30)
    third = member.add("SET", "c", "x")
    assert member.shard.unapplied() == [first, second, third]
    assert member.shard.last_batch() is third
    member.settle()
    assert member.shard.unapplied() == [member.shard.batch]


# Time.


def test_the_time_of_entries_never_goes_back(member: Member) -> None:
    for now_ms in (100, 90, 101, -5, 101, 300):
        member.now_ms = NOW_MS + now_ms
        member("SET", "a", now_ms)
    assert [time_ms - NOW_MS for time_ms in times(member)] == [100, 100, 101, 101, 101, 300]


def test_a_key_that_was_due_stays_so_when_the_clock_is_put_back(member: Member) -> None:
    member("SET", "a", "v", "PX", 10)
    member.now_ms += 10
    member("SET", "b", "v")
    member.now_ms -= 5000
    assert member("SET", "a", "w", "XX") is None
    assert member.read("GET", "a") is None


def test_time_does_not_go_back_after_a_restart(member: Member) -> None:
    member.now_ms += 1000
    member("SET", "a", 1)
    again = Member(member.log).lead()
    assert again.shard.applied.time_ms == NOW_MS + 1000
    again("SET", "b", 1)
    assert times(again) == [NOW_MS + 1000] * 2
    kept = AppliedPoint(again.shard.applied.index, again.shard.applied.term, NOW_MS + 7000)
    from_image = Member(again.log, applied=kept).lead()
    from_image("SET", "c", 1)
    assert times(from_image)[-1] == NOW_MS + 7000, "the image tells the time too"


def test_reads_tell_of_the_present_and_hide_what_the_log_has_decided(member: Member) -> None:
    shard = member.shard
    member("SET", "a", "v", "PX", 10)
    assert member.read("PTTL", "a") == 10
    shard.present.set_clock(NOW_MS + 4)
    assert member.read("PTTL", "a") == 6
    shard.present.set_clock(NOW_MS - 100)
    assert member.read("PTTL", "a") == 10, "the present is no earlier than the last entry"
    shard.present.set_clock(NOW_MS + 10)
    assert (member.read("PTTL", "a"), member.read("GET", "a")) == (0, b"v")
    member.now_ms += 10
    member("SET", "b", 1)
    assert (member.read("PTTL", "a"), member.read("GET", "a")) == (-2, None)
    assert shard.keyspace.databases[0].exists(b"a", 0), "a read removes nothing"


def test_what_is_due_by_the_clock_and_not_by_the_log_is_found(member: Member) -> None:
    shard = member.shard
    member("SET", "a", "v", "PX", 10)
    member("SET", "b", "v", "PX", 20)
    member("SET", "c", "v")

    def due(*words: str) -> bool:
        command, argv = member.lookup(words)
        return shard.present.finds_due(command, [argv], 0)

    reads = [("GET", "a"), ("GET", "b"), ("MGET", "c", "a"), ("EXISTS", "c"), ("KEYS", "*"), ("DBSIZE",)]
    assert not any(due(*words) for words in reads)
    shard.present.set_clock(NOW_MS + 10)
    assert [words for words in reads if due(*words)] == [("GET", "a"), ("MGET", "c", "a"), ("KEYS", "*")]
    member.now_ms += 10
    member("SET", "c", "w")
    assert not any(due(*words) for words in reads)
    shard.present.set_clock(NOW_MS + 20)
    assert [words for words in reads if due(*words)] == [("GET", "b"), ("KEYS", "*")], "a is hidden and still there"


def test_a_leader_whose_clock_is_behind_does_not_take_the_state_s_time_back(member: Member) -> None:
    """Its first entries are proposed before it has applied what its predecessor has left in the log."""
    member("SET", "a", "v", "PXAT", NOW_MS + 10)
    for time_ms, words in ((NOW_MS + 10, (b"DEL", b"b")), (NOW_MS + 5, (b"APPEND", b"a", b"w"))):
        index = Index(member.log.last_index() + 1)
        member.log.write(None, [Entry(index, Term(1), data=entry.encode(time_ms, 0, [entry.pack(words)]))])
    again = Member(member.log).lead()
    assert again.shard.applied.time_ms == NOW_MS + 10
    assert again.read("GET", "a") == b"w", "it was gone, and is begun anew"


# What Raft refuses.


def test_beyond_its_uncommitted_bytes_a_group_is_congested_and_nothing_is_lost() -> None:
    member = Member(max_uncommitted_bytes=200).lead()
    first = member.add("SET", "a", "x" * 300)
    assert member.propose() == []
    assert first.index is not None, "an entry may always be larger when it is alone"
    assert not member.shard.congested
    second = member.add("APPEND", "a", "y")
    member.add("STRLEN", "a")
    assert member.shard.propose(NOW_MS, everything=True) == []
    assert member.shard.congested
    assert second.index is None
    third = member.add("APPEND", "a", "z")
    assert member.shard.propose(NOW_MS, everything=True) == []
    assert member.shard.congested
    assert member.shard.unapplied()[:3] == [first, second, third]
    assert answers(member.settle()) == [OK, 301, 301, 302]
    assert not member.shard.congested
    assert second.index is not None
    assert third.index is not None
    assert first.index < second.index < third.index


def test_a_batch_of_reads_waits_behind_a_congested_one() -> None:
    member = Member(max_uncommitted_bytes=10).lead()
    member.add("SET", "a", "x" * 30)
    member.propose()
    member.add("SET", "a", "y")
    member.propose()
    assert member.add("GET", "a").index is None
    assert member.propose() == []
    assert answers(member.settle()) == [OK, OK, b"y"]


def test_a_replica_that_does_not_lead_refuses_writes_and_says_so() -> None:
    member = Member()
    batch = member.add("SET", "a", 1)
    member.add("GET", "a")
    member.add_exec(member.transaction("SET a 1"))
    (outcome,) = member.propose()
    assert outcome.batch is batch
    assert batch.applied
    for reply in answers([outcome]):
        assert isinstance(reply, CommandError)
        assert reply.text.startswith("CLUSTERDOWN the write was refused: not the leader")
    assert [len(replies) for replies in outcome.replies] == [1, 1, 1]
    assert member.lead().read("GET", "a") is None, "and the write never happens"
    assert member.entries() == []


def test_an_entry_that_is_too_large_is_refused_and_the_next_is_not() -> None:
    member = Member(max_entry_bytes=100).lead()
    member.add("SET", "a", "x" * 100)
    (outcome,) = member.propose()
    (reply,) = answers([outcome])
    assert "the limit is 100" in reply.text
    assert member("SET", "a", "x") == OK
    assert commands(member) == [[[b"SET", b"a", b"x"]]]


# Batches that are lost: a group of one never loses any, so Raft is a fake here.


class FakeRaft:
    """Raft as a shard sees it: proposals get indexes, and the test says what is committed."""

    is_alone = False

    def __init__(self) -> None:
        self.term = Term(5)
        self.last_index = 10
        self.applied = Index(10)
        self.refuses: Exception | None = None

    def propose(self, data: bytes) -> Index:
        if self.refuses is not None:
            raise self.refuses
        self.last_index += 1
        return Index(self.last_index)

    def apply_change(self, committed: Entry) -> ConfState:
        return ConfState(voters=(NodeId(1), decode_change(committed.data).changes[0].node))

    def applied_to(self, index: Index) -> None:
        assert index > self.applied
        self.applied = index


class Follower(Member):
    """A member whose log is whatever the test commits."""

    def __init__(self) -> None:
        super().__init__(MemoryStorage())
        self.fake = FakeRaft()
        self.shard.raft = self.fake  # type: ignore[assignment]
        self.shard.applied = AppliedPoint(Index(10), Term(4), NOW_MS)
        self.shard.flushed = Index(10)

    def commit(self, *lines: str, index: int, term: int = 5, time_ms: int = NOW_MS) -> list[Outcome]:
        data = entry.encode(time_ms, 1, [entry.pack(tuple(line.encode().split())) for line in lines]) if lines else b""
        kind = EntryKind.NORMAL if lines else EntryKind.NOOP
        outcomes = self.shard.apply_committed(Ready(None, [], [Entry(Index(index), Term(term), kind, data)], False))
        self.shard.check()
        return outcomes


@pytest.fixture
def follower() -> Follower:
    return Follower()


def unknown(outcomes: list[Outcome]) -> bool:
    replies = answers(outcomes)
    return bool(replies) and all(isinstance(reply, CommandError) and reply.text == UNKNOWN_OUTCOME for reply in replies)


def test_an_entry_of_another_leader_at_the_index_of_a_batch_makes_its_outcome_unknown(follower: Follower) -> None:
    batch = follower.add("SET", "a", "ours")
    follower.add("GET", "a")
    follower.add_exec(follower.transaction("GET a", "SET a b"))
    follower.propose()
    assert batch.index == 11
    (outcome,) = follower.commit("SET a theirs", index=11, term=6)
    assert outcome.batch is batch
    assert unknown([outcome])
    assert [len(replies) for replies in outcome.replies] == [1, 1, 1]
    assert batch.applied, "nothing may be put behind it any more"
    assert follower.read("GET", "a") == b"theirs"
    assert follower.shard.applied == AppliedPoint(Index(11), Term(6), NOW_MS)


def test_a_new_leader_s_no_op_in_the_place_of_a_batch_makes_its_outcome_unknown(follower: Follower) -> None:
    follower.add("SET", "a", "ours")
    follower.propose()
    assert unknown(follower.commit(index=11, term=6))
    assert follower.read("GET", "a") is None


def test_a_batch_that_was_passed_over_is_lost_and_those_behind_it_are_not(follower: Follower) -> None:
    batches = []
    for number in range(3):
        batches.append(follower.add("SET", "a", number))
        follower.shard.propose(NOW_MS, everything=True)
    outcomes = follower.commit("SET a 2", index=13)
    assert [outcome.batch for outcome in outcomes] == batches
    assert unknown(outcomes[:2])
    assert outcomes[2].replies == [[OK]]
    assert follower.read("GET", "a") == b"2"


def test_what_comes_in_while_an_entry_is_under_way_gathers_in_one_more(follower: Follower) -> None:
    for number in range(4):
        follower.add("SET", "a", number)
        follower.propose()
    assert [batch.index for batch in follower.shard.unapplied()] == [11, None]
    assert not follower.shard.may_propose()
    follower.commit("SET a 0", index=11)
    assert follower.shard.may_propose()
    follower.propose()
    assert [batch.writes for batch in follower.shard.unapplied()] == [3, 0]


def test_a_full_batch_does_not_wait_for_the_entry_under_way_unless_too_many_are(follower: Follower) -> None:
    for number in range(MOST_IN_FLIGHT + 2):
        follower.add("SET", "a", "x" * FULL_BYTES)
        follower.propose()
        assert len(follower.shard.unapplied()) == min(number + 1, MOST_IN_FLIGHT) + 1
    follower.add("SET", "a", 1)
    assert not follower.shard.may_propose()


def test_a_batch_waits_for_those_who_were_just_answered(follower: Follower) -> None:
    def write(count: int) -> None:
        for number in range(count):
            follower.add("SET", "a", number)

    write(FEW_WRITES + 2)
    assert not follower.shard.expects_more(), "nobody was answered yet"
    follower.propose()
    write(1)
    assert not follower.shard.expects_more(), "an entry is under way: when it is committed, more will come"
    follower.commit("SET a 1", index=11)
    assert follower.shard.expects_more()
    write(FEW_WRITES)
    assert follower.shard.expects_more()
    write(1)
    assert not follower.shard.expects_more(), "all are there"


def test_a_batch_of_a_node_that_is_alone_waits_for_nobody() -> None:
    member = Member().lead()
    for _ in range(2):
        for number in range(FEW_WRITES + 2):
            member.add("SET", "a", number)
            assert not member.shard.expects_more()
        member.propose()
        member.settle()


def test_giving_up_tells_every_client_whether_its_outcome_is_unknown(follower: Follower) -> None:
    first = follower.add("SET", "a", 1)
    follower.propose()
    follower.fake.refuses = NotLeaderError(NodeId(2))
    second = follower.add("SET", "b", 1)
    follower.add("GET", "b")
    outcomes = follower.shard.fail_in_flight()
    assert [outcome.batch for outcome in outcomes] == [first, second]
    assert unknown(outcomes[:1])
    assert [str(error)[:11] for error in answers(outcomes[1:])] == ["CLUSTERDOWN"] * 2, "it was never proposed"
    assert follower.shard.fail_in_flight() == []
    assert follower.shard.unapplied() == [follower.shard.batch]
    assert follower.commit("SET a 1", index=11) == [], "it is applied all the same, and nobody is told twice"
    assert follower.read("GET", "a") == b"1"


@pytest.mark.parametrize(
    ("error", "text"),
    [(NotLeaderError(NodeId(2)), "CLUSTERDOWN "), (EntryTooBigError("too big"), "ERR the write is too")],
)
def test_a_refused_batch_does_not_hold_up_those_behind_it(follower: Follower, error: Exception, text: str) -> None:
    follower.fake.refuses = error
    follower.add("SET", "a", 1)
    (outcome,) = follower.propose()
    assert answers([outcome])[0].text.startswith(text)
    follower.fake.refuses = None
    follower.add("SET", "a", 2)
    assert follower.propose() == []
    assert follower.commit("SET a 2", index=11)[0].replies == [[OK]]


def test_entries_of_others_are_applied_and_answered_to_nobody(follower: Follower) -> None:
    assert follower.commit("SET a 1", "INCR a", index=11, time_ms=NOW_MS + 5) == []
    assert follower.read("GET", "a") == b"2"
    assert follower.shard.applied == AppliedPoint(Index(11), Term(5), NOW_MS + 5)
    assert follower.fake.applied == 11
    assert follower.shard.logged_bytes_since_flush > 0


def test_a_leader_s_clock_starts_at_the_last_entry_s_time(follower: Follower) -> None:
    follower.commit("SET a v PX 1000", index=11, time_ms=NOW_MS + 60_000)
    follower.now_ms = NOW_MS
    follower.add("PTTL", "a")
    assert answers(follower.propose()) == [1000]


def test_a_membership_change_becomes_part_of_what_is_applied(follower: Follower) -> None:
    added = (MemberChange(ChangeKind.ADD_VOTER, NodeId(3)),)
    change = Entry(Index(11), Term(5), EntryKind.CHANGE, encode_change(ConfChange(added, b"7")))
    follower.shard.apply_committed(Ready(None, [], [change], False))
    assert (follower.shard.applied.index, follower.shard.applied.conf.voters) == (11, (1, 3))
    follower.commit("SET a 1", index=12)
    assert (follower.shard.applied.conf.voters, follower.shard.applied.table_version) == ((1, 3), 7)
    change = Entry(Index(13), Term(5), EntryKind.CHANGE, encode_change(ConfChange(added)))
    follower.shard.apply_committed(Ready(None, [], [change], False))
    assert follower.shard.applied.table_version == 7


# The image.


class Writer(RecordWriter):
    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes) -> None:
        self.records[key] = value

    def delete(self, key: bytes) -> None:
        self.records.pop(key, None)


def test_an_image_is_of_the_index_at_which_its_flush_began(member: Member) -> None:
    for number in range(50):
        member("SET", f"k{number}", number)
    writer = Writer()
    expected = state(member.keyspace)
    applied = member.shard.applied
    point = member.shard.begin_flush(writer)
    assert point.applied == applied
    assert member.shard.logged_bytes_since_flush == 0
    for number in range(50):
        member("APPEND", f"k{number}", "later")
        assert member.shard.flush is not None
        member.shard.flush.step(1)
    while not member.shard.flush.step(10):  # type: ignore[union-attr]
        pass
    member.shard.end_flush(point)
    assert member.shard.flush is None
    assert member.shard.flushed == applied.index
    assert member.shard.logged_bytes_since_flush > 0, "what was logged while the flush went on"
    loaded = Keyspace.load(point.keyspace, sorted(writer.records.items()))
    assert state(loaded) == expected
    again = Member(member.log, keyspace=loaded, applied=point.applied).lead()
    assert state(again.keyspace) == state(member.keyspace)


def test_there_is_one_flush_at_a_time(member: Member) -> None:
    member.shard.begin_flush(Writer())
    with pytest.raises(AssertionError, match="one flush at a time"):
        member.shard.begin_flush(Writer())


def test_statistics_count_what_is_under_way(member: Member) -> None:
    member("SET", "a", 1)
    member.add("SET", "b", 1)
    member.propose()
    told = member.shard.statistics()
    assert told["batches_in_flight"] == 1
    assert told["applied_index"] == member.shard.applied.index
    assert told["keys"] == 1
    member.settle()
    assert member.shard.statistics()["batches_in_flight"] == 0
    assert member.shard.statistics()["keys"] == 2


def test_each_replica_has_counters_of_its_own() -> None:
    one, other = Member().lead(), Member().lead()
    one("SET", "a", 1)
    found: list[Command | None] = [each.table.find(b"set") for each in (one, other)]
    assert [command.calls if command is not None else None for command in found] == [1, 0]
    assert isinstance(one.shard, Shard)
