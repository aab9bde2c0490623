"""The clock of a shard's state: what its leader stamps into entries, and what every replica expects it to stamp next.

Theory. A wall clock is right in the long run, and may jump at any moment; a monotonic clock has the right pace, and
knows no date. So the state's time is monotonic time plus an offset: it goes on at the pace of real time whatever wall
clocks do, and only the offset is changed:

* *heard*. A replica that does not lead keeps the offset at which it would say what its leader says. A word is never
  early, but for what two clocks drift apart, and may be late by any time; so a word that is ahead of what was expected
  counts at once, and one that is behind moves the expectation no faster than clocks may drift. What remains is the
  least delay of late. So whoever leads next goes on where the last leader stood, without a leap and without a stall.
* *drawn*. The leader moves the offset towards what a majority's wall clocks say (`node.clocks`), by no more than
  `DRAWN_PPM` of the time that passes: a time to live of up to a thousand seconds is right within a second also while
  it is drawn, and a longer one within a thousandth of itself.
* *raised*. To the time of an entry that was applied, which is never ahead of its leader's clock.
* *set*, which is a leap: only where the state's time is not going on anywhere, and by whom and when is told in
  `node.clocks`.

A leader's time never goes back: where it is drawn back, it goes more slowly. A follower's expectation may.

All arguments are nanoseconds, `now_ns` on the monotonic clock of the process. What this leaves out: who leads, and
what wall clocks say.
"""

from __future__ import annotations

MS = 1_000_000
DRAWN_PPM = 1000
"""How much faster or slower than real time a leader lets the state's time go."""


class FollowedClock:
    """A clock elsewhere, by what it says of itself."""

    __slots__ = ("_looked_ns", "_offset_ns", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        """Whether anything is known of it."""
        self._offset_ns = 0
        """What it is ahead of the monotonic clock."""
        self._looked_ns = 0
        """When it was heard, or drawn, last."""

    def read_ns(self, now_ns: int) -> int:
        """What it shows now."""
        return now_ns + self._offset_ns

    def set(self, time_ns: int, now_ns: int) -> None:
        """It shows this now, whatever it showed before."""
        self._offset_ns = time_ns - now_ns
        self._looked_ns = now_ns
        self.is_set = True

    def heard(self, time_ns: int, now_ns: int) -> None:
        """It has said what it showed, a moment ago."""
        ahead_ns = time_ns - now_ns - self._offset_ns
        if not self.is_set or ahead_ns >= 0:
            self.set(time_ns, now_ns)
            return
        self._offset_ns += max(ahead_ns, -2 * self._most_ns(now_ns))

    def _most_ns(self, now_ns: int) -> int:
        """By how much it may be drawn since it was looked at last."""
        passed_ns, self._looked_ns = now_ns - self._looked_ns, now_ns
        return passed_ns * DRAWN_PPM // 1_000_000


class StateClock(FollowedClock):
    """A shard's, on one replica."""

    __slots__ = ("_least_ns",)

    def __init__(self) -> None:
        super().__init__()
        self._least_ns = 0
        """What it showed when it was drawn back last: it shows nothing before that."""

    def read_ns(self, now_ns: int) -> int:
        time_ns = now_ns + self._offset_ns
        return time_ns if time_ns > self._least_ns else self._least_ns

    def raise_to(self, time_ns: int, now_ns: int) -> None:
        """It shows this or more now."""
        if self.is_set:
            self._offset_ns = max(self._offset_ns, time_ns - now_ns)

    def draw(self, low_ns: int, high_ns: int, now_ns: int) -> None:
        """Let it go on towards a span of time, of which it leads; to be called often."""
        time_ns = self.read_ns(now_ns)
        most_ns = self._most_ns(now_ns)
        if time_ns < low_ns:
            self._offset_ns += min(low_ns - time_ns, most_ns)
        elif time_ns > high_ns:
            self._least_ns = time_ns
            self._offset_ns -= min(time_ns - high_ns, most_ns)
