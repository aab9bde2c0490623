"""What must hold, whatever happens.

After every event, for the node that it was about:

* one leader a term, in each group (paper, figure 3, election safety);
* one vote a term: a voter never grants two candidates its vote in one term, through all its restarts;
* what a message tells is durable: a vote and an acknowledgement leave after their fsync, never before;
* log matching: entries with one index and term are equal on all nodes, and so are the entries before them;
* leader completeness: whoever begins to lead has every entry that was ever committed;
* a leader commits by counting only up to an entry of its own term (section 5.4.2);
* committed never lost: at each index one entry is committed, for ever; when it is, it is durable on a majority of the
  voters, which is looked at again whenever a machine has crashed;
* commit and applied index, and the state's time, never go back while a process lives;
* no lease overlaps another leader's lease, and whoever has a lease has all that was ever committed (not in runs whose
  clocks drift by more than is stated);
* a leader that reads on the strength of its lease has applied all that any node has (the same);
* nobody is out of the config table, and so stops, who votes in a group still;
* the Raft core's `check()`.

At every applied index: what its entry has left of the keys that it names is the same on all nodes, and so are the
databases' generations and those who wait, in order.

At every eighth applied index, and at the end: state machine safety: nodes that have applied the same index have the
same bytes (keys, deadlines, waiters, generations). At every 64th event, and at the end: `Node.check()`,
which calls that of every class above it, down to each value's. In a `thorough` run both at every one.

At the end of a run, when all faults are healed: a leader is found, every node serves a client, all nodes have the same
bytes, nobody waits for a key of whom no client is left, and each key's history is linearizable (`clients`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redraft.ids import FIRST_SHARD_GROUP, GroupId, Index, NodeId, Term
from redraft.raft.messages import AnyMessage, AppendReply, ConfState, Entry, Vote, VoteReply
from redraft.raft.node import RaftNode
from redraft.raft.status import Role
from sim.disk import GROUPS, has_entry
from sim.state import digest_of, trace_of

if TYPE_CHECKING:
    from sim.cluster import Cluster
    from sim.machine import Machine

DIGEST_EVERY = 8
"""Applied indexes; 1 in a thorough run."""
CHECK_EVERY = 64
"""Events; 1 in a thorough run."""


class InvariantError(Exception):
    """Something that must hold does not."""


def require(holds: object, text: str) -> None:
    """Raise InvariantError unless it holds."""
    if not holds:
        raise InvariantError(text)


class GroupFacts:
    """What is known of a group, for ever."""

    def __init__(self) -> None:
        self.leaders: dict[Term, NodeId] = {}
        self.votes: dict[tuple[NodeId, Term], NodeId] = {}
        self.entries: dict[tuple[Index, Term], tuple[Entry, Term]] = {}
        """Every entry that was ever written, with the term of the one before it."""
        self.committed: list[Entry] = []
        """The entries that were ever committed, the first one at 0."""
        self.conf = ConfState()
        """Of the node that committed last."""
        self.leading: dict[int, Machine] = {}
        """The machines whose node leads, by their numbers."""


class Seen:
    """What was seen of one process's member of a group last."""

    __slots__ = ("applied", "commit", "fingerprint", "leads", "time_ms", "written")

    def __init__(self, applied: Index, commit: Index, written: Index) -> None:
        self.applied = applied
        self.commit = commit
        self.written = written
        self.leads = Term(0)
        self.time_ms = 0
        """The state's."""
        self.fingerprint: tuple[Any, ...] = ()
        """Nothing but leases can be wrong while it is the same."""


