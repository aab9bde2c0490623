"""Scripts of actions and expectations (see `sim.shell`), with and without pre-vote, on three nodes and on five."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.shell import ScriptError, interact, run_script

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


@pytest.mark.parametrize("size", [3, 5], ids=["3-nodes", "5-nodes"])
@pytest.mark.parametrize("pre_vote", [True, False], ids=["pre-vote", "no-pre-vote"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script: Path, pre_vote: bool, size: int) -> None:
    run_script(script.read_text(), size=size, pre_vote=pre_vote)


def test_an_expectation_that_is_not_met_fails_with_its_line() -> None:
    with pytest.raises(ScriptError, match=r"line 3, 'expect no-leader'"):
        run_script("until leader\nbind\nexpect no-leader\n")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("power all\nuntil leader 100ms", "line 2, 'until leader 100ms': after 0.1 s"),
        ("expect role 1", "line 1, 'expect role 1': "),
        ("crash", "line 1, 'crash': "),
        ("fly 1", "there is no action 'fly'"),
    ],
)
def test_what_goes_wrong_in_a_script_is_told_with_its_line(lines: str, said: str) -> None:
    with pytest.raises(ScriptError) as raised:
        run_script(lines)
    assert said in str(raised.value)


def test_a_session_by_hand_goes_on_after_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    lines = iter(["help", "power all", "until leader 100ms", "expect role 1", "start all", "until leader", "status"])

    def read(prompt: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    interact(1, 3, read)
    printed = capsys.readouterr().out
    assert "InvariantError: after 0.1 s" in printed
    assert "ScriptError: expect role 1" in printed
    assert printed.count("    help  ") == 2
    assert "leader t" in "".join(printed.splitlines()[-3:])
