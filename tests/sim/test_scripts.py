"""Scripts of actions and expectations (see `sim.shell`), with and without pre-vote, on three nodes and on five."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.shell import ScriptError, run_script

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


@pytest.mark.parametrize("size", [3, 5], ids=["3-nodes", "5-nodes"])
@pytest.mark.parametrize("pre_vote", [True, False], ids=["pre-vote", "no-pre-vote"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script: Path, pre_vote: bool, size: int) -> None:
    run_script(script.read_text(), size=size, pre_vote=pre_vote)


def test_an_expectation_that_is_not_met_fails_with_its_line() -> None:
    with pytest.raises(ScriptError, match=r"line 3, 'expect no-leader'"):
        run_script("until leader\nbind\nexpect no-leader\n")
