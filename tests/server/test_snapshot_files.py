"""What is kept of a snapshot's files: no other bytes than they have, and none of a whole file is asked for twice."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redraft.errors import DamagedDataError
from redraft.server.snapshot_files import File, IncomingFiles, list_files

CONTENTS = st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=40), min_size=1)
"""The files of a checkpoint."""


def files_of(contents: dict[str, bytes]) -> list[File]:
    return [File(name, len(data), zlib.crc32(data)) for name, data in sorted(contents.items())]


def missing_of(contents: dict[str, bytes], held: list[int]) -> bytes:
    return b"".join(data[there:] for (_, data), there in zip(sorted(contents.items()), held, strict=True))


@given(attempts=st.lists(st.tuples(CONTENTS, st.integers(0, 300)), max_size=5), last=CONTENTS, piece=st.integers(1, 50))
def test_any_attempts_that_broke_off_end_in_the_files_that_are_sent_last(
    attempts: list[tuple[dict[str, bytes], int]], last: dict[str, bytes], piece: int
) -> None:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "incoming"
        for contents, breaks_after in attempts:
            incoming = IncomingFiles(directory, files_of(contents))
            try:
                incoming.write(memoryview(missing_of(contents, incoming.held)[:breaks_after]))
            except DamagedDataError as error:
                pytest.fail(f"what was held is of another file: {error}")
            incoming.close()
        incoming = IncomingFiles(directory, files_of(last))
        rest = missing_of(last, incoming.held)
        for start in range(0, len(rest), piece):
            assert not incoming.is_whole()
            incoming.write(memoryview(rest[start : start + piece]))
        assert incoming.is_whole()
        assert {path.name: path.read_bytes() for path in directory.iterdir()} == last
        assert list_files(directory) == files_of(last)


def test_a_later_checkpoint_brings_only_what_is_new(tmp_path: Path) -> None:
    first = {"1.sst": b"x" * 100, "2.sst": b"y" * 100, "MANIFEST": b"old"}
    incoming = IncomingFiles(tmp_path / "incoming", files_of(first))
    incoming.write(memoryview(missing_of(first, incoming.held)[:150]))
    incoming.close()
    later = {"1.sst": b"x" * 100, "2.sst": b"y" * 100, "3.sst": b"z", "MANIFEST": b"new"}
    incoming = IncomingFiles(tmp_path / "incoming", files_of(later))
    assert incoming.held == [100, 50, 0, 0]
    incoming.write(memoryview(b"y" * 50 + b"z" + b"new"))
    assert incoming.is_whole()


def test_what_a_crash_left_torn_or_of_another_node_is_not_taken_for_the_file(tmp_path: Path) -> None:
    directory = tmp_path / "incoming"
    sent = {"1.sst": b"x" * 100, "2.sst": b"y" * 100}
    incoming = IncomingFiles(directory, files_of(sent))
    incoming.write(memoryview(missing_of(sent, incoming.held)))
    (directory / "1.sst").write_bytes(b"x" * 60 + b"\0" * 40)
    assert IncomingFiles(directory, files_of(sent)).held == [0, 100]
    of_another = {"1.sst": b"u" * 100, "2.sst": b"v" * 120}
    assert IncomingFiles(directory, files_of(of_another)).held == [0, 0]


def test_a_beginning_that_a_crash_has_changed_is_found_out_in_the_end(tmp_path: Path) -> None:
    directory = tmp_path / "incoming"
    sent = {"1.sst": b"x" * 100}
    incoming = IncomingFiles(directory, files_of(sent))
    incoming.write(memoryview(b"x" * 60))
    incoming.close()
    (directory / "1.sst").write_bytes(b"\0" * 60)
    incoming = IncomingFiles(directory, files_of(sent))
    assert incoming.held == [60]
    with pytest.raises(DamagedDataError, match="changed on its way"):
        incoming.write(memoryview(b"x" * 40))
    assert IncomingFiles(directory, files_of(sent)).held == [0]
