"""A machine's clocks: the monotonic one has a rate of its own, the wall clock may be off, and jump.

The monotonic clock of a process has no relation to true time but its rate. Each look at it within one instant of true
time gives a little more than the one before, as if the work between two looks took time. Work that
takes longer is *spent* at the clock: within the event the clock is ahead by so much, and the machine does the next
thing when true time has caught up.
"""

from __future__ import annotations

from sim.events import MS, Events

PPM = 1_000_000
START_MS = 1_700_000_000_000
LOOK_NS = 200


class SimClock:
    """Implements `redraft.clock.Clock`."""

    def __init__(self, events: Events, rate_ppm: int, wall_offset_ms: int) -> None:
        self._events = events
        self.rate_ppm = rate_ppm
        """How much faster than true time it runs, in millionths."""
        self.wall_offset_ms = wall_offset_ms
        self._from_ns = events.now_ns
        """Since when it has run at this rate, in true time."""
        self._base_ns = 0
        """What it showed then."""
        self._last_ns = 0
        self._spent_ns = 0
        """How long the work of this event has taken so far."""
        self.stands = False
        """Whether it does not run at all."""

    def _local_ns(self) -> int:
        if self.stands:
            return self._base_ns
        passed = self._events.now_ns + self._spent_ns - self._from_ns
        return self._base_ns + passed + passed * self.rate_ppm // PPM

    def monotonic_ns(self) -> int:
        local = self._local_ns()
        if local <= self._last_ns:
            local = self._last_ns + LOOK_NS
        self._last_ns = local
        return local

    def now_ms(self) -> int:
        return START_MS + self.wall_offset_ms + (self._events.now_ns + self._spent_ns) // MS

    def now_us(self) -> int:
        return (START_MS + self.wall_offset_ms) * 1000 + (self._events.now_ns + self._spent_ns) // 1000

    def spend(self, work_ns: int) -> None:
        """Work takes so long."""
        self._spent_ns += work_ns

    def take_spent(self) -> int:
        """How long the work of this event took; true time is to catch up."""
        spent_ns, self._spent_ns = self._spent_ns, 0
        return spent_ns

    def set_rate(self, rate_ppm: int) -> None:
        """Run at another rate from now on."""
        self._base_ns = self._local_ns()
        self._from_ns = self._events.now_ns
        self.rate_ppm = rate_ppm

    def stand(self, *, still: bool) -> None:
        """Stand still, or run again."""
        self._base_ns = self._local_ns()
        self._from_ns = self._events.now_ns
        self.stands = still

    def true_ns(self, local_ns: int) -> int:
        """When it will show a time, if its rate stays as it is."""
        left = local_ns - self._local_ns()
        return self._events.now_ns + max(0, -(-left * PPM // (PPM + self.rate_ppm)))
