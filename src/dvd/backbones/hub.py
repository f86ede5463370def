"""Downloads from the Hugging Face hub: one bar, resumable, verified by hash, and at once clear when it cannot be.

Files end up in the hub library's own cache, where other programs find them too. That library drops a download that is
cut off and compares sizes only, so the transfer is done here: into a partial file that a later run goes on with, and
that becomes a cached file once its hash is the hub's.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dvd.errors import ModelError

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
_CHUNK_BYTES = 1 << 20
_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    """A file of a model repository on the hub, and what its licence allows."""

    repo: str
    name: str
    licence: str

    @property
    def page(self) -> str:
        """Where a person can download it by hand."""
        return f"{_endpoint()}/{self.repo}/resolve/main/{self.name}"


def cached(file: HubFile) -> Path | None:
    """The file's path in the hub's cache, or None; never touches the network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(file.repo, file.name)
    return Path(found) if isinstance(found, str) else None


def fetch(*files: HubFile, download: bool = True) -> list[Path]:
    """The files' paths in the hub's cache, each downloaded and verified first if it is not there.

    ModelError, at once, where that may not or cannot be done or where a file is not what the hub says; it names the
    pages and how to do without.
    """
    from huggingface_hub import constants

    missing = [file for file in files if cached(file) is None]
    if missing and (constants.HF_HUB_OFFLINE or not download):
        why = "HF_HUB_OFFLINE is set; unset it" if download else "downloading is off; allow it"
        raise _by_hand(missing, f"not in the cache, and {why}")
    return [cached(file) or _download(file) for file in files]


def _download(file: HubFile) -> Path:
    from huggingface_hub import hf_hub_download

    with _explained(file):
        about = _ask(file)
        blob = _cache_folder(file) / "blobs" / str(about.etag)
        if not blob.exists():
            _transfer(file, about, blob)
        return Path(hf_hub_download(file.repo, file.name, endpoint=_endpoint()))


def _ask(file: HubFile) -> HfFileMetadata:
    """Where the file really is, how large, and its hash; fails at once without a network."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(file.repo, file.name, endpoint=_endpoint())
    about = get_hf_file_metadata(url, timeout=CONNECT_TIMEOUT_S)
    if not about.size or not _HASH.fullmatch(about.etag or ""):
        raise _by_hand([file], f"{_endpoint()} does not tell its size and hash; set HF_ENDPOINT to a whole mirror")
    return about


def _transfer(file: HubFile, about: HfFileMetadata, blob: Path) -> None:
    """Fills the partial file from where it ends, and keeps it as `blob` if its hash is right."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import WeakFileLock, build_hf_headers

    partial = blob.with_name(blob.name + ".partial")
    lock = blob.parents[2] / ".locks" / blob.parents[1].name / f"{blob.name}.lock"
    for place in (partial, lock):
        place.parent.mkdir(parents=True, exist_ok=True)
    headers = {**build_hf_headers(library_name="dvd-depth"), "Accept-Encoding": "identity"}
    if urlsplit(about.location).netloc != urlsplit(_endpoint()).netloc:
        headers.pop("authorization", None)  # a token is the hub's alone

    with WeakFileLock(lock):
        if blob.exists():  # another process was first
            return
        done = _room_for(file, partial, about.size or 0)
        log.info("%s %s of %s", "going on with" if done else "downloading", file.name, file.repo)
        log.warning("licence of %s: %s", file.name, file.licence)
        with partial.open("ab") as target:
            http_get(
                about.location,
                target,  # type: ignore[arg-type]
                resume_size=done,
                headers=headers,
                expected_size=about.size,
                displayed_filename=file.name,
            )
        _verify(file, partial, str(about.etag))
        partial.replace(blob)


def _room_for(file: HubFile, partial: Path, size: int) -> int:
    """How much is there already; ModelError where the rest does not fit on the disk."""
    done = partial.stat().st_size if partial.exists() else 0
    if done > size:
        partial.unlink()
        done = 0
    free = shutil.disk_usage(partial.parent).free
    if free < size - done:
        raise _by_hand(
            [file],
            f"{(size - done) / 1e9:.1f} GB to download but {free / 1e9:.1f} GB free in {partial.parent}; "
            "make room or set HF_HOME to another disk",
        )
    return done


def _verify(file: HubFile, path: Path, etag: str) -> None:
    """ModelError, and the file is gone, unless its hash is the hub's: SHA-256 of large files, git's of small ones."""
    known = hashlib.sha256() if len(etag) == 64 else hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as data:
        while chunk := data.read(_CHUNK_BYTES):
            known.update(chunk)
    if known.hexdigest() != etag:
        path.unlink()
        raise ModelError(f"{file.page}: what came has hash {known.hexdigest()}, not {etag}; download it again")
    log.info("%s verified: %s %s", file.name, known.name, etag)


@contextmanager
def _explained(file: HubFile) -> Iterator[None]:
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # the library's own, and those of whichever HTTP client its version uses
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise _by_hand(
            [file], f"cannot be downloaded ({reason[:120]}); run it again to go on where it stopped"
        ) from error


def _by_hand(files: list[HubFile], why: str) -> ModelError:
    named = " and ".join(f"{file.name} of {file.repo}" for file in files)
    pages = " and ".join(file.page for file in files)
    return ModelError(f"{named}: {why}; or put {pages} into a folder and give its path as the model")


def _cache_folder(file: HubFile) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=file.repo, repo_type="model")


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