class Invariants:
    """Of one cluster."""

    def __init__(self, cluster: Cluster, *, thorough: bool = False) -> None:
        self._cluster = cluster
        self._digest_every = 1 if thorough else DIGEST_EVERY
        self._check_every = 1 if thorough else CHECK_EVERY
        self.groups = {group: GroupFacts() for group in GROUPS}
        self.digests: dict[Index, tuple[str, NodeId]] = {}
        self.traces: dict[Index, tuple[int, NodeId]] = {}
        """What each entry left, and who said so first."""
        self._seen: dict[tuple[int, GroupId], Seen] = {}
        self._count = 0
        self._most_applied = Index(0)
        self.leases_hold = True
        """Whether clocks drift by no more than is stated."""
        self.acknowledged_is_durable = True
        """Whether every node has `appendfsync always`. If not, a power cut loses what was acknowledged, and then only
        what is said of votes, terms and leaders must hold, and that entries with one index and term are equal."""

    # A process begins and ends.

    def opened(self, machine: Machine) -> None:
        """A process has read its disk."""
        for group, raft in machine.rafts():
            # What lies below the image is compared by its bytes.
            self._seen[machine.number, group] = Seen(Index(0), raft.commit_index, Index(0))
            self._read_log(machine, group)
            known = Index(len(self.groups[group].committed))
            if raft.commit_index > known:
                # It failed in the event in which it committed.
                self._commit(machine, group, raft, known)

    def _read_log(self, machine: Machine, group: GroupId) -> None:
        log = machine.disk.logs[group]
        if log.last_index() >= log.first_index():
            self._write(machine, group, log.entries(log.first_index(), Index(log.last_index() + 1), 1 << 60))

    def closed(self, machine: Machine) -> None:
        """A process is gone."""
        for group in GROUPS:
            self.groups[group].leading.pop(machine.number, None)

    def crashed(self) -> None:
        """After a crash: what was committed last is still durable on a majority."""
        for group in GROUPS:
            facts = self.groups[group]
            if facts.committed and self.acknowledged_is_durable:
                self._require_majority(group, facts.committed[-1])

    # Messages.

    def message(self, machine: Machine, group: GroupId, message: AnyMessage) -> None:
        """One of Raft's messages leaves."""
        if isinstance(message, AppendReply):
            if not message.rejected and self.acknowledged_is_durable:
                durable = machine.disk.durable[group]
                require(
                    message.index <= max(durable.last_index(), durable.start.index),
                    f"node {machine.id} acknowledges entry {message.index}, but only {durable.last_index()} is durable",
                )
        elif isinstance(message, VoteReply):
            if message.granted and not message.pre:
                self._vote(machine, group, message.term, message.to)
                if self._cluster.on_vote is not None and group == FIRST_SHARD_GROUP:
                    self._cluster.on_vote(machine, message.to)
        elif isinstance(message, Vote) and not message.pre:
            self._vote(machine, group, message.term, machine.id)

    def _vote(self, machine: Machine, group: GroupId, term: Term, candidate: NodeId) -> None:
        if candidate == machine.id and machine.forgets():
            # Who has not heard yet that it has forgotten something may ask for votes. Who knows of it gives it none.
            return
        hard = machine.disk.durable[group].hard_state
        # Who has gone to a later term meanwhile, durably, cannot vote in this one again.
        require(
            hard.term > term or (hard.term, hard.vote) == (term, candidate),
            f"node {machine.id} tells of its vote for {candidate} in term {term}; durable is {hard}",
        )
        known = self.groups[group].votes.setdefault((machine.id, term), candidate)
        require(known == candidate, f"node {machine.id} votes for {known} and for {candidate} in term {term}")

    # Reads.

    def read(self, machine: Machine) -> None:
        """A node that leads reads from what it has applied, and has asked nobody."""
        applied = machine.node.shard.applied.index
        require(
            applied >= self._most_applied or not self.leases_hold or not self.acknowledged_is_durable,
            f"node {machine.id} reads what it has applied, {applied}; another has applied {self._most_applied}",
        )

    # Events.

    def after(self, machine: Machine) -> None:
        """Something has happened at a node."""
        for group, raft in machine.rafts():
            self._look(machine, group, raft)
        self._count += 1
        if self._count % self._check_every == 0:
            machine.node.check()

    def _look(self, machine: Machine, group: GroupId, raft: RaftNode) -> None:
        seen = self._seen[machine.number, group]
        log = raft._log
        unstable = log._unstable
        fingerprint = (raft.term, raft.role, log.committed, raft._applied, log.stable, unstable and unstable[-1])
        facts = self.groups[group]
        if fingerprint == seen.fingerprint:
            if len(facts.leading) > 1:
                self._compare_leases(group)
            return
        seen.fingerprint = fingerprint
        raft.check()
        if unstable:
            self._write(machine, group, log._unstable)
        committed, applied = raft.commit_index, raft._applied
        if committed != seen.commit:
            require(committed > seen.commit, f"node {machine.id}: the commit index goes back to {committed}")
            if raft.role is Role.LEADER and committed >= log.first_index:
                require(
                    log.term(committed) == raft.term,
                    f"group {group}: node {machine.id} commits entry {committed} of term {log.term(committed)} by"
                    f" counting in term {raft.term}",
                )
            self._commit(machine, group, raft, seen.commit)
            seen.commit = committed
        if applied != seen.applied:
            require(applied > seen.applied, f"node {machine.id}: the applied index goes back to {applied}")
            seen.applied = applied
            if group == FIRST_SHARD_GROUP:
                self._most_applied = max(self._most_applied, applied)
                time_ms = machine.node.shard.applied.time_ms
                require(time_ms >= seen.time_ms, f"node {machine.id}: the state's time goes back to {time_ms}")
                seen.time_ms = time_ms
            else:
                self._require_voters_stay(machine)
            if group == FIRST_SHARD_GROUP and applied % self._digest_every == 0:
                self.digest(machine)
        if raft.role is Role.LEADER:
            if seen.leads != raft.term:
                seen.leads = raft.term
                self._begins_to_lead(machine, group, raft)
            facts.leading[machine.number] = machine
        else:
            seen.leads = Term(0)
            if facts.leading:
                facts.leading.pop(machine.number, None)
        if len(facts.leading) > 1:
            self._compare_leases(group)

    def _require_voters_stay(self, machine: Machine) -> None:
        table = machine.node.config.table
        for group, facts in self.groups.items():
            voters = (*facts.conf.voters, *facts.conf.outgoing)
            gone = [node for node in voters if node <= table.last_node and node not in table.nodes]
            require(not gone, f"group {group}: nodes {gone} are taken out of the table, and vote")

    def _begins_to_lead(self, machine: Machine, group: GroupId, raft: RaftNode) -> None:
        facts = self.groups[group]
        known = facts.leaders.setdefault(raft.term, machine.id)
        require(known == machine.id, f"group {group}: nodes {known} and {machine.id} lead in term {raft.term}")
        if facts.committed and self.acknowledged_is_durable and raft.term == max(facts.leaders):
            # (One whose election was decided late, when there is a leader of a later term, may lack what that one has.)
            last = facts.committed[-1]
            has = raft.last_index >= last.index and (
                last.index < raft._log.first_index or raft._log.matches(last.index, last.term)
            )
            require(
                has,
                f"group {group}: node {machine.id} leads in term {raft.term} with a log up to {raft.last_index}"
                f" and lacks the committed entry {last.index} of term {last.term}",
            )
        if self._cluster.on_leader is not None and group == FIRST_SHARD_GROUP:
            self._cluster.on_leader(machine)

    def _compare_leases(self, group: GroupId) -> None:
        if not self.leases_hold or not self.acknowledged_is_durable:
            return
        facts = self.groups[group]
        holders = []
        for machine in facts.leading.values():
            raft = dict(machine.rafts())[group]
            until_ms = raft.lease_until_ms
            if until_ms >= 0 and machine.clock.monotonic_ns() < until_ms * 1_000_000:
                holders.append(machine.id)
                require(
                    raft.commit_index >= len(facts.committed),
                    f"group {group}: node {machine.id} has a lease in term {raft.term} and has committed"
                    f" {raft.commit_index}; another has committed {len(facts.committed)}",
                )
        require(len(holders) <= 1, f"group {group}: the leases of nodes {holders} overlap")

    def _write(self, machine: Machine, group: GroupId, entries: list[Entry]) -> None:
        """Entries are in a log: they are those that others have, and so are those before them."""
        known = self.groups[group].entries
        seen = self._seen[machine.number, group]
        if len(entries) == 1 and (entries[0].index, entries[0].term) in known and seen.written == entries[0].index:
            return
        log = machine.disk.logs[group]
        raft_log = dict(machine.rafts())[group]._log
        for entry in entries:
            place = (entry.index, entry.term)
            before = entries[entry.index - entries[0].index - 1].term if entry.index > entries[0].index else None
            if before is None:
                previous = Index(entry.index - 1)
                before = log.start.term if previous == log.start.index else raft_log.term(previous)
            other, other_before = known.setdefault(place, (entry, before))
            require(
                other == entry and other_before == before,
                f"group {group}: node {machine.id} has another entry {entry.index} of term {entry.term} than others",
            )
        seen.written = entries[-1].index

    def _commit(self, machine: Machine, group: GroupId, raft: RaftNode, since: Index) -> None:
        facts = self.groups[group]
        committed = facts.committed
        log = raft._log
        low = max(since + 1, log.first_index)
        if low > raft.commit_index:
            return
        entries = []
        while low <= raft.commit_index:
            found = log.entries(Index(low), 1 << 30)
            entries += found
            low = found[-1].index + 1
        for entry in entries:
            if entry.index > raft.commit_index:
                break
            if not self.acknowledged_is_durable:
                facts.conf = raft.conf
                continue
            if entry.index <= len(committed):
                other = committed[entry.index - 1]
                require(
                    other == entry,
                    f"group {group}: entry {entry.index} was committed in term {other.term}, and node"
                    f" {machine.id} has another of term {entry.term} committed",
                )
            else:
                require(
                    entry.index == len(committed) + 1,
                    f"group {group}: node {machine.id} commits entry {entry.index}; {len(committed)} was the last",
                )
                committed.append(entry)
                facts.conf = raft.conf
                self._require_majority(group, entry)

    def _require_majority(self, group: GroupId, entry: Entry) -> None:
        cluster = self._cluster
        conf = self.groups[group].conf
        for voters in (conf.voters, conf.outgoing):
            if voters:
                having = [
                    node
                    for node in voters
                    if (machine := cluster.machine_of(node)) is not None and _has(machine, group, entry)
                ]
                require(
                    len(having) > len(voters) // 2,
                    f"group {group}: entry {entry.index} of term {entry.term} is committed and durable only on"
                    f" {having} of {list(voters)}",
                )

    # Bytes.

    def applied(self, machine: Machine, entry: Entry) -> None:
        """A node has executed an entry."""
        if not self.acknowledged_is_durable:
            return
        traces = trace_of(machine, entry)
        other, node = self.traces.setdefault(entry.index, (traces, machine.id))
        require(other == traces, f"node {machine.id} makes something else of entry {entry.index} than node {node}")

    def digest(self, machine: Machine) -> str:
        """Compare a node's state machine with others as of the same index; its digest."""
        index = machine.node.shard.applied.index
        digest = digest_of(machine)
        if not self.acknowledged_is_durable:
            return digest
        other, node = self.digests.setdefault(index, (digest, machine.id))
        require(other == digest, f"nodes {node} and {machine.id} have applied {index} and have other bytes")
        return digest

    def everything(self, machine: Machine) -> None:
        """All that can be looked at of one node."""
        machine.node.check()
        self.digest(machine)

    def nobody_waits(self) -> bool:
        """Whether no command waits for a key, as the members have it. When no client is there any more none may: what
        is pushed would be given to nobody."""
        members = [self._cluster.machine_of(node) for node in self._cluster.members()]
        return all(each and each.up and not each.node.shard.keyspace.waiters.replicated() for each in members)


def _has(machine: Machine, group: GroupId, entry: Entry) -> bool:
    """Whether a machine has an entry durably. One whose disk was put back had it, and does not vote before it has it
    again: then others have it who are asked. Nor does one vote that was wiped."""
    if (machine.lost or machine.disk).has_durable(group, entry):
        return True
    return machine.forgets() and has_entry(machine.forgotten[group], entry)
