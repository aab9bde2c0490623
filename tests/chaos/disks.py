"""What is done to the disk of a node that does not run: it is made small, or its files are damaged."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOM_BYTES = 24 << 20
"""What a small disk has left for a node that is moved to it."""
DAMAGED = ("log/*.log", "log/*.sst", "log/MANIFEST-*", "shard-1/image/*.sst")


class SmallDisk:
    """A directory that lies on a disk of its own for a while: a file system in memory, which takes root to mount."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._aside = directory.with_name(f"{directory.name}.aside")
        size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        directory.rename(self._aside)
        directory.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={size + ROOM_BYTES}", "tmpfs", str(directory)]
        subprocess.run(["mount", *options], check=True, capture_output=True)
        shutil.copytree(self._aside, directory, dirs_exist_ok=True)

    def fill(self) -> None:
        """Take all the room that is left."""
        with (self._directory / "filler").open("wb", buffering=0) as file:
            for block in (bytes(1 << 20), bytes(4096)):
                try:
                    while file.write(block):
                        pass
                except OSError:
                    continue

    def give_back(self) -> None:
        """The directory lies on the large disk again, with all that it holds; its node does not run."""
        (self._directory / "filler").unlink(missing_ok=True)
        shutil.rmtree(self._aside)
        shutil.copytree(self._directory, self._aside)
        self.unmount()
        self._directory.rmdir()
        self._aside.rename(self._directory)

    def unmount(self) -> None:
        """Take the disk away."""
        subprocess.run(["umount", "--lazy", str(self._directory)], check=True, capture_output=True)


def can_mount(directory: Path) -> bool:
    """Whether small disks can be mounted here."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    place = directory / "mount"
    place.mkdir()
    try:
        for command in (["mount", "-t", "tmpfs", "tmpfs", str(place)], ["umount", str(place)]):
            subprocess.run(command, check=True, capture_output=True)
    except subprocess.CalledProcessError:
        return False
    finally:
        place.rmdir()
    return True


def damage(directory: Path, random_: random.Random) -> str:
    """Turn over a few bits of one of a stopped node's files; which."""
    path = random_.choice(sorted(_files(directory)))
    data = bytearray(path.read_bytes())
    places = sorted(random_.randrange(len(data)) for _ in range(random_.choice([1, 1, 8])))
    for place in places:
        data[place] ^= 1 << random_.randrange(8)
    path.write_bytes(data)
    return f"{path.relative_to(directory)} at {', '.join(map(str, places))}"


def _files(directory: Path) -> Iterator[Path]:
    for pattern in DAMAGED:
        yield from (path for path in directory.glob(pattern) if path.stat().st_size)
