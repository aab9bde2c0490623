"""Golden scripts (`raft.golden`) of what a group of members does together, in clusters/.

cluster N [voters=N] [OPTION=N ...]   N members on empty disks; options are those of RaftConfig
campaign A                            A stands for election
propose A WORD ...                    propose on A
settle                                until nobody has anything to do
tick N [of A ...]                     N times: time passes for all, or for some; then settle
pulse A of B [N]                      A hears N pulses of B, which says what B believes, a tick of A before each
sync A, take A [entries-first]        one step of one member's driver
urgent A                              what A may say while a Ready is being made durable
round                                 every member takes and syncs what it has; then what is on the way arrives
hold-commit A, tell-commit A          A tells of commits with entries only, or at once again
deliver, lose                         what is on the way arrives, or not
delay, resume                         what is on the way waits, and goes on
cut A B ... | one-way A B | heal      A, B … hear nobody else and are heard by nobody else; A's messages do not reach B
crash A, start A                      with the loss of what was not synced
flush A, compact A                    an image of what is applied; letting go of the log before it
change A WORD ...                     +4: node 4 becomes a voter, ~4: a learner, -4: it goes
transfer A B                          A hands over to B
read A                                a read on A; `reads` shows the indexes that reads may be answered at
copy A, put-back A                    what A has on disk; A, which is down, starts with its last copy
disk A TERM ...                       give A, which is down, a log whose entries have these terms
forget A, recollect A TERM END/TERM   A hears that it has less than it promised; and then, how far the others' logs go
distrust A B [knows-it], trust A B    A hears that of B; and that B is whole again
lease A                               whether A serves reads alone
set A OPTION=N ...                    A goes by other settings from now on, also while it is down
status [A ...], log A, network        what there is
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from raft.cluster import Cluster, Member
from raft.golden import play, scripts

from redraft.ids import Index, NodeId, Term
from redraft.raft.errors import RaftError
from redraft.raft.membership import ChangeKind, ConfChange, MemberChange
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import (
    AnyMessage,
    Append,
    AppendReply,
    ConfState,
    Entry,
    EntryKind,
    HardState,
    Position,
    Vote,
    VoteReply,
)

KINDS = {"+": ChangeKind.ADD_VOTER, "~": ChangeKind.ADD_LEARNER, "-": ChangeKind.REMOVE}


def options_of(words: tuple[str, ...]) -> dict[str, int]:
    return {name.replace("-", "_"): int(value) for name, value in (word.split("=") for word in words)}


class Interpreter:
    """Runs the commands of one script."""

    cluster: Cluster
    reads = 0

    def __init__(self) -> None:
        self.delayed: list[AnyMessage] = []
        self.copies: dict[str, tuple[MemoryStorage, tuple[list[Entry], ConfState]]] = {}

    def run(self, line: str) -> Iterator[str]:
        """The output of one command line."""
        name, *words = line.split()
        command: Callable[..., Iterator[str] | None] = getattr(self, "do_" + name.replace("-", "_"))
        try:
            yield from command(*words) or ()
            self.cluster.check()
        except RaftError as error:
            yield f"{type(error).__name__}: {error}"

    def member(self, word: str) -> Member:
        return self.cluster.members[NodeId(int(word))]

    def do_cluster(self, size: str, *words: str) -> None:
        options = options_of(words)
        self.cluster = Cluster(int(size), options.pop("voters", None), **options)

    def do_set(self, word: str, *words: str) -> None:
        self.member(word).configure(**options_of(words))

    def do_campaign(self, word: str) -> None:
        self.member(word).raft.campaign()

    def do_propose(self, word: str, *data: str) -> None:
        for each in data:
            self.member(word).raft.propose(each.encode())

    def do_settle(self, *names: str) -> Iterator[str]:
        shown: list[AnyMessage] = []
        before, self.cluster.cut = self.cluster.cut, lambda message: bool(shown.append(message)) or before(message)  # type: ignore[func-returns-value]
        try:
            self.cluster.settle()
        finally:
            self.cluster.cut = before
        yield from (shown_message(message) for message in shown if type(message).__name__ in names)

    def do_quiet(self) -> None:
        self.cluster.cut = lambda message: True
        self.cluster.tick(self.cluster.members[NodeId(1)].config.election_ticks)
        self.do_heal()

    def do_tick(self, count: str, *words: str) -> None:
        self.cluster.tick(int(count), [int(word) for word in words[1:]] or None)

    def do_pulse(self, word: str, _of: str, other: str, count: str = "1") -> None:
        status = self.member(other).raft.status()
        for _ in range(int(count)):
            self.cluster.tick(1, [int(word)])
            self.member(word).raft.hear_pulse(status.id, status.term, status.leader)

    def do_take(self, word: str, *options: str) -> None:
        self.cluster.take(self.member(word), entries_first="entries-first" in options)

    def do_urgent(self, word: str) -> None:
        self.cluster.network += self.member(word).raft.take_urgent()

    def do_hold_commit(self, word: str) -> None:
        self.member(word).raft.hold_commit()

    def do_tell_commit(self, word: str) -> None:
        self.member(word).raft.tell_commit()

    def do_sync(self, word: str) -> None:
        self.cluster.sync(self.member(word))

    def do_deliver(self) -> None:
        messages, self.cluster.network = self.cluster.network, []
        for message in messages:
            self.cluster.deliver(message)

    def do_round(self) -> None:
        for member in self.cluster.running():
            while member.raft.has_ready() or member.unsynced:
                if member.unsynced:
                    self.cluster.sync(member)
                else:
                    self.cluster.take(member)
        self.do_deliver()

    def do_lose(self) -> None:
        self.cluster.network.clear()

    def do_delay(self) -> None:
        self.delayed += self.cluster.network
        self.do_lose()

    def do_resume(self) -> None:
        self.cluster.network += self.delayed
        self.delayed.clear()

    def do_cut(self, *words: str) -> None:
        group = {int(word) for word in words}
        self.cluster.cut = lambda message: (message.sender in group) != (message.to in group)

    def do_one_way(self, sender: str, to: str) -> None:
        self.cluster.cut = lambda message: (message.sender, message.to) == (int(sender), int(to))

    def do_heal(self) -> None:
        self.cluster.cut = lambda message: False

    def do_crash(self, word: str) -> None:
        self.cluster.crash(self.member(word))

    def do_start(self, word: str) -> None:
        self.member(word).start()

    def do_flush(self, word: str) -> None:
        self.member(word).flush()

    def do_compact(self, word: str) -> None:
        self.member(word).compact()

    def do_change(self, word: str, *changes: str) -> None:
        members = tuple(MemberChange(KINDS[each[0]], NodeId(int(each[1:]))) for each in changes)
        self.member(word).raft.change_members(ConfChange(members))

    def do_transfer(self, word: str, to: str) -> None:
        self.member(word).raft.transfer_leader(NodeId(int(to)))

    def do_read(self, word: str) -> None:
        self.reads += 1
        self.member(word).raft.read_index([self.reads], self.cluster.now_ms)

    def do_reads(self, word: str) -> Iterator[str]:
        member = self.member(word)
        for state in member.reads:
            yield f"read {state.context}: at {state.index}"
        member.reads.clear()

    def do_disk(self, term: str, word: str, *terms: str) -> None:
        member = self.member(word)
        entries = [Entry(Index(n), Term(int(each)), data=b"x%d" % n) for n, each in enumerate(terms, 1)]
        member.disk.write(HardState(Term(int(term))), entries)
        member.start()

    def do_copy(self, word: str) -> None:
        member = self.member(word)
        self.copies[word] = deepcopy(member.disk), deepcopy(member.image)

    def do_put_back(self, word: str) -> None:
        member = self.member(word)
        member.disk, member.image = deepcopy(self.copies[word])
        member.start()

    def do_forget(self, word: str) -> None:
        self.member(word).raft.forget()

    def do_recollect(self, word: str, term: str, end: str) -> None:
        index, _, last_term = end.partition("/")
        floor = Position(Term(int(last_term)), Index(int(index)))
        self.member(word).raft.recollect(floor, Term(int(term)), may_stand=False)

    def do_distrust(self, word: str, other: str, *words: str) -> None:
        self.member(word).raft.distrust(NodeId(int(other)), knows_it="knows-it" in words)

    def do_trust(self, word: str, other: str) -> None:
        self.member(word).raft.trust(NodeId(int(other)))

    def do_lease(self, word: str) -> Iterator[str]:
        yield "yes" if self.member(word).raft.has_lease(self.cluster.now_ms) else "no"

    def do_status(self, *words: str) -> Iterator[str]:
        for member in self.cluster.members.values():
            if words and str(member.config.id) not in words:
                continue
            if not member.up:
                yield f"{member.config.id}: down"
                continue
            status = member.raft.status()
            yield (
                f"{status.id}: {status.role.value} of term {status.term}, leader {status.leader or '-'};"
                f" applied {status.applied_index}, committed {status.commit_index}, last {status.last_index};"
                f" {shown_conf(member.raft.conf)}{'; forgetful' if member.raft.forgetful else ''}"
            )

    def do_log(self, word: str) -> Iterator[str]:
        member = self.member(word)
        start, last = member.disk.start, member.disk.last_index()
        if start.index:
            yield f"begins after entry {start.index} of term {start.term}"
        if last > start.index:
            entries = member.disk.entries(Index(start.index + 1), Index(last + 1), 1 << 30)
            yield ", ".join(map(shown_entry, entries))

    def do_network(self) -> Iterator[str]:
        yield from map(shown_message, self.cluster.network)


def shown_conf(conf: ConfState) -> str:
    parts = [f"voters {' '.join(map(str, conf.voters))}"]
    for name in ("outgoing", "learners", "learners_next"):
        if nodes := getattr(conf, name):
            parts.append(f"{name} {' '.join(map(str, nodes))}")
    return ", ".join(parts)


def shown_entry(entry: Entry) -> str:
    what = {EntryKind.NOOP: "(no-op)", EntryKind.CHANGE: "(change)"}.get(entry.kind) or entry.data.decode()
    return f"{entry.index}/{entry.term} {what}"


def shown_message(message: AnyMessage) -> str:
    head = f"{message.sender}->{message.to} {type(message).__name__} of term {message.term}"
    match message:
        case Vote():
            asks = "pre-vote" if message.pre else "forced vote" if message.handover >= 0 else "vote"
            return f"{head}: {asks}, log ends at {message.last_index}/{message.last_term}"
        case VoteReply():
            return f"{head}: {'granted' if message.granted else 'refused'}{', pre' if message.pre else ''}"
        case Append():
            entries = ", ".join(map(shown_entry, message.entries)) or "nothing"
            return f"{head}: after {message.prev_index}/{message.prev_term} {entries}; commit {message.commit}"
        case AppendReply() if message.rejected:
            committed = ", committed" if message.is_committed else ""
            return f"{head}: refused at {message.index}, hint {message.hint_index}/{message.hint_term}{committed}"
        case AppendReply():
            return f"{head}: has {message.index}"
    return head


@pytest.mark.parametrize("path", scripts("clusters"), ids=lambda path: path.stem)
def test_a_script_prints_what_it_says(path: Path) -> None:
    play(path, Interpreter().run)
