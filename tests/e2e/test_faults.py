"""What can go wrong around a server ends it with a sentence and a non-zero status, and loses nothing acknowledged."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

START_SECONDS = 60
MEGABYTE = 1 << 20


def refusal(*words: object, prefix: tuple[str, ...] = ()) -> str:
    """Run `redraft server`, which must end by itself with a non-zero status; the one sentence that it says."""
    command = [*prefix, sys.executable, "-m", "redraft", "server", *map(str, words)]
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=START_SECONDS, check=False
    )
    assert ended.returncode in (1, 2), (ended.returncode, ended.stdout)
    lines = ended.stdout.splitlines()
    assert len(lines) == 1, ended.stdout
    assert lines[0].startswith("redraft: "), lines
    return lines[0]


def refused_directory(directory: Path, *words: object, prefix: tuple[str, ...] = ()) -> str:
    """The sentence with which a directory is refused."""
    return refusal("--port", 0, "--dir", directory, *words, prefix=prefix)


def ended_with_a_message(server: Any) -> str:
    """Wait until a server ends by itself; what it said last. It must not be a traceback."""
    status = server.wait()
    assert status == 1, (status, server.output)
    assert "Traceback" not in server.output
    return str(server.lines[-1])


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount small disks (in memory): `mount(16)` is one of 16 MB. Skips where that is not allowed."""
    mounted: list[Path] = []

    def mount_one(megabytes: int) -> Path:
        path = tmp_path / f"disk-{len(mounted)}"
        path.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)]
        try:
            subprocess.run(["mount", *options], check=True, capture_output=True, timeout=30)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small disk needs root and the right to mount")
        mounted.append(path)
        return path

    yield mount_one
    for path in mounted:
        subprocess.run(["umount", "--lazy", str(path)], check=True, timeout=30)


def remount(path: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(path)], check=True, timeout=30)


