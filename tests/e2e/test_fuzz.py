"""The differential fuzz, in short: no family differs from Redis, and a difference would be found and shrunk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import strategies as st

from support.tools import load

pytestmark = pytest.mark.redis_server

SEED = 20261124


@pytest.mark.usefixtures("redis_server")
def test_no_family_answers_otherwise_than_redis(tmp_path: Path) -> None:
    tool = load("fuzz")
    known = tool.families()
    assert {"strings", "hashes", "sets", "sorted_sets", "lists", "node"} <= set(known)
    report = tool.run(tmp_path, list(known.values()), SEED, rounds=1, sequences=12)
    assert report.turns == len(known)
    assert set(report.sequences) == set(known)
    assert not report.differences, "\n\n".join(map(str, report.differences))


@pytest.mark.usefixtures("redis_server")
def test_a_difference_is_shrunk_told_and_counted(tmp_path: Path) -> None:
    tool = load("fuzz")
    own = [(b"GET", b"key"), (b"SET", b"key", b"value"), (b"CLIENT", b"NO-TOUCH", b"on"), (b"PING",)]
    family = tool.Family("own", lambda most: st.lists(st.sampled_from(own), min_size=9, max_size=most))
    report = tool.run(tmp_path, [family], SEED, rounds=2, sequences=50)
    [difference] = report.differences
    assert list(difference.commands) == [(b"CLIENT", b"NO-TOUCH", b"on")]
    assert difference.always
    assert difference.times == 2
    assert f"own, seed {SEED}, RESP" in str(difference)
    assert "command 0, (b'CLIENT', b'NO-TOUCH', b'on'): redraft answers ('+', b'OK'), Redis" in str(difference)
    assert str(report).splitlines()[-1].split()[0] == "all"
    assert str(report).splitlines()[-1].split()[-1] == "1"
