"""A cluster by hand: an action a line, typed (`tools/simulate --interactive`) or from a script with expectations.

    cluster N [pre-vote=on|off] [option=value …]   a new cluster, started; options are redraft's
    step [N] | run MS | until CONDITION [MS]       events, time, time until something holds (10 s at most)
    pause M | hold-up M | resume M                 a machine does nothing; or only its pulse goes on
    stop M | start M                               start all: those that are down
    kill M (or crash M) | power M                  what it wrote stays, or only what it had synced; also of all at once
    cut A [B] | one-way A B | heal [A B]           cut a machine off all others, or two from each other; end all cuts
    deaf M | mute M                                nothing reaches it; nothing that it sends arrives
    break A B                                      their connections break, with what is under way
    propose M WORDS …                              any command, to any machine; its reply (10 s at most)
    send M WORDS …                                 the same, and nobody waits for it
    join [NAME]                                    a new machine asks to be taken in; it is $NAME from now on
    flush M | clock M PPM | disk M bad|good | wipe M
    bind                                           $L is whoever serves, $F1, $F2 … are the others
    status | table M | trace [N]                   looking: all machines, the config table, the last moments
    state M | state M node[.ATTRIBUTE …]           what matters of a node, as JSON; all of it, or of a part
    help                                           this
    expect CONDITION                               fails unless it holds

Conditions: `leader` (one serves), `leader M`, `no-leader`, `role M ROLE`, `not-leading M`, `term M N` (at least),
`same-term`, `equal` (all that are up have applied the same and have the same bytes), `applied M N` (at least),
`voter M`, `up M`, `down M`, `reply TEXT` (what was answered last begins with it), `reached M` (it has all that is
committed).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from redraft.ids import FIRST_SHARD_GROUP
from redraft.raft.status import Role
from sim.asking import Asking
from sim.cluster import Cluster
from sim.events import MS
from sim.invariants import InvariantError
from sim.machine import Machine
from sim.plain import plain
from sim.state import state
from sim.trace import Trace
from support.processes import ReplyError

PATIENCE_MS = 10_000


class ScriptError(Exception):
    """A line that cannot be understood, or an expectation that is not met."""


class Shell:
    """One cluster, and what was said about it."""

    def __init__(self, *, seed: int = 1, options: dict[str, Any] | None = None) -> None:
        self._seed = seed
        self._options = options or {}
        self.trace = Trace()
        self.cluster: Cluster
        self.names: dict[str, str] = {}
        self.reply = ""
        self._cuts: list[tuple[int, int]] = []
        self.make(3)

    def make(self, size: int, **options: Any) -> None:
        """A new cluster."""
        options = {**options, **self._options}
        raft_options = {"pre_vote": options.pop("pre_vote", True)}
        self.trace = Trace()
        self._cuts = []
        self.names = {}
        self.cluster = Cluster(size, self._seed, trace=self.trace, settings=options, raft_options=raft_options)
        self.cluster.start()

    # Lines.

    def line(self, line: str) -> str:
        """Do what a line says; what is to be printed. Raises ScriptError."""
        line = line.partition("#")[0].strip() if not line.lstrip().startswith(("propose", "send")) else line.strip()
        for name, value in sorted(self.names.items(), reverse=True):
            line = line.replace(f"${name}", value)
        if not line:
            return ""
        verb, *words = line.split()
        action: Callable[[list[str]], str] | None = getattr(self, "_" + verb.replace("-", "_") + "_action", None)
        if action is None:
            raise ScriptError(f"there is no action '{verb}'")
        try:
            return action(words)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ScriptError(f"{line}: {error!r}") from error

    def _machine(self, word: str) -> Machine:
        return self.cluster.machines[int(word.lstrip("m"))]

    def _up_machine(self, word: str) -> Machine:
        machine = self._machine(word)
        if not machine.up:
            raise ScriptError(f"machine {machine.number} is down")
        return machine

    def _cluster_action(self, words: list[str]) -> str:
        size, *pairs = words
        options: dict[str, Any] = {}
        for pair in pairs:
            name, _, value = pair.partition("=")
            options[name.replace("-", "_")] = {"on": True, "off": False}.get(value, value)
        self.make(int(size), **{name: int(v) if isinstance(v, str) else v for name, v in options.items()})
        return ""

    # Time.

    def _step_action(self, words: list[str]) -> str:
        before = len(self.trace.moments)
        for _ in range(int(words[0]) if words else 1):
            self.cluster.step()
        return "\n".join(self.trace.lines()[before:]) or f"{self.cluster.events.now_ns / MS:.3f} ms"

    def _run_action(self, words: list[str]) -> str:
        self.cluster.run(int(words[0]) * MS)
        return ""

    def _until_action(self, words: list[str]) -> str:
        within_ms = PATIENCE_MS
        if len(words) > 1 and words[-1].endswith("ms"):
            within_ms = int(words.pop().removesuffix("ms"))
        self.cluster.run_until(lambda: self.holds(words), within_ms * MS, f"not {' '.join(words)}")
        return ""

    # Machines.

    def _pause_action(self, words: list[str]) -> str:
        self._machine(words[0]).pause()
        return ""

    def _hold_up_action(self, words: list[str]) -> str:
        self._machine(words[0]).hold_up()
        return ""

    def _resume_action(self, words: list[str]) -> str:
        self._machine(words[0]).resume()
        return ""

    def _help_action(self, words: list[str]) -> str:
        return (__doc__ or "").partition("\n\n")[2].rstrip()

    def _those(self, word: str, *, up: bool) -> list[Machine]:
        """One machine, or with `all` those that are up, or down."""
        if word == "all":
            return [machine for machine in self.cluster.machines.values() if machine.up == up]
        return [self._machine(word)]

    def _kill_action(self, words: list[str]) -> str:
        for machine in self._those(words[0], up=True):
            machine.kill()
        return ""

    _crash_action = _kill_action

    def _power_action(self, words: list[str]) -> str:
        for machine in self._those(words[0], up=True):
            machine.kill(power=True)
        return ""

    def _stop_action(self, words: list[str]) -> str:
        self._machine(words[0]).stop()
        return ""

    def _start_action(self, words: list[str]) -> str:
        for machine in self._those(words[0], up=False):
            machine.start()
        return ""

    def _join_action(self, words: list[str]) -> str:
        machine = self.cluster.join()
        if words:
            self.names[words[0]] = str(machine.number)
        return f"machine {machine.number}"

    def _flush_action(self, words: list[str]) -> str:
        machine = self._up_machine(words[0])
        machine.node.flusher.request()
        machine.wake()
        return ""

    def _clock_action(self, words: list[str]) -> str:
        self._machine(words[0]).clock.set_rate(int(words[1]))
        return ""

    def _disk_action(self, words: list[str]) -> str:
        self._machine(words[0]).disk.fails = words[1] == "bad"
        return ""

    def _wipe_action(self, words: list[str]) -> str:
        """It has lost its data; by its old command it is started as a founder again."""
        machine = self._machine(words[0])
        if machine.up or machine.disk.identity is None:
            raise ScriptError("only a machine that is down, and was a node, can lose its data")
        machine.wipe()
        return ""

    # The network.

    def _block(self, sender: int, to: int) -> None:
        self._cuts.append((sender, to))
        self.cluster.network.block(sender, to)

    def _others(self, machine: Machine) -> list[int]:
        return [number for number in self.cluster.machines if number != machine.number]

    def _cut_action(self, words: list[str]) -> str:
        one = self._machine(words[0])
        for other in [self._machine(words[1]).number] if len(words) > 1 else self._others(one):
            self._block(one.number, other)
            self._block(other, one.number)
        return ""

    def _one_way_action(self, words: list[str]) -> str:
        self._block(self._machine(words[0]).number, self._machine(words[1]).number)
        return ""

    def _deaf_action(self, words: list[str]) -> str:
        one = self._machine(words[0])
        for other in self._others(one):
            self._block(other, one.number)
        return ""

    def _mute_action(self, words: list[str]) -> str:
        one = self._machine(words[0])
        for other in self._others(one):
            self._block(one.number, other)
        return ""

    def _heal_action(self, words: list[str]) -> str:
        pair = {self._machine(word).number for word in words}
        healed = [cut for cut in self._cuts if not pair or set(cut) == pair]
        for cut in healed:
            self._cuts.remove(cut)
            self.cluster.network.open(*cut)
        return ""

    def _break_action(self, words: list[str]) -> str:
        for connection in self.cluster.network.between(self._machine(words[0]).number, self._machine(words[1]).number):
            connection.break_()
        return ""

    # Commands.

    def _send_action(self, words: list[str]) -> str:
        Asking(self.cluster, self._up_machine(words[0]), tuple(words[1:]))
        return ""

    def _propose_action(self, words: list[str]) -> str:
        wanted = ""
        if "->" in words:
            at = words.index("->")
            words, wanted = words[:at], " ".join(words[at + 1 :])
        replies: list[Any] = []
        Asking(self.cluster, self._up_machine(words[0]), tuple(words[1:]), replies.append)
        self.cluster.run_until(lambda: bool(replies), PATIENCE_MS * MS, f"no reply to {' '.join(words)}")
        self.reply = show_reply(replies[0])
        if wanted and not self.reply.startswith(wanted):
            raise ScriptError(f"{' '.join(words)}: answered {self.reply}, expected {wanted}")
        return self.reply

    # Looking.

    def _bind_action(self, words: list[str]) -> str:
        serving = self._serving()
        if len(serving) != 1:
            raise ScriptError(f"{len(serving)} machines serve")
        self.names = {"L": str(serving[0].number)}
        others = [machine for machine in self.cluster.up() if machine is not serving[0]]
        for place, machine in enumerate(others):
            self.names[f"F{place + 1}"] = str(machine.number)
        return ", ".join(f"${name} = {value}" for name, value in self.names.items())

    def _status_action(self, words: list[str]) -> str:
        now_ms = self.cluster.events.now_ns / MS
        return f"{now_ms:.3f} ms\n" + self.cluster.describe()

    def _state_action(self, words: list[str]) -> str:
        if len(words) == 1:
            return json.dumps(state(self._machine(words[0])), indent=1)
        first, *names = words[1].split(".")
        if first != "node":
            raise ScriptError(f"it begins with 'node', not '{first}'")
        found: Any = self._up_machine(words[0]).node
        for name in names:
            if not hasattr(found, name):
                raise ScriptError(f"{type(found).__name__} has no {name}")
            found = getattr(found, name)
        return json.dumps(plain(found, words[1]), indent=1)

    def _table_action(self, words: list[str]) -> str:
        return json.dumps(state(self._up_machine(words[0]))["table"], indent=1)

    def _trace_action(self, words: list[str]) -> str:
        return "\n".join(self.trace.lines(int(words[0]) if words else 20))

    def _expect_action(self, words: list[str]) -> str:
        if not self.holds(words):
            text = f"expected {' '.join(words)}"
            raise ScriptError(f"{text}; the last reply was {self.reply!r}\n{self.cluster.describe()}")
        return ""

    # Conditions.

    def _serving(self) -> list[Machine]:
        return [machine for machine in self.cluster.up() if machine.node.serves and not machine.paused]

    def holds(self, words: list[str]) -> bool:
        """Whether a condition holds. Raises ScriptError for one that is none."""
        name, *rest = words
        test: Callable[..., bool] | None = getattr(self, "_is_" + name.replace("-", "_"), None)
        if test is None:
            raise ScriptError(f"there is no condition '{name}'")
        return test(*rest)

    def _is_leader(self, number: str = "") -> bool:
        serving = self._serving()
        return len(serving) == 1 and (not number or serving[0] is self._machine(number))

    def _is_no_leader(self) -> bool:
        return not self._serving()

    def _is_role(self, number: str, role: str) -> bool:
        return self._up_machine(number).node.shard.raft.role is Role(role)

    def _is_not_leading(self, number: str) -> bool:
        return self._up_machine(number).node.shard.raft.role is not Role.LEADER

    def _is_term(self, number: str, term: str) -> bool:
        return self._up_machine(number).node.shard.raft.term >= int(term)

    def _is_same_term(self) -> bool:
        return len({machine.node.shard.raft.term for machine in self.cluster.up()}) == 1

    def _is_equal(self) -> bool:
        up = self.cluster.up()
        if len({machine.node.shard.applied.index for machine in up}) != 1:
            return False
        return len({self.cluster.invariants.digest(machine) for machine in up}) == 1

    def _is_applied(self, number: str, index: str) -> bool:
        return self._up_machine(number).node.shard.applied.index >= int(index)

    def _is_reached(self, number: str) -> bool:
        committed = len(self.cluster.invariants.groups[FIRST_SHARD_GROUP].committed)
        return self._machine(number).up and self._machine(number).node.shard.applied.index == committed

    def _is_voter(self, number: str) -> bool:
        serving = self._serving()
        return len(serving) == 1 and serving[0].node.shard.raft.conf.is_voter(self._machine(number).id)

    def _is_up(self, number: str) -> bool:
        return self._machine(number).up

    def _is_down(self, number: str) -> bool:
        return not self._machine(number).up

    def _is_reply(self, *text: str) -> bool:
        return self.reply.startswith(" ".join(text))


def show_reply(reply: Any) -> str:
    """A reply in a line."""
    if isinstance(reply, ReplyError):
        return f"error {reply}"
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "backslashreplace")
    if isinstance(reply, list):
        return "[" + ", ".join(show_reply(each) for each in reply) + "]"
    return "nil" if reply is None else str(reply)


def run_script(text: str, *, seed: int = 1, size: int = 3, pre_vote: bool = True) -> Shell:
    """Run a script on a cluster. Raises ScriptError with the number of the line, also for a violated invariant."""
    shell = Shell(seed=seed, options={"pre_vote": pre_vote})
    shell.make(size)
    shell.names = {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            shell.line(line)
        except (ScriptError, AssertionError, InvariantError) as error:
            raise ScriptError(f"line {number}, {line.strip()!r}: {error}") from error
    return shell


def interact(seed: int, size: int, read: Callable[[str], str]) -> None:
    """Read lines and do what they say, until they end."""
    shell = Shell(seed=seed)
    shell.make(size)
    print(__doc__)
    while True:
        try:
            line = read(f"{shell.cluster.events.now_ns / MS:.3f} ms> ")
        except EOFError:
            return
        if line.strip() in ("quit", "exit"):
            return
        try:
            printed = shell.line(line)
        except (ScriptError, AssertionError, InvariantError) as error:
            printed = f"{type(error).__name__}: {error}"
        if printed:
            print(printed)
