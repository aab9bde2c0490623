"""One member of a Raft group: `step`, `propose`, `tick`, `ready`, `advance`; no IO, no clock, no thread.

Theory: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (the paper), and Ongaro's thesis.
The split between this core and its driver is etcd's: the core only says in a `Ready` what must be made durable, sent
and applied; the driver does it and says so with `advance`. This file has the roles, the elections and what a follower
does; `leader.py` has what a leader does.

1. `campaign`: a majority is asked whether it would vote (pre-vote, thesis section 9.6); only then the term is raised
   and the vote cast for oneself. Both must be durable before anybody counts or hears of them (paper, figure 2);
2. a member that hears a leader, or has started less than an election's time ago, votes for nobody (thesis section
   6.4.1 and 4.2.3): so a leader's lease holds, and a removed or cut-off member disturbs nobody;
3. a new leader appends a no-op, since an entry of an earlier term is committed only by one of its own (section 5.4.2);
4. `propose` appends; `ready` hands the entries out to be sent and to be made durable, both at once; `advance` counts
   the leader's own acknowledgement; what a majority has durable is committed, and handed out to be applied, once.

What is acknowledged was compared: a follower says which entry its acknowledgement ends with, of which term, and the
leader compares that with its own log; a heartbeat says which entry is committed, of which term, and the follower
compares. Logs that have the same entry in one place are the same up to there (section 5.3). Where a committed entry is
not the other's a member has forgotten what it acknowledged, and the one that can tell stops (DivergedError): the leader
if it lacks what a follower has committed, so that nothing gives way; the follower if both have committed.

Time. `tick` counts; a driver that was paused must not make up for ticks that it missed, or members would stop
believing in a leader whose messages wait to be read. Leases go by monotonic milliseconds, which are handed in with each
question of them: the driver looks at its clock *after* it has read the requests that it asks for, never before.

Invariants (`check`): the commit index never goes back; only durable entries are applied, once and in order; a term's
vote is durable before it counts.

What this leaves out: proposals and reads on followers are refused; the driver asks the leader (design section 3).

The file is long because term, vote, role and leader are one state: what a message does to one depends on the others,
and a rule of the paper reads best beside those that it rests on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from random import Random

from msgspec import structs

from redraft.ids import NO_NODE, Index, NodeId, Term
from redraft.raft import quorum
from redraft.raft.config import RaftConfig
from redraft.raft.errors import DivergedError, NotLeaderError, TransferInProgressError
from redraft.raft.forgetting import Forgetting
from redraft.raft.leader import Leader
from redraft.raft.log import Log, LogStorage
from redraft.raft.membership import LEAVE_JOINT, ConfChange, Configurations, decode_change
from redraft.raft.messages import (
    NO_HANDOVER,
    AnyMessage,
    Append,
    AppendReply,
    ConfState,
    Entry,
    EntryKind,
    HardState,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    Position,
    SnapshotMeta,
    TimeoutNow,
    Vote,
    VoteReply,
)
from redraft.raft.quorum import VoteResult
from redraft.raft.ready import Ready
from redraft.raft.status import Role, Status

_SCAN_BYTES = 1 << 20
"""How much of the log is held at once when a start looks for membership changes."""


class RaftNode:
    """A member of one group. `applied` is the last index whose effect the state machine has already, and `conf` the
    configuration as of it (empty: the one that the log begins with; if that is empty too, this member alone)."""

    def __init__(
        self,
        config: RaftConfig,
        storage: LogStorage,
        applied: Index,
        conf: ConfState | None = None,
        random: Random | None = None,
    ) -> None:
        hard_state, first_conf = storage.initial_state()
        if conf is None or not conf.members():
            conf = first_conf
        self._config = config
        self.first_conf = first_conf if first_conf.members() else ConfState(voters=(config.id,))
        """The configuration that the log began with when this member was made: before any change in it, unless a
        snapshot took the place of its beginning."""
        self._random = random or Random(config.id)
        self.term = hard_state.term
        self._vote = hard_state.vote
        self.role = Role.FOLLOWER
        self.leader_id = NO_NODE
        self.leader: Leader | None = None
        """What a leader does, while this member is one."""
        self.hesitates = False
        """Whether this member stands for election only when all others have had the time to."""
        self._log = Log(storage, hard_state.commit, applied)
        self._confs = Configurations(applied, conf if conf.members() else ConfState(voters=(config.id,)))
        self._read_confs()
        self._persisted = HardState(self.term, self._vote, self._log.committed, hard_state.promise_ms)
        self._applied = applied
        self._elapsed_ticks = 0
        self._timeout_ticks = 0
        self._promise_ms = hard_state.promise_ms
        """The longest promise to a leader that may not have run out, by the settings that it was given under."""
        may_have_promised = hard_state.term > 0 and not self.is_alone
        ticks = max(config.election_ticks, config.ticks_of(self._promise_ms)) if may_have_promised else 0
        self._promise_ticks = ticks
        """How long this member still votes for nobody else, since it has answered a leader, or may have before it
        started: whatever it hears of later terms meanwhile, and from whom."""
        self._forgotten_ticks = self._promise_ticks
        """How long it still takes no part in a hand-over either: it may have answered, before it started, that this
        one was given up."""
        self._given_up = 0
        """Hand-overs that this term's leader has said to have given up."""
        self._called = NO_HANDOVER
        """The hand-over that this member is to campaign for, unless what comes with it says that it was given up."""
        self._forgetting = Forgetting()
        self._matched = Index(0)
        """As far as this term's leader has compared its log with this one."""
        self._votes: dict[NodeId, bool] = {}
        self._messages: list[AnyMessage] = []
        self._snapshot: SnapshotMeta | None = None
        self._draw_timeout()

    def _read_confs(self) -> None:
        """Find the membership changes in the log behind what is applied."""
        index = Index(self._log.applying + 1)
        while index <= self._log.last_index:
            entries = self._log.entries(index, _SCAN_BYTES)
            self._follow_confs(entries)
            index = Index(entries[-1].index + 1)

    # Looking in.

    @property
    def conf(self) -> ConfState:
        """The configuration that counts: of the last entry in the log that makes one."""
        return self._confs.current

    @property
    def applied_conf(self) -> ConfState:
        """The configuration as of what is applied."""
        return self._confs.applied_to(self._applied)

    @property
    def commit_index(self) -> Index:
        """Everything up to here is on a majority's disks."""
        return self._log.committed

    @property
    def last_index(self) -> Index:
        """The last entry of the log, durable or not."""
        return self._log.last_index

    def promised(self) -> Position:
        """What others may hold this member to: its durable term, and what it has acknowledged to that term's leader."""
        if self._persisted.term != self.term:
            return Position(self._persisted.term)
        matched = self._log.last_index if self.leader is not None else self._matched
        return Position(self.term, min(matched, self._log.durable))

    def log_end(self) -> Position:
        """The term and the index of the last durable entry."""
        return Position(self._log.known_term(self._log.stable), self._log.stable)

    def status(self) -> Status:
        """A summary."""
        return Status(
            self._config.id, self.role, self.term, self.leader_id, self._log.committed, self._applied,
            self._log.last_index, self._log.stable,
        )  # fmt: skip

    # Input.

    def tick(self, now_ms: int) -> None:
        """A tick of the group's clock has passed; it is `now_ms`."""
        if self.leader is not None:
            if not self.leader.tick(now_ms):
                self._become_follower(self.term, NO_NODE)
            elif self.conf.auto_leave and self.leader.may_change():
                self._leave_joint(self.leader)
            return
        self._elapsed_ticks += 1
        self._promise_ticks = max(0, self._promise_ticks - 1)
        self._forgotten_ticks = max(0, self._forgotten_ticks - 1)
        waits_for_disk = self.role is Role.CANDIDATE and self._must_persist_vote()
        # Without pre-vote each candidate has the others begin to wait anew, also one that cannot win.
        hesitates = self.hesitates and self._config.pre_vote
        patience_ticks = self._timeout_ticks + (self._config.election_ticks if hesitates else 0)
        # A promise that was given under a longer election timeout than the present one may last longer than that.
        if self._elapsed_ticks >= patience_ticks and not waits_for_disk and not self._promise_ticks:
            self.campaign()

    def reconfigure(self, config: RaftConfig) -> None:
        """Go by other times from now on. What was promised by the earlier ones is kept."""
        before, self._config = self._config, config
        if before.tick_ms and config.tick_ms:
            self._promise_ticks = config.ticks_of(self._promise_ticks * before.tick_ms)
            self._forgotten_ticks = config.ticks_of(self._forgotten_ticks * before.tick_ms)
        self._draw_timeout()
        if self.leader is not None:
            self.leader.reconfigure(config)

    def hear_pulse(self, member: NodeId, term: Term, leader: NodeId) -> None:
        """A member lives and is excused for saying nothing; in `term` it believes in `leader`, maybe itself."""
        if term != self.term:
            return
        if self.leader is not None:
            if leader == self._config.id:
                self.leader.hear_pulse(member)
        elif leader == member:
            self._hear_leader(leader, given_up=0)

    def campaign(self) -> None:
        """Stand for election (paper, section 5.2), if this member may be elected."""
        self._campaign(pre=self._config.pre_vote and not self.is_alone)

    def propose(self, data: bytes, kind: EntryKind = EntryKind.NORMAL) -> Index:
        """Append an entry; the index that it has. Raises NotLeaderError, EntryTooBigError, UncommittedFullError,
        TransferInProgressError."""
        return self._leading().propose(data, kind)

    def change_members(self, change: ConfChange) -> Index:
        """Append a membership change; the index that it has. Raises NotLeaderError, InvalidChangeError,
        ChangeInProgressError, NotCaughtUpError."""
        return self._leading().propose_change(change)

    def read_index(self, contexts: Iterable[int], now_ms: int) -> None:
        """Ask for the index that reads must wait for, which came in before `now_ms`; a Ready's `reads` will have it,
        unless leadership is lost. Raises NotLeaderError."""
        self._leading().read_index(contexts, now_ms)

    def hold_commit(self) -> None:
        """More entries are about to be proposed: let followers hear of commits with them, or when `tell_commit` is
        called; and with heartbeats anyhow. It halves the messages of a busy group."""
        if self.leader is not None:
            self.leader.hold_commit()

    def tell_commit(self) -> None:
        """Let followers hear of commits at once again."""
        if self.leader is not None:
            self.leader.tell_commit()

    @property
    def lease_until_ms(self) -> int:
        """Until when nobody else can lead, in monotonic ms; -1 without a lease."""
        return -1 if self.leader is None else self.leader.lease_until_ms

    @property
    def election_ticks(self) -> int:
        """Ticks without a leader after which a member may campaign, at the least."""
        return self._config.election_ticks

    @property
    def is_alone(self) -> bool:
        """Whether this member is its own majority."""
        return self.conf.voters == (self._config.id,) and not self.conf.outgoing

    @property
    def id(self) -> NodeId:
        """This member's."""
        return self._config.id

    @property
    def config(self) -> RaftConfig:
        """The parameters that it goes by now."""
        return self._config

    @property
    def installs(self) -> bool:
        """Whether a snapshot was accepted that no Ready has handed out yet."""
        return self._snapshot is not None

    def has_lease(self, now_ms: int) -> bool:
        """Whether what came in before `now_ms` may be read here, from what is applied once that is all committed."""
        return self.leader is not None and self.leader.has_lease(now_ms)

    def transfer_leader(self, to: NodeId) -> None:
        """Hand leadership over. Raises NotLeaderError, TransferError."""
        self._leading().transfer(to)

    def send_snapshot(self, to: NodeId, meta: SnapshotMeta) -> None:
        """The driver has brought a snapshot of `meta` to a follower in `wanting_snapshot`."""
        if self.leader is not None:
            self.leader.send_snapshot(to, meta)

    # What was forgotten (`raft.forgetting`).

    @property
    def forgetful(self) -> bool:
        """Whether this member has forgotten what it promised, and has not caught up since."""
        return self._forgetting.forgetful

    @property
    def told_by_leader(self) -> Position:
        """What this member had promised at least, if its leader has told that it has forgotten that."""
        return self._forgetting.known

    @property
    def has_recollected(self) -> bool:
        """Whether this member is not forgetful, or may vote although it is."""
        return not self.forgetful or self._forgetting.floor is not None

    @property
    def distrusted(self) -> Collection[NodeId]:
        """Other members that have forgotten what they promised, as far as this one was told."""
        return self._forgetting.distrusted

    def forget(self) -> None:
        """This member has less than it had promised."""
        if self.forgetful:
            return
        self._forgetting.forgetful = True
        # It may have answered a leader of which it knows nothing any more.
        self._promise_ticks = self._forgotten_ticks = max(self._promise_ticks, self._config.election_ticks)
        if self.role is not Role.FOLLOWER:
            self._become_follower(self.term, NO_NODE)

    def recollect(self, floor: Position, term: Term, *, may_stand: bool) -> None:
        """All voters that can be known were heard: none of them is in a later term than `term`, and `floor` is the end
        of the best log. It may be told again, as they go on."""
        assert self.forgetful
        if not self.has_recollected:
            if term > self.term:
                self._become_follower(term, NO_NODE)
            if self._vote == NO_NODE:
                self._vote = self._config.id  # for nobody else: it may have had this member's vote already
        self._forgetting.recollected(floor, may_stand=may_stand)
        self._look_whether_whole()

    def become_whole(self) -> None:
        """What was forgotten does not matter any more."""
        self._forgetting.become_whole()

    def promise_of(self, member: NodeId) -> Position:
        """The most that another member is known to have promised to this one."""
        if self.leader is not None:
            self._keep_promises(self.leader)
        return self._forgetting.promise_of(member)

    def distrust(self, member: NodeId, *, knows_it: bool) -> None:
        """Another member has forgotten what it promised; and whether it is known to know it."""
        if self.leader is not None and member not in self.distrusted:
            self._keep_promises(self.leader)
            self.leader.begin_anew(member)
        self._forgetting.distrusted[member] = knows_it
        if not knows_it:
            self._votes.pop(member, None)

    def trust(self, member: NodeId) -> None:
        """Another member is whole again."""
        if member in self.distrusted:
            self._forgetting.trust(member)
            if self.leader is not None:
                self.leader.begin_anew(member)

    def _keep_promises(self, leader: Leader) -> None:
        for member, progress in leader.followers.items():
            if progress.match:
                self._forgetting.promised(member, Position(leader.term, progress.match))

    def lost(self, member: NodeId) -> None:
        """What was sent to a member may not arrive: its connection broke, or its snapshot failed."""
        if self.leader is not None:
            self.leader.lost(member)

    def _leading(self) -> Leader:
        if self.leader is None:
            raise NotLeaderError(self.leader_id)
        return self.leader

    def step(self, message: AnyMessage) -> None:
        """A message has come. Raises DivergedError."""
        if message.term > self.term:
            if isinstance(message, Vote) and message.handover >= 0 and self._may_join(message.term, message.handover):
                # The leader itself has said so, and has no lease any more.
                self._promise_ticks = 0
            elif isinstance(message, Vote) and self._holds_on_to_leader():
                return
            if not (isinstance(message, Vote | VoteReply) and message.pre and getattr(message, "granted", True)):
                self._become_follower(message.term, NO_NODE)
        elif message.term < self.term:
            self._answer_stale(message)
            return
        match message:
            case Vote():
                self._on_vote(message)
            case VoteReply():
                self._on_vote_reply(message)
            case Append() | Heartbeat() | InstallSnapshot():
                self._hear_leader(message.sender, message.given_up)
                if isinstance(message, Append):
                    self._on_append(message)
                elif isinstance(message, Heartbeat):
                    self._on_heartbeat(message)
                else:
                    self._on_snapshot(message)
            case AppendReply():
                if self.leader is not None:
                    self.leader.on_append_reply(message)
            case HeartbeatReply():
                if self.leader is not None:
                    self.leader.on_heartbeat_reply(message)
            case TimeoutNow():
                if self.leader is None and self._may_join(Term(message.term + 1), message.handover):
                    self._called = message.handover

    # Output.

    def has_ready(self) -> bool:
        """Whether `ready` would return anything to do."""
        log = self._log
        return (
            log.has_unstable()
            or log.has_committed()
            or (self.leader is not None and self.leader.has_output())
            or bool(self._messages)
            or self._snapshot is not None
            or self._called != NO_HANDOVER
            or self._must_persist()
        )

    def ready(self, *, entries_first: bool = False) -> Ready:
        """What is to be done now. Entries are handed out once, also while an earlier Ready is still being persisted.

        `entries_first`: a follower that has entries to persist gets those to be applied in the next Ready, since its
        leader waits for the acknowledgement.
        """
        if self._called != NO_HANDOVER:
            self._campaign(pre=False, handover=self._called)
        urgent: list[AnyMessage] = []
        reads = []
        wanting: list[NodeId] = []
        leader = self.leader
        log = self._log
        later = entries_first and leader is None and log.has_unstable()
        committed = [] if later else log.take_committed(self._config.max_committed_bytes_per_ready)
        if leader is not None:
            leader.replicate(tells_commit=bool(committed))
            urgent, leader.out = leader.out, urgent
            reads, leader.reads = leader.reads, []
            wanting, leader.wanting_snapshot = leader.wanting_snapshot, wanting
        snapshot, self._snapshot = self._snapshot, None
        messages, self._messages = self._messages, []
        entries = log.take_unstable()
        changes_vote = self._must_persist()
        must_sync = bool(entries) or changes_vote or snapshot is not None
        hard_state = HardState(self.term, self._vote, log.committed, self._promise_ms)
        return Ready(
            hard_state if hard_state != self._persisted else None,
            entries, committed, must_sync, urgent, messages, reads, snapshot, wanting, log.epoch, changes_vote,
        )  # fmt: skip

    def take_urgent(self) -> list[AnyMessage]:
        """What may leave while a Ready that was taken is still being made durable, however long that takes: a leader's
        messages, and a follower's word that it hears its leader, which promises no more than what is durable
        here already."""
        urgent: list[AnyMessage] = []
        if self.leader is not None:
            urgent, self.leader.out = self.leader.out, urgent
        elif not self._must_persist():
            urgent = [each for each in self._messages if isinstance(each, HeartbeatReply)]
            if urgent:
                self._messages = [each for each in self._messages if not isinstance(each, HeartbeatReply)]
        return urgent

    def advance(self, ready: Ready) -> None:
        """A Ready is done: what it asked to be durable is. In the order in which they were taken."""
        if ready.hard_state is not None and ready.must_sync:
            self._persisted = ready.hard_state
        if ready.snapshot is not None:
            self._log.storage_restored(ready.snapshot)
        if ready.entries:
            self._log.stable_to(ready.entries[-1].index, ready.log_epoch)
        self._look_whether_whole()
        if self.role is Role.CANDIDATE:
            self._count_votes()
        if self.leader is not None:
            self.leader.persisted()

    def applied_to(self, index: Index) -> None:
        """The state machine has applied everything up to `index`."""
        assert self._applied <= index <= self._log.applying
        self._applied = index

    def apply_change(self, entry: Entry) -> ConfState:
        """An entry of kind CHANGE is being applied; the configuration as of it. A leader that it has removed leads no
        more."""
        conf = self._confs.applied_to(entry.index)
        if self.leader is not None and not self.conf.is_voter(self._config.id):
            self.leader.replicate()
            self._messages += self.leader.out
            self._become_follower(self.term, NO_NODE)
        return conf

    # Elections.

    def _holds_on_to_leader(self) -> bool:
        """Whether this member has promised, by answering, not to vote for another leader yet."""
        return self.leader is not None or self._promise_ticks > 0

    def _may_join(self, term: Term, handover: int) -> bool:
        """Whether this member may help to elect a successor of `term`: it has not answered the leader that it hands
        over by when that hand-over was given up. (A leader of a term that was never heard of here was not answered.)"""
        return not self._forgotten_ticks and (term > self.term + 1 or handover >= self._given_up)

    def _draw_timeout(self) -> None:
        self._elapsed_ticks = 0
        self._timeout_ticks = self._config.election_ticks + self._random.randrange(self._config.election_ticks)
        if self.is_alone:
            self._timeout_ticks = self._config.election_ticks

    def _become_follower(self, term: Term, leader: NodeId) -> None:
        if self.leader is not None:
            self._keep_promises(self.leader)
        if term > self.term:
            self.term = term
            self._matched = Index(0)
            self._vote = NO_NODE
            self._given_up = 0
            self._called = NO_HANDOVER
            # What an earlier leader was to be told that this member has, the next may cut off before it is durable.
            self._messages = [each for each in self._messages if not isinstance(each, AppendReply)]
        self.role = Role.FOLLOWER
        self.leader = None
        self.leader_id = leader
        self._draw_timeout()

    def _campaign(self, *, pre: bool, handover: int = NO_HANDOVER) -> None:
        self._called = NO_HANDOVER
        if self.leader is not None:
            return
        self._draw_timeout()
        end = Position(self._log.last_term, self._log.last_index)
        if not self._confs.may_lead(self._config.id) or not self._forgetting.may_campaign(end):
            return
        self.leader_id = NO_NODE
        self._votes = {}
        if pre:
            self.role = Role.PRE_CANDIDATE
            self._votes[self._config.id] = True
        else:
            self.role = Role.CANDIDATE
            self.term = Term(self.term + 1)
            self._matched = Index(0)
            self._vote = self._config.id
            self._given_up = 0
        term = Term(self.term + 1) if pre else self.term
        for member in sorted({*self.conf.voters, *self.conf.outgoing} - {self._config.id}):
            self._messages.append(
                Vote(self._config.id, member, term, self._log.last_index, self._log.last_term, pre, handover)
            )
        self._count_votes()

    def _on_vote(self, message: Vote) -> None:
        promised = self.leader_id != NO_NODE or self._promise_ticks > 0
        free = self._vote == message.sender or (self._vote == NO_NODE and not promised)
        free = free or (message.pre and message.term > self.term)
        granted = free and self._forgetting.counts_vote_of(message.sender) and self._is_good_log(message)
        if granted and not message.pre:
            self._vote = message.sender
            self._elapsed_ticks = 0
        # A refused pre-vote tells of the term that the candidate has missed, a granted one repeats the question's.
        term = message.term if granted else self.term
        self._answer(VoteReply(self._config.id, message.sender, term, granted, message.pre))

    def _is_good_log(self, message: Vote) -> bool:
        """Whether a candidate's log is good enough to lead: as this one (paper, section 5.4.1), or, if this member has
        forgotten what its own should be, as those that it was told of."""
        if self.forgetful:
            return self._forgetting.may_vote_for(Position(message.last_term, message.last_index))
        return self._log.is_up_to_date(message.last_index, message.last_term)

    def _on_vote_reply(self, message: VoteReply) -> None:
        if message.granted and not message.pre:
            self._forgetting.promised(message.sender, Position(message.term))
        if message.granted and not self._forgetting.counts_vote_of(message.sender):
            return
        expected = Role.PRE_CANDIDATE if message.pre else Role.CANDIDATE
        if self.role is expected and message.sender not in self._votes:
            self._votes[message.sender] = message.granted
            self._count_votes()

    def _count_votes(self) -> None:
        if self.role is Role.CANDIDATE:
            if self._must_persist_vote():
                return
            self._votes[self._config.id] = True
        result = quorum.vote_result(self.conf, self._votes)
        if result is VoteResult.LOST:
            self._become_follower(self.term, NO_NODE)
        elif result is VoteResult.WON and self.role is Role.PRE_CANDIDATE:
            self._campaign(pre=False)
        elif result is VoteResult.WON:
            self.role = Role.LEADER
            self.leader_id = self._config.id
            self.leader = Leader(self._config, self._log, self.term, self._confs, self.distrusted)

    def _must_persist(self) -> bool:
        """Whether there is more than entries to make durable. A longer promise than before is kept over a restart."""
        return self._must_persist_vote() or self._promise_ms > self._persisted.promise_ms

    def _must_persist_vote(self) -> bool:
        return (self.term, self._vote) != (self._persisted.term, self._persisted.vote)

    # Following.

    def _answer(self, message: AnyMessage) -> None:
        self._messages.append(message)

    def _answer_stale(self, message: AnyMessage) -> None:
        """Tell a leader or a pre-candidate of an earlier term about this one. Without that, a member that has a higher
        term and a majority that holds on to its leader would wait for each other for ever."""
        if isinstance(message, Append | Heartbeat | InstallSnapshot):
            self._answer(AppendReply(self._config.id, message.sender, self.term, Index(0), 0, rejected=True))
        elif isinstance(message, Vote) and message.pre:
            self._answer(VoteReply(self._config.id, message.sender, self.term, granted=False, pre=True))

    def _hear_leader(self, leader: NodeId, given_up: int) -> None:
        if self.leader is not None:
            raise DivergedError(
                f"node {leader} leads term {self.term}, and so does this node, {self._config.id}: a member of the group"
                " has forgotten its vote, or the disk of one of them is from before they had the same voters; this"
                " node stops"
            )
        if self.role is not Role.FOLLOWER or self.leader_id != leader:
            self._become_follower(self.term, leader)
        self._elapsed_ticks = 0
        if self._promise_ticks <= self._config.election_ticks:
            # What was promised by other settings has run out before this does.
            self._promise_ticks = self._config.election_ticks
            self._promise_ms = self._config.promise_ms
        self._given_up = max(self._given_up, given_up)
        if self._called < given_up:
            self._called = NO_HANDOVER

    def _on_append(self, message: Append) -> None:
        log = self._log
        if (index := self._contradicted(message)) is not None:
            self._refuse_past(message, index)
        elif (first_new := log.try_append(message.prev_index, message.prev_term, message.entries)) is not None:
            last = Index(message.prev_index + len(message.entries))
            if first_new <= last:
                self._confs.truncate(first_new)
                self._follow_confs(message.entries[first_new - last - 1 :])
            log.committed = Index(max(log.committed, min(message.commit, last)))
            self._compared(last)
            self._acknowledge(message.sender, last, message.round)
        elif message.prev_index < log.committed:
            # All of it was let go here, so the leader must compare.
            self._acknowledge(message.sender, log.committed, message.round)
        else:
            hint_index, hint_term = log.possible_match(message.prev_index, message.prev_term)
            reply = self._append_reply(message.sender, message.prev_index, message.round, Term(0))
            self._answer(structs.replace(reply, rejected=True, hint_index=hint_index, hint_term=hint_term))

    def _compared(self, index: Index) -> None:
        """This log is as the leader's up to `index`."""
        self._matched = max(self._matched, index)
        self._look_whether_whole()

    def _look_whether_whole(self) -> None:
        """What this member has forgotten may be here again, and durable: what is not may be forgotten once more."""
        index = min(self._matched, self._log.durable)
        if self.forgetful and index:
            self._forgetting.reached(Position(self._log.known_term(index), index))

    def _contradicted(self, message: Append) -> Index | None:
        """The first index that is committed here and has another entry in the leader's log, as far as it tells."""
        log = self._log
        if message.prev_index > log.committed:
            return None
        if log.contradicts(message.prev_index, message.prev_term):
            return message.prev_index
        for entry in message.entries:
            if entry.index > log.committed:
                break
            if log.contradicts(entry.index, entry.term):
                return entry.index
        return None

    def _refuse_past(self, message: Append, index: Index) -> None:
        """The leader's log has another entry at `index`, which is committed here: somebody has forgotten what it
        acknowledged. If the leader has not committed its own entry it is the one that must not go on, and is told so.
        Raises DivergedError if it has."""
        log = self._log
        if message.commit >= index:
            raise self._diverged(message.sender, index)
        reply = self._append_reply(message.sender, message.prev_index, message.round, Term(0))
        hint = structs.replace(reply, rejected=True, hint_index=log.committed, hint_term=log.term(log.committed))
        self._answer(structs.replace(hint, is_committed=True))

    def _diverged(self, leader: NodeId, index: Index) -> DivergedError:
        return DivergedError(
            f"entry {index} is committed on this node, {self._config.id}, with term {self._log.term(index)}, and on"
            f" node {leader}, which leads term {self.term}, with another: a member of the group has forgotten what it"
            " had acknowledged, so there are two pasts; this node stops, and keeps its own"
        )

    def _on_heartbeat(self, message: Heartbeat) -> None:
        log, commit = self._log, message.commit
        if commit <= log.last_index and not (message.commit_term and log.contradicts(commit, message.commit_term)):
            log.committed = Index(max(log.committed, commit))
        elif commit <= log.committed:
            raise self._diverged(message.sender, commit)
        else:
            # It has acknowledged to the leader what it does not have.
            self._forgetting.known = Position(self.term, commit)
            self.forget()
        config = self._config
        self._answer(
            HeartbeatReply(config.id, message.sender, self.term, message.round, config.promise_ms, config.drift_ms)
        )

    def _follow_confs(self, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.kind is EntryKind.CHANGE:
                self._confs.append(entry.index, decode_change(entry.data))

    def _on_snapshot(self, message: InstallSnapshot) -> None:
        meta = message.meta
        if meta.index > self._log.committed:
            if self._log.matches(meta.index, meta.term):
                self._log.committed = meta.index
            else:
                self._log.restore(meta)
                self._applied = meta.index
                self._snapshot = meta
                self._confs.restore(meta.index, meta.conf)
            self._compared(meta.index)
        elif self._log.contradicts(meta.index, meta.term):
            raise self._diverged(message.sender, meta.index)
        self._acknowledge(message.sender, self._log.committed, message.round)

    def _acknowledge(self, leader: NodeId, index: Index, round_: int) -> None:
        self._answer(self._append_reply(leader, index, round_, self._log.known_term(index)))

    def _append_reply(self, leader: NodeId, index: Index, round_: int, index_term: Term) -> AppendReply:
        config = self._config
        return AppendReply(
            config.id, leader, self.term, index, round_, index_term=index_term,
            promise_ms=config.promise_ms, drift_ms=config.drift_ms,
        )  # fmt: skip

    @staticmethod
    def _leave_joint(leader: Leader) -> None:
        """Propose the end of a joint configuration; if that cannot be now, the next tick tries again."""
        try:
            leader.propose_change(LEAVE_JOINT)
        except TransferInProgressError:
            return

    def check(self) -> None:
        """Assert the invariants."""
        log = self._log
        assert self._applied <= log.applying <= log.committed <= log.last_index
        assert log.applying <= log.stable <= log.last_index
        if self.leader is not None:
            assert self.role is Role.LEADER
            assert not self._must_persist_vote()
            self.leader.check()
        else:
            assert self.role is not Role.LEADER
