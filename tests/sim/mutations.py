"""Seeded bugs: what a slip of the hand could break, and within how many seeds a simulation finds each.

A mutation is a few replacements in a copy of the sources. It fails loudly when the text that it replaces is not there
exactly once: then the source has changed, and the mutation must be written anew. Each is tried on one seed after the
other until one ends in a violation, which without the bug it must not. An order that comes from a Python set shows in
no run, since all simulated nodes share one process: there a few seeds are run under two hash seeds, which must make no
difference.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MOST_SEEDS = 150
MINUTES = 0.5
COPIED = (
    "redraft", "tests/sim", "tests/oracle", "tests/linearizability", "tests/support", "tools/in_venv.py",
    "tools/simulate",
)  # fmt: skip


class MutationError(Exception):
    """The source is not what the mutation expects."""


class Mutation(NamedTuple):
    """A bug."""

    name: str
    what: str
    changes: tuple[tuple[str, str, str], ...]
    """(file below redraft/, text, what takes its place)."""
    by_hash: bool = False
    """It shows only when runs under two hash seeds are compared."""
    only: str = ""
    """The one kind of chaos that it is looked for with: among all of them that one comes too seldom."""


MUTATIONS = (
    Mutation("vote-not-synced", "a vote is told before it is durable", (
        ("raft/node.py",
         "must_sync = bool(entries) or changes_vote or snapshot is not None",
         "must_sync = bool(entries) or snapshot is not None"),
        ("raft/node.py", "if ready.hard_state is not None and ready.must_sync:", "if ready.hard_state is not None:"),
    )),
    Mutation("founders-do-not-wait", "a founder takes part before all others of its list have let it in", (
        ("node/founding.py", "return bool(self.awaited)", "return False"),
    )),
    Mutation("votes-twice", "a voter grants every candidate of a term its vote", (
        ("raft/node.py",
         "free = self._vote == message.sender or (self._vote == NO_NODE and not promised)",
         "free = True"),
    )),
    Mutation("votes-for-the-ignorant", "a vote is granted whatever the candidate's log is", (
        ("raft/node.py", " and self._is_good_log(message)", ""),
    )),
    Mutation("old-terms-by-count", "entries of old terms are committed by counting replicas (section 5.4.2)", (
        ("raft/leader.py", "if index <= log.committed or log.term(index) != self.term:", "if index <= log.committed:"),
    )),
    Mutation("no-noop", "a new leader appends no no-op, and serves at once", (
        ("raft/leader.py", "self.first_index = Index(log.last_index + 1)", "self.first_index = Index(0)"),
        ("raft/leader.py", 'self._append(b"", EntryKind.NOOP)', "pass"),
    )),
    Mutation("leader-counts-what-is-not-synced", "the leader counts its own entries before their fsync", (
        ("raft/leader.py", "return self._log.stable", "return self._log.last_index"),
    )),
    Mutation("ack-before-fsync", "acknowledgements leave before the fsync", (
        ("raft/node.py", "messages, self._messages = self._messages, []",
         "messages, self._messages = [], (urgent.extend(self._messages) or [])"),
    )),
    Mutation("commit-beyond-the-match", "a heartbeat tells of commits that the follower may not have", (
        ("raft/leader.py", "commit = Index(min(progress.match, self._log.applying))", "commit = self._log.applying"),
        ("raft/node.py", "log, commit = self._log, message.commit",
         "log, commit = self._log, min(message.commit, self._log.last_index)"),
        ("raft/node.py", "not (message.commit_term and log.contradicts(commit, message.commit_term))", "True"),
    )),
    Mutation("forgetful-votes", "a member that knows that it has forgotten something votes by its own log", (
        ("raft/node.py", "        if self.forgetful:\n            return self._forgetting.may_vote_for",
         "        if False:\n            return self._forgetting.may_vote_for"),
    )),
    Mutation("lease-too-long", "a lease lasts longer than its followers' promise", (
        ("raft/leader.py", "return max(0, promise_ms - drift_ms)", "return max(0, 2 * (promise_ms - drift_ms))"),
        ("raft/leader.py", "now_ms + lease_ms)", "now_ms + 2 * lease_ms)"),
    )),
    Mutation("lease-by-own-settings", "a lease counts by the leader's own setting", (
        ("raft/leader.py", "if message.promise_ms != NOT_TOLD:", "if False:"),
    )),
    Mutation("lease-while-handing-over", "a leader keeps its lease while it hands over", (
        ("raft/leader.py", "return -1 if self._handed_over or self._log.committed", "return -1 if self._log.committed"),
    )),
    Mutation("given-up-hand-over", "who has answered the leader that gave a hand-over up still takes part in it", (
        ("raft/node.py", "(term > self.term + 1 or handover >= self._given_up)", "True"),
    )),
    Mutation("lease-of-answers-before-giving-up", "a hand-over that is given up gives the lease back at once", (
        ("raft/leader.py", "self._rounds.revoke_leases()", "pass"),
    )),
    Mutation("acknowledged-while-syncing", "what waits for an fsync is said while that is under way", (
        ("raft/node.py",
         "            urgent = [each for each in self._messages if isinstance(each, HeartbeatReply)]\n"
         "            if urgent:\n"
         "                self._messages = [each for each in self._messages if not isinstance(each, HeartbeatReply)]\n",
         "            urgent, self._messages = self._messages, urgent\n"),
    )),
    Mutation("read-without-quorum", "a node that leads, or believes so, serves reads without a lease", (
        ("node/leadership.py", "serves = node.clock.monotonic_ns() < self.lease_until_ns", "pass"),
    )),
    Mutation("lease-of-the-latest-round", "an answer to an old heartbeat renews the lease from the newest one on", (
        ("raft/rounds.py", "return self._began_ms[-1 - age] if", "return self._began_ms[-1] if"),
    )),
    Mutation("restart-forgets-its-promise", "a member that has started anew votes at once, whatever it had promised", (
        ("raft/node.py", "        self._promise_ticks = ticks\n", "        self._promise_ticks = 0\n"),
    )),
    Mutation("restart-forgets-its-vote", "a member that has started anew does not know for whom it has voted", (
        ("raft/node.py", "self._vote = hard_state.vote", "self._vote = NO_NODE"),
    )),
    Mutation("previous-entry-not-compared", "entries are taken if there is any entry before them, whatever its term", (
        ("raft/log.py", "        if not self.matches(prev_index, prev_term):\n            return None",
         "        if prev_index > self.last_index:\n            return None"),
    )),
    Mutation("follower-reads-too-early", "a follower reads before it has applied the read index", (
        ("node/reads.py", "if each.index is not None and each.index <= applied]", "if each.index is not None]"),
    )),
    Mutation("write-sent-twice", "a write whose outcome is not known is sent again", (
        ("node/forwarding.py",
         "            elif passed.writes:\n                self._fail(passed, UNKNOWN_OUTCOME)",
         "            elif passed.writes:\n                self._hold(passed)"),
    )),
    Mutation("watch-does-nothing", "EXEC does not look at watched keys", (
        ("node/router.py", "spoiled = node.watches.spoiled(session, node.state_ms)", "spoiled = False"),
    )),
    Mutation("applied-twice-after-restart", "the image is told to be of an entry earlier", (
        ("shard/shard.py", "point = FlushPoint(self.applied, self.keyspace.meta())",
         "point = FlushPoint(structs.replace(self.applied, index=Index(max(self.flushed, self.applied.index - 1))),"
         " self.keyspace.meta())"),
    )),
    Mutation("flush-of-now", "a flush writes keys as they are, not as they were at its index", (
        ("keyspace/flush.py", "self.saved[key] = self._as_of_now(key)", "pass"),
        ("keyspace/flush.py", "            if key not in saved:", "            if False:"),
    )),
    Mutation("flush-without-sets", "what a run of SETs left is not written by a flush", (
        ("keyspace/database.py", "        self.dirty_strings.update(zip(keys, values, strict=True))\n", ""),
    )),
    Mutation("image-without-waiters", "an image, and a snapshot, forgets who waits", (
        ("keyspace/keyspace.py", "            keyspace.waiters.add(waiter)", "            pass"),
    )),
    Mutation("snapshot-without-meta", "a snapshot is installed without its meta: of which entry, with which members", (
        ("shard/shard.py", "        self.applied = applied\n        self._time_ms = max(",
         "        self._time_ms = max("),
    )),
    Mutation("snapshot-without-members", "a snapshot is installed without the members that the group has as of it", (
        ("raft/node.py", "self._confs.restore(meta.index, meta.conf)", "pass"),
    )),
    Mutation("waits-not-ended", "a new leader does not end the waits that were begun under earlier ones", (
        ("node/blocking.py", "if not shard.raft.is_alone or shard.keyspace.waiters.replicated():", "if False:"),
    )),
    Mutation("log-cut-too-far", "the log is let go beyond the image", (
        ("node/flusher.py", "end = point.applied.index - self._node.settings.log_retain_entries",
         "end = min(self._shard.applied.index, point.applied.index + 3)"),
    )),
    Mutation("reads-hide-by-the-clock", "a leader's reads hide what is due by its clock before the log says it", (
        ("shard/present.py", "        context.clock_ms = max(now_ms, context.now_ms)\n",
         "        context.clock_ms = context.now_ms = max(now_ms, context.now_ms)\n"),
    )),
    Mutation("time-goes-back", "an entry's time may be before that of an earlier one", (
        ("shard/shard.py", "if header.time_ms < time_ms:", "if False:"),
    )),
    Mutation("stamps-its-own-wall-clock", "a leader stamps its own wall clock into entries", (
        ("node/node.py", "shard.propose(self.clocks.now_ms(), everything=everything)",
         "shard.propose(self.clock.now_ms(), everything=everything)"),
    )),
    Mutation("leads-by-its-own-wall-clock", "a new leader leaps to its own wall clock", (
        ("node/clocks.py", "        if self.state.is_set:\n            return\n        time_ns = self.now_ns(now_ns)\n",
         "        time_ns = max(self.now_ns(now_ns), self._node.clock.now_ms() * MS)\n"),
        ("node/clocks.py", "agreed=span is not None and span.is_narrow())",
         "agreed=span is not None and span.is_narrow()) if not self.state.is_set else self.state.set(time_ns, now_ns)"),
    )),
    Mutation("leaps-to-one-clock", "a cluster that was down as a whole leaps to what its first leader's clock says", (
        ("node/clocks.py", "return self._node.clock.now_ms() * MS if span is None else span.low_ns",
         "return self._node.clock.now_ms() * MS"),
    )),
    Mutation("leaps-with-a-majority", "the state's time is not drawn to what a majority's clocks say, but leaps", (
        ("shard/state_clock.py", "self._offset_ns += min(low_ns - time_ns, most_ns)",
         "self._offset_ns += low_ns - time_ns"),
    )),
    Mutation("leads-with-a-wrong-clock", "a node whose wall clock is wrong goes on leading", (
        ("node/clocks.py", "if self.is_wrong and node.shard.raft.leader is not None and", "if False and"),
    )),
    Mutation("expire-by-local-clock", "keys expire by the clock of whoever applies", (
        ("shard/executor.py", "self.write_context.begin(header.time_ms, header.seed)",
         "self.write_context.begin(1_700_000_000_000 + self._monotonic_ns() // 1_000_000, header.seed)"),
    )),
    Mutation("image-forgets-thresholds", "an image, and a snapshot, forgets where the larger encodings begin", (
        ("keyspace/keyspace.py", "keyspace.thresholds = meta.thresholds", "pass"),
    )),
    Mutation("encodings-not-kept", "a record does not tell that its collection has grown", (
        ("values/codec.py", "tag = value.tag | HAS_GROWN if", "tag = value.tag if"),
    )),
    Mutation("local-randomness", "chance is drawn on each replica", (
        ("shard/executor.py", "self.write_context.begin(header.time_ms, header.seed)",
         "self.write_context.begin(header.time_ms, self._monotonic_ns())"),
    )),
    Mutation("set-order", "a member of a set is taken in the order of a Python set", (
        ("values/set.py", "        member = self.members[position]\n",
         "        member = list(set(self.members))[position]\n"),
    ), by_hash=True),
    Mutation("sessions-at-the-leader", "a transaction's session commands are executed where it is passed on to", (
        ("node/split.py", "            if not goes_to_leader(command):", "            if False:"),
    )),
    Mutation("reads-by-an-old-look-at-the-lease", "in a long tick the lease is not looked at again", (
        ("node/leadership.py", "        if now_ns >= self.lease_until_ns:\n            self.follow()\n", ""),
    ), only="late_read"),
    Mutation("backlog-by-the-index", "what a session sends behind a read that waits for an index is read by it too", (
        ("node/forwarding.py",
         "node.router.route(session, passed.commands, None, permission)\n            session.backlog.extend(later)",
         "node.router.route(session, passed.commands + later, None, permission)"),
    ), only="late_index"),
    Mutation("stopped-by-a-database", "a replica stops when the log names a database that it has not", (
        ("node/families/connection.py", "context.node.databases()", "context.node.settings.databases"),
        ("shard/executor.py", "return self._refuse(command, argvs)", 'raise StorageError("no such database")'),
    )),
    Mutation("log-words-of-clients", "clients may send the log's own words", (
        ("commands/table.py", "                or (sub.internal and not internal)\n", ""),
    )),
    Mutation("level-of-the-newest", "a feature level is used as soon as one node knows it", (
        ("cluster/table.py", "return min((record.level", "return max((record.level"),
        ("cluster/table.py", "if record.level < change.level:", "if False:"),
        ("cluster/table.py", "        assert self.level <= self.common_level()\n", ""),
    )),
    Mutation("vote-needed-of-the-gone", "a removed node is struck out before its vote is taken from it", (
        ("node/membership.py", "if raft.conf.is_voter(leaving):", "if False:"),
    )),
)  # fmt: skip


def copy_sources(root: Path, copy: Path) -> None:
    """Copy what a simulation needs."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        source, target = root / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignore)
        else:
            shutil.copy2(source, target)


