"""Write files whole or not at all, and never two runs to the same name.

A file grows beside its final path under a new random name and is renamed once it is complete. A file that this run did
not make is never touched.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from dvd.errors import OutputError

LONGEST_NAME = 255
"""Bytes that a file name may have on every usual file system."""

WINDOWS = os.name == "nt"
REFUSED_BY_WINDOWS = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
DEVICES_OF_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)\s*(\..*)?", re.IGNORECASE | re.DOTALL)
"""File names that Windows takes for devices, whatever their ending."""


def make_aside(path: Path, folder: bool = False) -> Path:
    """Make an empty file, or `folder`, beside `path` under a new name: `clip.1f3a9c04.part.mp4` for `clip.mp4`.

    Raise OSError if the disk refuses.
    """
    while True:
        aside = path.with_name(name_that_fits(path.stem, f".{secrets.token_hex(4)}.part{path.suffix}"))
        try:
            if folder:
                aside.mkdir()
            else:
                aside.touch(exist_ok=False)
        except FileExistsError:
            continue
        return aside


def name_that_fits(stem: str, ending: str) -> str:
    """Return `stem` and `ending` as one name, the stem cut so that the name has at most `LONGEST_NAME` bytes."""
    while len(os.fsencode(stem + ending)) > LONGEST_NAME:
        stem = stem[:-1]
    return stem + ending


def legal_name(name: str) -> str:
    """Return the name, on Windows without the characters, endings and names of devices that Windows refuses."""
    if not WINDOWS:
        return name
    legal = REFUSED_BY_WINDOWS.sub("_", name).rstrip(". ")
    return f"_{legal}" if not legal or DEVICES_OF_WINDOWS.fullmatch(legal) else legal


def remove(path: Path) -> None:
    """Remove a file or a whole folder if it exists. Raise OSError if the disk refuses."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a new file that takes the place of `path` when the block ends; its folder is made.

    If the block fails, the previous file stays. Raise OutputError if the disk refuses.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = make_aside(path)
        try:
            with aside.open("wb") as file:
                yield file
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); make room, or choose another output folder"
        ) from error


def why_refused(error: Exception) -> str:
    """Say why the disk refused, and what to do about it."""
    code = getattr(error, "errno", None)
    if code == errno.ENOSPC or code == getattr(errno, "EDQUOT", None):
        return "the disk is full; free some space or choose another folder"
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "may not be written; choose another folder or change its permissions"
    if code == errno.EFBIG:
        return "the file grows larger than is allowed here; choose another disk or raise the limit (ulimit -f)"
    if code in (errno.ENOTDIR, errno.ENOENT, errno.EEXIST):
        return "its folder cannot be made; choose another folder"
    if code == errno.ENAMETOOLONG:
        return "the name is too long for this disk; choose a shorter one"
    return f"cannot be written ({getattr(error, 'strerror', None) or error}); choose another folder"


class Claim:
    """The right to write the files that belong to `path`, held by one run at a time.

    A lock file beside `path`, locked by the operating system, which releases it when a run dies.
    """

    def __init__(self, path: Path) -> None:
        """Raise OutputError if another run holds the claim or the disk refuses."""
        # Imported here, because a command that writes nothing should not wait for the import.
        from filelock import FileLock, Timeout

        self._lock_path = path.with_name(name_that_fits(f".{path.name}", ".lock"))
        self._lock = FileLock(self._lock_path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise OutputError(
                f"{path.with_suffix('')}: another run is writing there; wait for it, or choose another output"
            ) from error
        except OSError as error:
            raise OutputError(f"{path}: {why_refused(error)}") from error

    def release(self) -> None:
        """Let other runs write there, and remove the lock file."""
        if self._lock.is_locked:
            # Removed while still locked: a run that opened the file just before sees that it is gone, and tries again.
            with suppress(OSError):
                self._lock_path.unlink(missing_ok=True)
            self._lock.release()
