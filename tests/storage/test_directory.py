"""The data directory: one process at a time, an identity that stays, and a sentence when it cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from redraft.errors import DamagedDataError, DirectoryInUseError, StorageError
from redraft.ids import GroupId
from redraft.storage.directory import FORMAT, DataDirectory, NodeIdentity
from redraft.storage.image import Image
from redraft.storage.log_store import LogStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some" / "where" / "data"


def identity(path: Path) -> NodeIdentity:
    with DataDirectory(path) as directory:
        return directory.identity


def test_a_directory_is_made_with_its_parents(path: Path) -> None:
    with DataDirectory(path) as directory:
        assert path.is_dir()
        assert directory.log_path == path / "log"
        assert directory.image_path(GroupId(12)) == path / "shard-12" / "image"


def test_every_directory_that_is_made_is_made_durable(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a new directory is durable once the directory above it was synced."""
    synced: set[Path] = set()
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.add(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    with DataDirectory(path) as directory:
        assert {tmp_path, tmp_path / "some", tmp_path / "some" / "where", path} <= synced
        synced.clear()
        store, image = LogStore(directory.log_path), Image(directory.image_path(GroupId(1)))
        for each in (store, image):
            each.open_for_writing()
            each.close()
    assert {path, path / "shard-1"} <= synced


def test_the_identity_stays(path: Path) -> None:
    first = identity(path)
    assert identity(path) == first
    assert first.format == FORMAT


def test_two_directories_have_different_cluster_ids(tmp_path: Path) -> None:
    assert identity(tmp_path / "a").cluster_id != identity(tmp_path / "b").cluster_id


def test_the_lock_is_let_go_at_the_end(path: Path) -> None:
    for _ in range(3):
        with DataDirectory(path):
            pass


def test_a_directory_in_use_is_refused_and_its_holder_named(path: Path) -> None:
    with DataDirectory(path), pytest.raises(DirectoryInUseError) as refused:
        DataDirectory(path)
    assert str(refused.value) == f"the data directory {path} is in use by another process (pid {os.getpid()})"


def test_being_refused_takes_nothing_from_the_holder(path: Path) -> None:
    with DataDirectory(path) as holder:
        for _ in range(2):
            with pytest.raises(DirectoryInUseError, match=f"pid {os.getpid()}"):
                DataDirectory(path)
        assert holder.identity == msgspec.json.decode((path / "node.json").read_bytes(), type=NodeIdentity)


def test_the_lock_of_a_process_that_died_does_not_hold(path: Path) -> None:
    script = "import os, sys; from pathlib import Path; from redraft.storage.directory import DataDirectory\n"
    script += "directory = DataDirectory(Path(sys.argv[1])); os._exit(7)"
    status = subprocess.run([sys.executable, "-c", script, str(path)], timeout=30, check=False).returncode
    assert status == 7
    with DataDirectory(path):
        assert (path / "LOCK").read_text() == f"{os.getpid()}\n"


def test_a_shorter_process_id_does_not_leave_digits_of_the_last_holder(path: Path) -> None:
    identity(path)
    (path / "LOCK").write_text("99999999999\n")
    with DataDirectory(path):
        assert (path / "LOCK").read_text() == f"{os.getpid()}\n"


def test_a_path_through_a_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(StorageError, match=r"cannot be used: it.* is not a directory"):
            DataDirectory(path)


def test_a_directory_that_a_newer_version_wrote_is_refused(path: Path) -> None:
    identity(path)
    newer = NodeIdentity(FORMAT + 1, 1, "c")
    (path / "node.json").write_bytes(msgspec.json.encode(newer))
    with pytest.raises(StorageError, match=f"newer version \\(format {FORMAT + 1}; this one reads up to {FORMAT}\\)"):
        DataDirectory(path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe", b'{"format": "1"}'])
def test_a_damaged_identity_is_refused(path: Path, text: bytes) -> None:
    identity(path)
    (path / "node.json").write_bytes(text)
    with pytest.raises(DamagedDataError, match=r"node\.json is damaged"):
        DataDirectory(path)


def test_a_log_without_an_identity_is_refused(path: Path) -> None:
    identity(path)
    (path / "log").mkdir()
    (path / "node.json").unlink()
    with pytest.raises(DamagedDataError, match=r"has a log but no node\.json"):
        DataDirectory(path)


def test_a_refused_directory_is_not_left_locked(path: Path) -> None:
    identity(path)
    (path / "node.json").write_bytes(b"damaged")
    for _ in range(2):
        with pytest.raises(DamagedDataError):
            DataDirectory(path)


def test_an_identity_that_a_crash_left_half_written_is_made_anew(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "node.new").write_bytes(b'{"form')
    assert identity(path) == identity(path)


def test_a_log_that_was_deleted_is_missed(path: Path) -> None:
    with DataDirectory(path) as directory:
        directory.image_path(GroupId(1)).mkdir(parents=True)
    with pytest.raises(DamagedDataError, match="has data but no log"):
        DataDirectory(path)
