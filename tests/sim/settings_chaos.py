"""Settings that differ between machines, and change: at a start, and by CONFIG SET while a node runs.

Whatever a node's settings are, the promises hold; where a machine may ever read what is old (`read-consistency stale`),
reads by way of it are left out of the histories.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from sim.any_commands import DATABASES
from sim.asking import Asking

if TYPE_CHECKING:
    from sim.cluster import Cluster
    from sim.machine import Machine

LIVE: dict[str, tuple[str, ...]] = {
    "flush-dirty-keys": ("5", "12", "40", "100000"),
    "flush-log-bytes": ("500", "2000", "20000"),
    "log-retain-entries": ("0", "3", "10", "100"),
    "hash-max-listpack-entries": ("0", "1", "2", "512"),
    "hash-max-listpack-value": ("0", "3", "64"),
    "list-max-listpack-size": ("-2", "1", "3"),
    "set-max-intset-entries": ("0", "3", "512"),
    "zset-max-listpack-entries": ("0", "2", "128"),
    "zset-max-listpack-value": ("0", "3", "64"),
    "slowlog-log-slower-than": ("-1", "0", "10000"),
    "slowlog-max-len": ("0", "3", "128"),
    "latency-monitor-threshold": ("0", "1"),
    "active-expire": ("yes", "yes", "no"),
    "max-uncommitted-bytes": ("1mb", "64mb"),
    "client-query-buffer-limit": ("1mb", "1gb"),
    "proto-max-bulk-len": ("1mb", "512mb"),
    "redirect": ("proxy", "proxy", "moved"),
    "read-consistency": ("linearizable", "stale"),
    "hz": ("1", "10", "500"),
}
"""What CONFIG SET may change, and to what."""
TIMES_MS: dict[str, tuple[int, ...]] = {
    "heartbeat_interval": (50, 100, 150),
    "election_timeout": (500, 1000, 1500, 3000),
    "max_clock_drift": (50, 100),
}
"""What leases rest on."""
DATABASE_COUNTS = (DATABASES, DATABASES + 2, 16, 20)


class SettingsChaos:
    """The part of chaos that is about settings."""

    _cluster: Cluster
    _random: Random

    def draw_settings(self) -> None:
        """What differs in this run."""
        random = self._random
        self.settings_differ = random.random() < 0.5
        # Without pre-vote one that cannot win, and has the shortest timeout, would come first for ever.
        self.times_differ = random.random() < 0.4 and self._cluster.raft_options.get("pre_vote", True)
        self.databases_differ = random.random() < 0.4
        names = [name for name in LIVE if random.random() < 0.5]
        if random.random() < 0.9 and "read-consistency" in names:
            names.remove("read-consistency")
        self.live_names = names or list(LIVE)[:3]
        """What CONFIG SET changes in this run."""

    def settings_of_a_start(self, machine: Machine) -> None:
        """Give a machine settings of its own, from its next start on."""
        random = self._random
        if self.times_differ:
            for name, values in TIMES_MS.items():
                machine.settings[name] = random.choice(values)
        if self.databases_differ:
            machine.settings["databases"] = random.choice(DATABASE_COUNTS)
        if self.settings_differ:
            for name in ("flush_dirty_keys", "flush_log_bytes", "log_retain_entries"):
                if random.random() < 0.3:
                    machine.settings[name] = int(random.choice(LIVE[name.replace("_", "-")]))

    def least_drift_ms(self) -> tuple[int, int]:
        """The longest election timeout and the least drift that any machine has: clocks keep within both."""
        settings = self._cluster.settings
        every = [settings | machine.settings for machine in self._cluster.machines.values()]
        if self.times_differ:
            return max(TIMES_MS["election_timeout"]), min(TIMES_MS["max_clock_drift"])
        return max(each["election_timeout"] for each in every), min(each["max_clock_drift"] for each in every)

    def _some(self) -> Machine | None:
        raise NotImplementedError

    def _tell(self, text: str) -> bool:
        raise NotImplementedError

    def _do_setting(self) -> bool:
        """CONFIG SET of a few options at one node."""
        machine, random = self._some(), self._random
        if machine is None:
            return False
        pairs: dict[str, Any] = {}
        for _ in range(random.randint(1, 3)):
            name = random.choice(self.live_names)
            pairs[name] = random.choice(LIVE[name])
        if self.times_differ and random.random() < 0.5:
            name = random.choice(list(TIMES_MS))
            pairs[name.replace("_", "-")] = random.choice(TIMES_MS[name])
        if pairs.get("read-consistency") == "stale":
            machine.reads_anything = True
        Asking(self._cluster, machine, ("CONFIG", "SET", *[word for pair in pairs.items() for word in pair]))
        return self._tell(f"m{machine.number}: {' '.join(f'{name} {value}' for name, value in pairs.items())}")