def mutate(root: Path, mutation: Mutation, copy: Path) -> None:
    """Copy what a simulation needs, with the bug in it. Raises MutationError."""
    copy_sources(root, copy)
    for file, text, instead in mutation.changes:
        path = copy / "redraft" / file
        found = path.read_text()
        if found.count(text) != 1:
            raise MutationError(f"{mutation.name}: {file} has this {found.count(text)} times, not once: {text}")
        path.write_text(found.replace(text, instead))


def simulate(copy: Path, *arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    """Run a copy's own simulator."""
    environment = {**os.environ, "REDRAFT_TOOL": "1", "PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, str(copy / "tools" / "simulate"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def find(copy: Path, most_seeds: int = MOST_SEEDS, first: int = 1, only: str = "") -> tuple[int, str]:
    """After how many seeds a violation was found, and which; 0 for none."""
    seeds = f"{first}-{first + most_seeds - 1}"
    done = simulate(copy, "--seeds", seeds, *_run_of(only), "--stop-at-first")
    lines = [line for line in done.stdout.splitlines() if line.startswith("seed ")]
    if done.returncode == 0:
        return 0, ""
    if not lines or "VIOLATION" not in lines[-1]:
        raise MutationError(f"the simulator itself has failed:\n{done.stdout[-500:]}\n{done.stderr[-2000:]}")
    return len(lines), lines[-1].partition("VIOLATION ")[2].partition(";")[0][:110]


def _run_of(only: str) -> tuple[str, ...]:
    return ("--minutes-virtual", str(MINUTES), *(("--only", only) if only else ()))


def depends_on_hashes(copy: Path, seeds: int = 3) -> bool:
    """Whether a run is another one under another hash seed."""
    digests = []
    for hash_seed in ("1", "2"):
        done = simulate(copy, "--seeds", f"1-{seeds}", "--minutes-virtual", "0.5", hash_seed=hash_seed)
        digests.append(re.findall(r"; ([0-9a-f]{16}) ", done.stdout))
    return digests[0] != digests[1]


def check_mutations(root: Path, names: list[str], tell: Callable[[str], None]) -> int:
    """Try mutations, all or those named; the exit status."""
    missed = []
    chosen = [mutation for mutation in MUTATIONS if not names or mutation.name in names]
    for mutation in chosen:
        with tempfile.TemporaryDirectory() as directory:
            copy = Path(directory)
            mutate(root, mutation, copy)
            count, violation = (0, "") if mutation.by_hash else find(copy, only=mutation.only)
            if count and simulate(root, "--seeds", str(count), *_run_of(mutation.only)).returncode:
                raise MutationError(f"seed {count} ends in a violation without {mutation.name}, too")
            if count:
                tell(f"{mutation.name:34} found within {count:3} seeds: {violation}")
            elif mutation.by_hash and depends_on_hashes(copy):
                tell(f"{mutation.name:34} found: runs differ with the hash seed")
            else:
                missed.append(mutation.name)
                tell(f"{mutation.name:34} NOT FOUND within {MOST_SEEDS} seeds: {mutation.what}")
    tell(f"{len(chosen) - len(missed)} of {len(chosen)} mutations found" + (f"; not {missed}" if missed else ""))
    return 1 if missed else 0
