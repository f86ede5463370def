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
        with _published(path) as aside, aside.open("wb") as file:
            yield file
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); make room, or choose another output folder"
        ) from error


@contextmanager
def replacing_path(path: str | Path) -> Iterator[Path]:
    """Yield a path for a new file that takes the place of `path` when the block ends, as `replacing` does."""
    path = Path(path)
    with writing(path), _published(path) as aside:
        yield aside


@contextmanager
def _published(path: Path) -> Iterator[Path]:
    """Yield a new file beside `path`, give it that name when the block ends, and remove it if the block fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = make_aside(path)
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def replacing_files(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, whose files move into `folder` when the block ends; other files there stay.

    If the block fails, `folder` is as it was. Raise OutputError where the disk refuses.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        aside = make_aside(folder, folder=True)
        try:
            yield aside
            for file in sorted(path for path in aside.rglob("*") if path.is_file()):
                target = folder / file.relative_to(aside)
                target.parent.mkdir(exist_ok=True)
                file.replace(target)
        except OutputError as error:
            raise OutputError(str(error).replace(str(aside), str(folder))) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def writing(path: Path, hint: str = "") -> Iterator[None]:
    """Raise OutputError if the disk refuses what the block writes, and say so of `path`, with `hint` at the end."""
    try:
        yield
    except Exception as error:
        # Some libraries have errors of their own for what would be an OSError: safetensors, PyAV, torch.
        refused = isinstance(error, OSError) or hasattr(error, "errno") or type(error).__name__ == "SafetensorError"
        if not (refused or is_disk_full(error)):
            raise
        raise OutputError(f"{path}: {why_refused(error)}{hint}") from error


def is_disk_full(error: Exception) -> bool:
    """Return whether a disk or a quota is full, by the error's number or by what torch and safetensors say then."""
    if getattr(error, "errno", None) in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return True
    return any(mark in str(error) for mark in ("No space left", "PytorchStreamWriter", "inline_container"))


def why_refused(error: Exception) -> str:
    """Say why the disk refused, and what to do about it."""
    code = getattr(error, "errno", None)
    if is_disk_full(error):
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
