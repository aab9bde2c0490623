"""Who a node is on an empty directory: it founds nothing by mistake, and what founded nothing yet may be begun anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from redraft.errors import UserError
from redraft.ids import NodeId
from redraft.server import first_start
from redraft.server.certificates import Certificates
from redraft.server.first_start import open_directory
from redraft.server.links import parse_members
from redraft.settings import Settings
from redraft.storage.directory import FORMAT, DataDirectory, NodeIdentity
from redraft.storage.log_store import LogStore

LIST = "1=127.0.0.1:7001,2=127.0.0.1:7002,3=127.0.0.1:7003"


def opened(path: Path, *words: str) -> DataDirectory:
    """As `server.app` does it."""
    settings = Settings.from_command_line(["--dir", str(path), *words])
    members = parse_members(settings.initial_cluster) if settings.initial_cluster else {}
    return open_directory(settings, members, "127.0.0.1:7001", Certificates(settings))


def identity(path: Path, *words: str) -> NodeIdentity:
    with opened(path, *words) as directory:
        return directory.identity


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_with_a_secret_a_node_says_whether_it_founds_or_joins(path: Path) -> None:
    with pytest.raises(UserError, match="has no data: with --bootstrap this node is the first of a new cluster"):
        identity(path, "--cluster-secret", "s")
    assert not path.exists(), "a refusal leaves nothing behind"
    founded = identity(path, "--cluster-secret", "s", "--bootstrap")
    assert not founded.founding
    assert identity(path, "--cluster-secret", "s") == founded, "afterwards its directory says it"


def test_without_a_secret_a_node_alone_need_say_nothing(path: Path) -> None:
    assert identity(path).node_id == 1
    assert identity(path.parent / "other", "--requirepass", "p").node_id == 1


def test_a_bootstrap_that_is_left_in_the_command_is_told_of(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = identity(path, "--cluster-secret", "s", "--bootstrap")
    assert "--bootstrap" not in caplog.text
    assert identity(path, "--cluster-secret", "s", "--bootstrap", "yes") == first
    assert "--bootstrap says nothing; leave it out" in caplog.text


@pytest.mark.parametrize(
    "words",
    [
        ["--bootstrap", "--join", "h:1"], ["--bootstrap", "--initial-cluster", LIST],
        ["--join", "h:1", "--initial-cluster", LIST],
    ],
)  # fmt: skip
def test_a_node_founds_or_joins_in_one_way(path: Path, words: list[str]) -> None:
    with pytest.raises(UserError, match="only one of them"):
        identity(path, *words)


def test_founders_wait_for_each_other_and_one_alone_does_not(path: Path) -> None:
    first = identity(path, "--cluster-secret", "s", "--initial-cluster", LIST)
    assert (first.node_id, first.first_voters, first.founding) == (1, [1, 2, 3], True)
    assert identity(path, "--initial-cluster", LIST) == first, "it goes on waiting"
    assert identity(path) == first
    assert not identity(path.parent / "one", "--initial-cluster", "1=127.0.0.1:7001").founding


def test_who_founded_nothing_yet_may_found_by_another_list(path: Path) -> None:
    first = identity(path, "--initial-cluster", LIST)
    with opened(path, "--initial-cluster", LIST) as directory:
        directory.remember(NodeId(2), "met")
        LogStore(directory.log_path).close()
    other = LIST.replace("7003", "7004")
    with opened(path, "--initial-cluster", other) as directory:
        assert directory.identity.cluster_id != first.cluster_id
        assert directory.identity.incarnation != first.incarnation
        assert directory.met() == {}
        assert not directory.log_path.exists()
        directory.become(NodeIdentity(FORMAT, 1, "founded", [1, 2, 3]))
    assert identity(path, "--initial-cluster", LIST).cluster_id == "founded", "and from then on it may not"


def test_who_founded_nothing_yet_may_join(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a wiped founder that the others have refused comes back, without another look into its directory."""
    identity(path, "--initial-cluster", LIST)

    async def admitted(*_: Any) -> NodeIdentity:
        return NodeIdentity(FORMAT, 7, "theirs", [1, 2, 3], incarnation="new")

    monkeypatch.setattr(first_start, "ask_to_join", admitted)
    assert identity(path, "--join", "127.0.0.1:7002").node_id == 7
    assert identity(path, "--join", "127.0.0.1:7002").node_id == 7