def fill(disk: Path) -> Path:
    """Take all the room that a disk has left; the file that takes it."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        for block in (b"\0" * MEGABYTE, b"\0" * 4096):
            try:
                while file.write(block):
                    pass
            except OSError:
                continue
    return path


# The command line.


def test_an_unknown_option_is_refused() -> None:
    assert re.search(r"'--prot 1'.*did you mean 'port'\?", refusal("--prot", 1))


@pytest.mark.parametrize("words", [("--port", "99999"), ("--appendfsync", "sometimes"), ("--dir",)])
def test_a_bad_value_is_refused_and_the_option_named(words: tuple[str, ...]) -> None:
    assert words[0] in refusal(*words)


def test_a_configuration_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path / "none.conf") in refusal(tmp_path / "none.conf")


def test_a_bad_line_of_a_configuration_file_is_refused_and_its_place_told(tmp_path: Path) -> None:
    path = tmp_path / "redraft.conf"
    path.write_text("# fine\nport 0\nport-of-call 17\n")
    assert re.search(rf"{re.escape(str(path))}.*3", refusal(path))


def test_a_configuration_file_that_is_a_directory_or_no_text_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path) in refusal(tmp_path)
    path = tmp_path / "redraft.conf"
    path.write_bytes(bytes(range(128, 256)))
    assert str(path) in refusal(path)


def test_a_log_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sentence = refused_directory(tmp_path / "data", "--logfile", tmp_path / "file" / "log")
    assert "log file" in sentence


# Sockets.


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = refused_directory(tmp_path / "data", "--bind", "127.0.0.1", "--port", port)
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in sentence


def test_an_address_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    assert "cannot listen on 192.0.2.1" in refused_directory(tmp_path / "data", "--bind", "192.0.2.1")


def test_a_unix_socket_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "socket", tmp_path / ("long" * 60)):
        assert "cannot listen on the Unix socket" in refused_directory(tmp_path / "data", "--unixsocket", path)


# The directory.


def test_a_directory_in_use_is_refused_and_its_holder_named(start: Callable[..., Any], tmp_path: Path) -> None:
    holder = start()
    sentence = refused_directory(tmp_path / "data")
    assert f"is in use by another process (pid {holder.process.pid})" in sentence
    assert holder.client().ping()


def test_a_directory_is_free_as_soon_as_its_holder_was_killed(start: Callable[..., Any]) -> None:
    start().kill()
    assert start().client().ping()


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "data"):
        assert f"the data directory {path} cannot be used" in refused_directory(path)


def test_a_path_where_nothing_can_be_made_is_refused() -> None:
    assert "the data directory /proc/redraft cannot be used" in refused_directory(Path("/proc/redraft"))


def obeying_permissions() -> tuple[str, ...]:
    """What to put before a command so that root too is refused what the permissions of files refuse."""
    if os.geteuid() != 0:
        return ()
    prefix = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("root ignores permissions, and setpriv cannot change that here")
    return prefix


def test_a_directory_that_may_not_be_read_or_written_is_refused(start: Callable[..., Any], tmp_path: Path) -> None:
    prefix = obeying_permissions()
    server = start()
    server.client().set("key", "value")
    assert server.stop() == 0
    for name in (".", "LOCK", "node.json", "log/CURRENT", "shard-1/image"):
        path = tmp_path / "data" / name
        mode = path.stat().st_mode
        path.chmod(0)
        try:
            assert str(tmp_path / "data") in refused_directory(tmp_path / "data", prefix=prefix), name
        finally:
            path.chmod(mode)
    assert start().client().get("key") == b"value"


def test_a_new_directory_where_none_may_be_made_is_refused(tmp_path: Path) -> None:
    prefix = obeying_permissions()
    (tmp_path / "closed").mkdir(0o500)
    sentence = refused_directory(tmp_path / "closed" / "data", prefix=prefix)
    assert "this user may not write to it" in sentence


def test_a_disk_that_is_read_only_is_refused(mount: Callable[..., Path], start: Callable[..., Any]) -> None:
    disk = mount(64)
    server = start(directory=disk / "data")
    server.client().set("key", "value")
    assert server.stop() == 0
    remount(disk, "ro")
    for directory in (disk / "data", disk / "new"):
        assert "its file system is read-only" in refused_directory(directory)
    remount(disk, "rw")
    assert start(directory=disk / "data").client().get("key") == b"value"


# Damage.


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100] ^= 0xFF
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("shard-1/image/*.sst", flip_a_byte, "the data is damaged"),
    ("shard-1/image/*.sst", Path.unlink, "the data is damaged"),
    ("shard-1/image", shutil.rmtree, "its image is empty"),
    ("log", shutil.rmtree, "has data but no log"),
    ("log/*.log", cut_short, "a log file is damaged or cut short"),
    ("log/MANIFEST-*", Path.unlink, "the data is damaged"),
    ("node.json", lambda path: path.write_text("{"), "node.json is damaged"),
]


def test_damage_found_at_the_start_is_refused(start: Callable[..., Any], tmp_path: Path) -> None:
    """In a directory with flushed keys and, in the log behind them, later ones."""
    server = start("--log-retain-entries", "0")
    server.client().mset({f"key:{number}": "x" * 100 for number in range(100)})
    assert server.stop() == 0
    server = start("--log-retain-entries", "0")
    client = server.client()
    for number in range(100):
        client.set(f"later:{number}", "x" * 100)
    server.kill()
    for name, damage, sentence in DAMAGES:
        copy = shutil.copytree(tmp_path / "data", tmp_path / "copy")
        damage(max(copy.glob(name)))
        assert sentence in refused_directory(copy), name
        shutil.rmtree(copy)
    assert start().client().dbsize() == 200


# A full disk.


def test_a_full_disk_is_refused_at_the_start(mount: Callable[..., Path], start: Callable[..., Any]) -> None:
    disk = mount(64)
    server = start(directory=disk / "data")
    server.client().set("key", "value")
    assert server.stop() == 0
    filler = fill(disk)
    for directory in (disk / "data", disk / "new"):
        assert re.search(r"full|No space left", refused_directory(directory))
    filler.unlink()
    shutil.rmtree(disk / "new", ignore_errors=True)
    assert start(directory=disk / "data").client().get("key") == b"value"


def value(number: int) -> bytes:
    """Bytes that no disk makes smaller."""
    return random.Random(number).randbytes(60_000)


def write_until_refused(client: redis.Redis) -> int:
    """Write values until the server is gone; how many it acknowledged."""
    for number in range(2000):
        try:
            client.set(f"key:{number}", value(number))
        except redis.RedisError:
            return number
    raise AssertionError("the disk is never full")


@pytest.mark.parametrize("flush", [False, True], ids=["while the log is written", "while an image is written too"])
def test_a_disk_that_fills_up_ends_the_server_and_every_acknowledged_write_is_kept(
    mount: Callable[..., Path], start: Callable[..., Any], flush: bool
) -> None:
    disk = mount(24)
    server = start("--flush-log-bytes", "4mb" if flush else "1gb", directory=disk / "data")
    acknowledged = write_until_refused(server.client(retry=Retry(NoBackoff(), 0)))
    assert acknowledged > 50
    assert re.search(r"full|No space left", ended_with_a_message(server))
    remount(disk, "size=256m")
    client = start(directory=disk / "data").client()
    assert all(client.get(f"key:{number}") == value(number) for number in range(acknowledged))
    client.set("after", "wards")


def test_a_flush_at_the_end_that_finds_the_disk_full_loses_nothing(
    mount: Callable[..., Path], start: Callable[..., Any]
) -> None:
    disk = mount(64)
    server = start(directory=disk / "data")
    client = server.client()
    for number in range(100):
        client.set(f"key:{number}", value(number))
    filler = fill(disk)
    server.process.terminate()
    assert re.search(r"full|No space left", ended_with_a_message(server))
    filler.unlink()
    client = start(directory=disk / "data").client()
    assert all(client.get(f"key:{number}") == value(number) for number in range(100))
