"""What a member does and knows while it leads: it exists for one term's leadership, and ends with it.

* Replication (paper, section 5.3): each follower's `Progress` says what to send next; all that was proposed since the
  last Ready leaves in as few messages as their size allows, without waiting for the leader's own disk.
* Commitment (sections 5.3, 5.4.2): what a majority has durable, once it includes an entry of this term. Followers are
  told of no more of it than is handed out to be applied here: else one could show what its leader, asked later, does
  not. A driver that is about to propose more may have commits told with the next entries (`hold_commit`).
* Reads (thesis sections 6.4, 6.4.1): every message carries the number of a round, and what a majority's answers to
  one mean for reads and for the lease is in `raft.rounds`.
* Hand-over (section 3.10): proposals stop, the successor is caught up, and told to campaign. It wins although its
  followers have just heard from a leader, so from then on there is no lease. A hand-over that comes to nothing is given
  up after an election's time; every later message says so, and who has answered one takes no part in that hand-over
  any more, however late its messages come: the rounds from then on give leases again.

The file is as long as that: all of it works on the followers' progress and on what is on its way to them.

Invariants (`check`): sizes are kept of exactly the entries proposed and not committed; no match is beyond the log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from redraft.ids import NO_NODE, Index, NodeId, Term
from redraft.raft import quorum
from redraft.raft.config import RaftConfig
from redraft.raft.errors import (
    ChangeInProgressError,
    CompactedError,
    DivergedError,
    EntryTooBigError,
    NotCaughtUpError,
    TransferError,
    TransferInProgressError,
    UncommittedFullError,
)
from redraft.raft.log import Log
from redraft.raft.membership import ChangeKind, ConfChange, Configurations, changed, encode_change
from redraft.raft.messages import (
    NOT_TOLD,
    AnyMessage,
    Append,
    AppendReply,
    ConfState,
    Entry,
    EntryKind,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    SnapshotMeta,
    TimeoutNow,
)
from redraft.raft.progress import Progress, ProgressState
from redraft.raft.ready import ReadState
from redraft.raft.rounds import Rounds


class Leader:
    """One leadership."""

    def __init__(
        self, config: RaftConfig, log: Log, term: Term, confs: Configurations, distrusted: Collection[NodeId] = ()
    ) -> None:
        self._config = config
        self._log = log
        self.term = term
        self._confs = confs
        self._conf = confs.current
        self._distrusted = distrusted
        """Members whose answers count for nothing: they have forgotten what they promised (`raft.forgetting`)."""
        self.followers: dict[NodeId, Progress] = {}
        self.out: list[AnyMessage] = []
        """Messages that may leave at once."""
        self.reads: list[ReadState] = []
        """Reads that may be answered."""
        self.wanting_snapshot: list[NodeId] = []
        self.transferee = NO_NODE
        self._transfer_ticks = 0
        self._handed_over = False
        """Whether the transferee was told to campaign."""
        self._given_up = 0
        """Hand-overs that came to nothing after the transferee was told."""
        self._sizes: dict[Index, int] = {}
        self._uncommitted_bytes = 0
        self._ticks = 0
        self._quorum_ticks = 0
        self._rounds = Rounds()
        self._own_until_ms = -1
        """Until when this leader's own answer to its newest round counts."""
        self._early_reads: list[int] = []
        """Reads from before this term's first commitment: until then the commit index may be behind."""
        self.first_index = Index(log.last_index + 1)
        """Of this term's no-op: once it is applied, so is everything that was ever acknowledged."""
        self._to_send = False
        self._holds_commit = False
        self._follow(confs.current)
        self._append(b"", EntryKind.NOOP)

    def reconfigure(self, config: RaftConfig) -> None:
        """Go by other times from now on. What was promised is promised; but if clocks may drift further apart than was
        thought, leases come back with the next round."""
        before, self._config = self._config, config
        if config.drift_ms > before.drift_ms:
            self._revoke_leases()

    # Membership.

    def _follow(self, conf: ConfState) -> None:
        self._conf = conf
        members = [member for member in conf.members() if member != self._config.id]
        self.followers = {
            member: self.followers.get(member) or Progress(Index(self._log.last_index + 1)) for member in members
        }
        if self.transferee not in self.followers or not conf.is_voter(self.transferee):
            self._give_up_transfer()

    def may_change(self) -> bool:
        """Whether no membership change is under way. Before this term's first commitment that is not known, which is
        what the thesis' published algorithm for single changes got wrong at first."""
        return self.first_index <= self._log.committed >= self._confs.last_index

    def propose_change(self, change: ConfChange) -> Index:
        """Append a membership change. Raises InvalidChangeError, ChangeInProgressError, NotCaughtUpError."""
        if not self.may_change() or (self._conf.outgoing and change.changes):
            raise ChangeInProgressError("another membership change is under way")
        changed(self._conf, change)
        for member in change.changes:
            progress = self.followers.get(member.node)
            if member.kind is ChangeKind.ADD_VOTER and progress is not None and not self._conf.is_voter(member.node):
                lag = self._log.last_index - progress.match
                if lag > self._config.max_promotion_lag or progress.state is ProgressState.SNAPSHOT:
                    raise NotCaughtUpError(f"node {member.node} lacks {lag} entries")
        index = self.propose(encode_change(change), EntryKind.CHANGE)
        self._follow(self._confs.append(index, change))
        return index

    # Entries.

    def propose(self, data: bytes, kind: EntryKind) -> Index:
        """Append an entry. Raises EntryTooBigError, UncommittedFullError, TransferInProgressError."""
        size = len(data)
        if self.transferee != NO_NODE:
            raise TransferInProgressError(f"leadership goes to node {self.transferee}")
        if size > self._config.max_entry_bytes:
            raise EntryTooBigError(f"an entry of {size} bytes; the limit is {self._config.max_entry_bytes}")
        if self._uncommitted_bytes and self._uncommitted_bytes + size > self._config.max_uncommitted_bytes:
            raise UncommittedFullError(f"{self._uncommitted_bytes} bytes are proposed and not committed")
        return self._append(data, kind)

    def _append(self, data: bytes, kind: EntryKind) -> Index:
        index = Index(self._log.last_index + 1)
        self._log.append(Entry(index, self.term, kind, data))
        self._uncommitted_bytes += len(data)
        self._sizes[index] = len(data)
        self._to_send = bool(self.followers)
        return index

    def persisted(self) -> None:
        """More of the log is durable here."""
        self.commit()
        if self.transferee != NO_NODE and not self._handed_over:
            self._hand_over()

    def commit(self) -> bool:
        """Commit what a majority has durable, if its last entry is of this term (section 5.4.2); whether any."""
        log = self._log
        index = Index(quorum.reached(self._conf, self._match))
        if index <= log.committed or log.term(index) != self.term:
            return False
        for each in range(log.committed + 1, index + 1):
            self._uncommitted_bytes -= self._sizes.pop(Index(each), 0)
        log.committed = index
        self._to_send = bool(self.followers)
        if self._early_reads:
            early, self._early_reads = self._early_reads, []
            self._begin_round_for(early)
        return True

    def _match(self, member: NodeId) -> int:
        if member == self._config.id:
            return self._log.stable
        return 0 if member in self._distrusted else self.followers[member].match

    def begin_anew(self, member: NodeId) -> None:
        """Find out what a member has as if nothing were known of it: what was is not true any more."""
        if member in self.followers:
            self.followers[member] = Progress(Index(self._log.last_index + 1))
            self._to_send = True

    # Sending.

    def has_output(self) -> bool:
        """Whether `replicate` would find anything, or has."""
        return self._to_send or bool(self.out or self.reads or self.wanting_snapshot)

    def replicate(self, *, tells_commit: bool = False) -> None:
        """Send every follower what it lacks, as far as its window goes; with `tells_commit` also that more is committed
        and handed out to be applied now."""
        if not self._to_send and not (tells_commit and self.followers):
            return
        self._to_send = False
        last_index = self._log.last_index
        for member, progress in self.followers.items():
            while progress.next <= last_index and not progress.paused(self._config):
                if progress.in_flight() and progress.next < self._log.held_from:
                    # Reading a whole window from disk at once would hold up everybody; its next answer goes on.
                    break
                self._send(member, progress)
            # While entries are on their way, what follows them tells of the commit index soon enough.
            lacks_commit = progress.match == last_index and progress.commit_sent < self._log.applying
            news = lacks_commit and not self._holds_commit
            asks = progress.state is ProgressState.PROBE and not progress.awaiting
            if progress.next > last_index and (news or asks):
                self._send(member, progress, empty=True)

    def hold_commit(self) -> None:
        """Tell of commits with entries and heartbeats only, until `tell_commit`."""
        self._holds_commit = True

    def tell_commit(self) -> None:
        """Tell at once of what was held, and of later commits."""
        if self._holds_commit:
            self._holds_commit = False
            self._to_send = bool(self.followers)

    def _send(self, member: NodeId, progress: Progress, *, empty: bool = False) -> None:
        """Send what comes next, or, `empty`, only ask whether what was sent has arrived."""
        log = self._log
        previous = Index(progress.next - 1)
        try:
            term = log.term(previous)
            entries = [] if empty else log.entries(progress.next, self._config.max_append_bytes)
        except CompactedError:
            progress.wait_for_snapshot()
            self.wanting_snapshot.append(member)
            return
        self.out.append(
            Append(
                self._config.id, member, self.term, previous, term, entries, log.applying, self._rounds.newest,
                self._given_up,
            )
        )  # fmt: skip
        progress.commit_sent = log.applying
        if entries:
            progress.sent(entries[-1].index, sum(len(entry.data) for entry in entries))
        elif progress.state is ProgressState.PROBE:
            progress.awaiting = True

    def heartbeat(self, now_ms: int) -> None:
        """Begin a round, and tell everybody."""
        self._rounds.begin(now_ms)
        lease_ms = self._config.promise_ms - self._config.drift_ms
        if now_ms >= 0 and lease_ms > 0:
            self._own_until_ms = max(self._own_until_ms, now_ms + lease_ms)
        for member, progress in self.followers.items():
            commit = Index(min(progress.match, self._log.applying))
            self.out.append(
                Heartbeat(
                    self._config.id, member, self.term, commit, self._rounds.newest, self._log.committed,
                    self._given_up, self._log.known_term(commit),
                )
            )  # fmt: skip
        self._count_rounds()

    def tick(self, now_ms: int) -> bool:
        """A tick has passed. False: no majority was heard of for an election's time, so this leadership is over
        (check-quorum, thesis section 6.2)."""
        self._ticks += 1
        self._quorum_ticks += 1
        if self.transferee != NO_NODE:
            self._transfer_ticks += 1
            if self._transfer_ticks >= self._config.election_ticks:
                self._give_up_transfer()
            elif self._transfer_ticks == self._patient_ticks:
                self._hand_over()
        if self._ticks >= self._config.heartbeat_ticks:
            self._ticks = 0
            self.heartbeat(now_ms)
        if self._quorum_ticks >= self._config.election_ticks:
            self._quorum_ticks = 0
            if not quorum.reached(self._conf, self._is_active):
                return False
            for progress in self.followers.values():
                progress.active = False
        return True

    def hear_pulse(self, member: NodeId) -> None:
        """A follower lives: it counts as heard of, and has answered nothing."""
        if member in self.followers:
            self.followers[member].active = True

    def _is_active(self, member: NodeId) -> int:
        if member == self._config.id:
            return 1
        return int(self.followers[member].active and member not in self._distrusted)

    # Answers.

    def on_append_reply(self, message: AppendReply) -> None:
        """A follower has taken entries, or refused them."""
        progress = self._heard(message)
        if progress is None:
            return
        if message.rejected:
            if message.is_committed:
                self._check_has(message.sender, message.hint_index, message.hint_term)
            try:
                hint = self._log.possible_match(message.hint_index, message.hint_term)[0]
            except CompactedError:
                hint = Index(self._log.first_index - 1)
            if progress.rejected(message.index, hint):
                self._to_send = True
            return
        if message.index > progress.match and not self._compare(progress, message):
            return
        was_paused = progress.paused(self._config)
        if progress.accepted(message.index):
            self.commit()
            self._hand_over()
        if was_paused or progress.next <= self._log.last_index or progress.commit_sent < self._log.applying:
            self._to_send = True

    def _compare(self, progress: Progress, message: AppendReply) -> bool:
        """Whether a follower's log is as this one up to the entry that it acknowledges. Raises DivergedError."""
        index, term = message.index, message.index_term
        if not term and index <= self._log.last_index:
            return True  # an older version, which does not tell
        self._check_has(message.sender, index, term)
        sent = progress.snapshot
        if self._log.known_term(index) == term or (sent is not None and (sent.index, sent.term) == (index, term)):
            return True
        if index < self._log.first_index and progress.state is not ProgressState.SNAPSHOT:
            # What it needs next is gone, and the entry before that as well.
            progress.wait_for_snapshot()
            self.wanting_snapshot.append(message.sender)
        return False

    def _check_has(self, follower: NodeId, index: Index, term: Term) -> None:
        """A follower has an entry of which it says that it is in the leader's log, or committed. Raises DivergedError
        where this log should have it and does not. (Where another one is committed here the follower finds that out,
        and stops.)"""
        log = self._log
        if index <= log.committed or not (index > log.last_index or log.contradicts(index, term)):
            return
        here = f"ends at entry {log.last_index}" if index > log.last_index else f"has one of term {log.term(index)}"
        raise DivergedError(
            f"node {follower} has entry {index} of term {term}, and the log of this node, {self._config.id}, which"
            f" leads term {self.term}, {here}: a member of the group has forgotten what it had acknowledged; this"
            " node stops, so that nothing of it gives way"
        )

    def on_heartbeat_reply(self, message: HeartbeatReply) -> None:
        """A follower is there; if it lacks entries that were sent long ago, they may have been lost."""
        sender = message.sender
        progress = self._heard(message)
        if progress is None:
            return
        progress.awaiting = False
        if progress.state is ProgressState.REPLICATE and progress.match < self._log.last_index:
            if progress.next > self._log.last_index or progress.in_flight():
                # Its refusal of nothing behind them tells that they were lost.
                self._send(sender, progress, empty=True)
        elif progress.state is ProgressState.PROBE:
            self._to_send = True
        elif progress.snapshot is not None:
            # It has not said that it has it. Who has, says so again.
            self.send_snapshot(sender, progress.snapshot)
        elif progress.state is ProgressState.SNAPSHOT:
            # It was asked for already; but the driver may just have brought one that an earlier leadership wanted.
            self.wanting_snapshot.append(sender)

    def _heard(self, message: AppendReply | HeartbeatReply) -> Progress | None:
        progress = self.followers.get(message.sender)
        if progress is not None:
            progress.active = True
            if message.round > progress.round:
                progress.round = message.round
                progress.promise_ms, progress.drift_ms = message.promise_ms, message.drift_ms
                began_ms = self._rounds.began_ms(message.round)
                if began_ms >= 0 and (lease_ms := self._lease_ms(message)):
                    progress.held_until_ms = max(progress.held_until_ms, began_ms + lease_ms)
                self._count_rounds()
        return progress

    def _lease_ms(self, message: AppendReply | HeartbeatReply) -> int:
        """How long a follower's answer counts, from the beginning of its round: as long as it has promised, by its own
        settings, if this leader's promise no less; and clocks drift as far as either of them reckons with. A version
        that does not tell is taken to have this leader's settings."""
        promise_ms, drift_ms = self._config.promise_ms, self._config.drift_ms
        if message.promise_ms != NOT_TOLD:
            promise_ms, drift_ms = min(promise_ms, message.promise_ms), max(drift_ms, message.drift_ms)
        return max(0, promise_ms - drift_ms)

    # Reads.

    def read_index(self, contexts: Iterable[int], now_ms: int) -> None:
        """Ask that reads be found in `reads` with the index that they must wait for."""
        if self._log.committed < self.first_index:
            self._early_reads += contexts
        elif self.has_lease(now_ms):
            self.reads += [ReadState(context, self._log.committed) for context in contexts]
        else:
            self._begin_round_for(contexts, now_ms)

    @property
    def lease_until_ms(self) -> int:
        """Until when nobody else can lead; -1 without a lease."""
        return -1 if self._handed_over or self._log.committed < self.first_index else self._rounds.lease_until_ms

    def has_lease(self, now_ms: int) -> bool:
        """Whether nobody else can lead at `now_ms`, and everything that was acknowledged is committed here."""
        return now_ms < self.lease_until_ms

    def _begin_round_for(self, contexts: Iterable[int], now_ms: int = -1) -> None:
        self._rounds.wait_for_next(contexts, self._log.committed)
        # A round whose beginning is not known gives no lease.
        self.heartbeat(now_ms)

    def _count_rounds(self) -> None:
        self.reads += self._rounds.answered(quorum.reached(self._conf, self._answered_round))
        self._rounds.hold_until(quorum.reached(self._conf, self._held_until_ms))

    def _answered_round(self, member: NodeId) -> int:
        if member == self._config.id:
            return self._rounds.newest
        return 0 if member in self._distrusted else self.followers[member].round

    def _held_until_ms(self, member: NodeId) -> int:
        if member == self._config.id:
            return self._own_until_ms
        return -1 if member in self._distrusted else self.followers[member].held_until_ms

    # Hand-over and snapshots.

    def transfer(self, to: NodeId) -> None:
        """Hand leadership over, within an election's time or not at all. Raises TransferError.

        It goes when the successor has everything, and, for half of that time, not before this member has all of it
        durable and committed as well: then whoever proposed something here is answered here.
        """
        if to not in self.followers or not self._conf.is_voter(to):
            raise TransferError(f"node {to} is no other voter of the group")
        if to in self._distrusted:
            raise TransferError(f"node {to} has forgotten what it acknowledged, and has not caught up yet")
        if self.transferee != NO_NODE:
            raise TransferError(f"leadership is on its way to node {self.transferee}")
        self.transferee = to
        self._transfer_ticks = 0
        self._hand_over()

    @property
    def _patient_ticks(self) -> int:
        return self._config.election_ticks // 2

    def _hand_over(self) -> None:
        log = self._log
        if self.transferee == NO_NODE or self.followers[self.transferee].match != log.last_index:
            return
        if self._transfer_ticks >= self._patient_ticks or log.stable == log.committed == log.last_index:
            self._handed_over = True
            self.out.append(TimeoutNow(self._config.id, self.transferee, self.term, self._given_up))

    def _give_up_transfer(self) -> None:
        self.transferee = NO_NODE
        if not self._handed_over:
            return
        self._handed_over = False
        self._given_up += 1
        self._revoke_leases()

    def _revoke_leases(self) -> None:
        self._rounds.revoke_leases()
        self._own_until_ms = -1
        for progress in self.followers.values():
            progress.held_until_ms = -1

    def send_snapshot(self, to: NodeId, meta: SnapshotMeta) -> None:
        """The driver has brought a snapshot to a follower; tell it to install it."""
        progress = self.followers.get(to)
        if progress is not None and progress.state is ProgressState.SNAPSHOT:
            progress.snapshot = meta
            self.out.append(InstallSnapshot(self._config.id, to, self.term, meta, self._rounds.newest, self._given_up))

    def lost(self, member: NodeId) -> None:
        """What was sent to a follower may not arrive: its connection broke, or its snapshot failed."""
        progress = self.followers.get(member)
        if progress is not None:
            progress.probe()
            self._to_send = True

    def check(self) -> None:
        """Assert the invariants."""
        assert self._uncommitted_bytes == sum(self._sizes.values()) >= 0
        assert all(self._log.committed < index <= self._log.last_index for index in self._sizes)
        self._rounds.check()
        for progress in self.followers.values():
            progress.check()
            assert progress.match <= self._log.last_index
