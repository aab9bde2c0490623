"""`redraft local`: a cluster on one machine, from one command."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

PATIENCE_SECONDS = 60
OWN_PID = re.compile(r"^(n\d+) +\| .*, pid (\d+); try:")


class Local:
    """One `redraft local` process."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "redraft", "local", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    @property
    def output(self) -> str:
        return "".join(list(self.lines))

    @property
    def pids(self) -> dict[str, int]:
        """The nodes' processes, as they tell them themselves."""
        return {found[1]: int(found[2]) for line in list(self.lines) if (found := OWN_PID.match(line))}

    def wait_printed(self, text: str) -> Local:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)
        return self

    def signal(self, number: signal.Signals) -> int:
        """Send a signal; the exit status, once all that it had started is gone."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join()
        return status

    def kill(self) -> None:
        for pid in [self.process.pid, *self.pids.values()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[..., Local]]:
    """Run `redraft local`, by default with a directory of the test's."""
    started: list[Local] = []

    def start(*arguments: object, directory: Path = tmp_path / "cluster") -> Local:
        started.append(Local("--dir", directory, *arguments))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.kill()


def ports(tmp_path: Path) -> list[int]:
    return list(json.loads((tmp_path / "cluster" / "local.json").read_text())["ports"])


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def client(port: int) -> redis.Redis:
    return redis.Redis(port=port, socket_timeout=PATIENCE_SECONDS)


def test_the_same_directory_is_the_same_cluster_again(local: Callable[..., Local], tmp_path: Path) -> None:
    first = local("--port", 0).wait_printed("ready; try:")
    assert len(first.pids) == 3
    where = ports(tmp_path)
    assert client(where[2]).set("k", "v")
    assert first.signal(signal.SIGTERM) == 0, first.output
    ended = [line.split(" |")[0] for line in first.lines if "redraft is stopped, bye" in line]
    assert ended == ["n3", "n2", "n1"], "one after the other"
    assert not any(map(runs, first.pids.values()))
    second = local("--", "--appendfsync", "everysec").wait_printed("ready; try:")
    assert ports(tmp_path) == where
    assert client(where[0]).get("k") == b"v"
    assert client(where[1]).config_get("appendfsync") == {"appendfsync": "everysec"}
    assert second.signal(signal.SIGINT) == 0


def test_a_node_that_dies_is_told_of_and_stays_dead(local: Callable[..., Local], tmp_path: Path) -> None:
    cluster = local("--port", 0).wait_printed("ready; try:")
    os.kill(cluster.pids["n2"], signal.SIGKILL)
    cluster.wait_printed("n2 | was killed by SIGKILL; it is not started again")
    where = ports(tmp_path)
    assert client(where[0]).set("k", "v"), "the others go on"
    with pytest.raises(redis.ConnectionError):
        client(where[1]).ping()
    assert cluster.signal(signal.SIGTERM) == 1
    assert not any(map(runs, cluster.pids.values()))


def test_when_all_nodes_have_died_it_ends(local: Callable[..., Local]) -> None:
    cluster = local("--port", 0, "--nodes", 1).wait_printed("ready; try:")
    os.kill(cluster.pids["n1"], signal.SIGKILL)
    assert cluster.wait() == 1


def test_a_second_signal_kills(local: Callable[..., Local]) -> None:
    cluster = local("--port", 0, "--nodes", 2).wait_printed("ready; try:")
    os.kill(cluster.pids["n2"], signal.SIGSTOP)
    cluster.process.send_signal(signal.SIGINT)
    cluster.wait_printed("SIGINT received, stopping all nodes; once more kills them")
    assert cluster.signal(signal.SIGINT) == 1
    assert not any(map(runs, cluster.pids.values()))


def test_nodes_that_cannot_start_say_why(local: Callable[..., Local], tmp_path: Path) -> None:
    running = local("--port", 0).wait_printed("ready; try:")
    second = local()
    assert second.wait() == 1
    assert second.output.count("cannot listen on 127.0.0.1") == 3
    assert second.output.count("has ended with status 1; it is not started again") == 3
    assert running.signal(signal.SIGTERM) == 0


def test_mistakes_are_told_in_a_sentence(local: Callable[..., Local], tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "local.json").write_text('{"ports": [1, 2, 3], "secret": "s"}')
    (tmp_path / "file").write_text("")
    cluster, new = tmp_path / "cluster", tmp_path / "new"
    for words, directory, status, said in (
        (("--nodes", "5"), cluster, 2, f"redraft: {cluster} has a cluster of 3 nodes, not 5\n"),
        (("--nodes", "0"), new, 2, "redraft: --nodes is from 1 to 99\n"),
        (("--port", "65535"), new, 2, "redraft: there are no 3 ports from 65535 on\n"),
        ((), tmp_path / "file", 1, f"redraft: the directory {tmp_path / 'file'} cannot be used: File exists\n"),
    ):
        ended = local(*words, directory=directory)
        assert (ended.wait(), ended.output) == (status, said)


def test_the_secret_is_nobody_elses(local: Callable[..., Local], tmp_path: Path) -> None:
    cluster = local("--port", 0, "--nodes", 1).wait_printed("ready; try:")
    path = tmp_path / "cluster" / "local.json"
    secret = json.loads(path.read_text())["secret"]
    assert len(secret) == 40
    assert path.stat().st_mode & 0o077 == 0
    for pid in cluster.pids.values():
        assert secret not in Path(f"/proc/{pid}/cmdline").read_text()
    assert cluster.signal(signal.SIGTERM) == 0
