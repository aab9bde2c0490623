"""The clock of the state: at the pace of real time, and drawn by little."""

from __future__ import annotations

from random import Random

from redraft.shard.state_clock import DRAWN_PPM, FollowedClock, StateClock

SECOND = 1_000_000_000
HOUR = 3600 * SECOND


def test_it_goes_on_with_the_monotonic_clock() -> None:
    clock = StateClock()
    assert not clock.is_set
    clock.set(HOUR, 5 * SECOND)
    assert clock.is_set
    assert clock.read_ns(7 * SECOND) == HOUR + 2 * SECOND


def test_a_word_that_is_ahead_counts_at_once_and_a_late_one_hardly() -> None:
    clock = FollowedClock()
    clock.heard(HOUR, 0)
    clock.heard(HOUR + SECOND + 20, SECOND)
    assert clock.read_ns(SECOND) == HOUR + SECOND + 20
    clock.heard(HOUR, 2 * SECOND)
    assert clock.read_ns(2 * SECOND) == HOUR + 2 * SECOND + 20 - 2 * SECOND * DRAWN_PPM // 1_000_000
    for second in range(3, 10_000):
        clock.heard(HOUR + second * SECOND - 7, second * SECOND)
    assert clock.read_ns(10_000 * SECOND) == HOUR + 10_000 * SECOND - 7, "what is behind for long counts in the end"


def test_of_many_words_the_least_delay_counts() -> None:
    random = Random(1)
    clock = FollowedClock()
    worst = 0
    for step in range(1, 2000):
        now = step * SECOND // 20
        clock.heard(HOUR + now - random.randrange(1_000_000, 50_000_000), now)
        if step > 200:
            worst = max(worst, HOUR + now - clock.read_ns(now))
    assert 1_000_000 <= worst < 10_000_000


def test_it_is_drawn_by_a_thousandth_of_what_passes_and_not_beyond() -> None:
    clock = StateClock()
    clock.set(HOUR, 0)
    clock.draw(HOUR + 3 * SECOND, HOUR + 3 * SECOND, SECOND)
    assert clock.read_ns(SECOND) == HOUR + SECOND + SECOND // 1000
    clock.draw(HOUR, HOUR + 2 * SECOND, 2 * SECOND)
    assert clock.read_ns(2 * SECOND) == HOUR + 2 * SECOND + SECOND // 1000, "it has shown that, and does not go back"
    assert clock.read_ns(3 * SECOND) == HOUR + 3 * SECOND, "but it has gone more slowly"
    clock.draw(HOUR, 2 * HOUR, 4 * SECOND)
    assert clock.read_ns(4 * SECOND) == HOUR + 4 * SECOND, "within the span it is let be"
    clock.draw(0, 0, 5 * SECOND)
    clock.draw(0, 0, 1005 * SECOND)
    assert clock.read_ns(1006 * SECOND) == HOUR + 1006 * SECOND - 1001 * SECOND // 1000


def test_it_never_goes_back_while_it_is_drawn_whatever_the_spans_are() -> None:
    random = Random(2)
    clock = StateClock()
    clock.set(HOUR, 0)
    last, now = HOUR, 0
    for _ in range(5000):
        passed = random.choice((0, 1, 1000, SECOND // 20, SECOND))
        now += passed
        low = HOUR + random.randrange(-HOUR, HOUR)
        clock.draw(low, low + random.choice((0, SECOND)), now)
        read = clock.read_ns(now)
        assert 0 <= read - last <= passed + passed // 1000 + 1
        last = read
    assert abs(last - HOUR - now) <= now // 1000


def test_it_is_raised_to_what_an_entry_says_and_no_further() -> None:
    clock = StateClock()
    clock.raise_to(HOUR, 0)
    assert not clock.is_set, "an entry may be old"
    clock.set(HOUR, 0)
    clock.raise_to(HOUR - 1, 0)
    assert clock.read_ns(0) == HOUR
    clock.raise_to(HOUR + 9, 0)
    assert clock.read_ns(0) == HOUR + 9
