"""Downloads from the Hugging Face hub into its own cache, refused at once and in one line where they cannot be had.

`huggingface_hub` transfers the files, takes up a connection that is cut, and keeps the cache. This module adds what the
library leaves out: it answers without half a minute of retries, checks the space on the disk, and compares hashes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dvd.errors import ModelError, first_line

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    """A file of a model repository on the hub, and its licence."""

    repo: str
    name: str
    licence: str

    @property
    def page(self) -> str:
        """The address from which a person can download it by hand."""
        return f"{_endpoint()}/{self.repo}/resolve/main/{self.name}"


class FetchFolder(Protocol):
    """Downloads a repository into the hub's cache, or only looks for it there; returns its folder."""

    def __call__(self, repo: str, *, local_files_only: bool) -> str: ...


def cached(file: HubFile) -> Path | None:
    """Return the file's path in the hub's cache, or None; never touch the network."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(file.repo, file.name)
    return Path(path) if isinstance(path, str) else None


def fetch(*files: HubFile, download: bool = True) -> list[Path]:
    """Return the files' paths in the hub's cache; download and verify those that are missing.

    Raise ModelError where a file may not or cannot be downloaded, or is not what the hub says; the message gives its
    address and says how to do without the hub.
    """
    missing = [file for file in files if cached(file) is None]
    if missing and (reason := _offline_reason(download)):
        raise _by_hand(missing, f"not in the cache, and {reason}")
    return [cached(file) or _download(file) for file in files]


def fetch_folder(model: str | Path, fetch: FetchFolder, download: bool = True) -> Path:
    """Return the folder of a model that is named by its folder, or by its repository OWNER/NAME on the hub.

    Raise ModelError where there is no such folder, or where the repository is not in the hub's cache and may not or
    cannot be downloaded.
    """
    from huggingface_hub import HfApi

    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    repo = str(model)
    if repo.count("/") != 1 or repo.startswith((".", "/", "~")):
        raise ModelError(f"{repo}: no such folder, and no repository OWNER/NAME of the hub; correct it")
    try:
        return Path(fetch(repo, local_files_only=True))
    except Exception as error:  # of the hub's library or of whichever builds on it
        if reason := _offline_reason(download):
            raise _needs_hub(repo, reason) from error
    try:
        HfApi().model_info(repo, timeout=CONNECT_TIMEOUT_S)  # fails at once where `fetch` would try again and again
        return Path(fetch(repo, local_files_only=False))
    except Exception as error:  # the library's own, and those of whichever HTTP client its version uses
        raise _needs_hub(repo, _reason(error)) from error


def _download(file: HubFile) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    endpoint = _endpoint()
    try:
        # One request without a second try, where `hf_hub_download` would go on for half a minute.
        about = get_hf_file_metadata(hf_hub_url(file.repo, file.name, endpoint=endpoint), timeout=CONNECT_TIMEOUT_S)
        expected = about.etag or ""
        if not about.size or not _HASH.fullmatch(expected):
            raise _by_hand([file], f"{endpoint} does not tell its size and hash; set HF_ENDPOINT to a whole mirror")
        _check_space(file, about.size)
        log.warning("licence of %s: %s", file.name, file.licence)
        path = Path(hf_hub_download(file.repo, file.name, endpoint=endpoint))
    except ModelError:
        raise
    except Exception as error:  # the library's own, and those of whichever HTTP client its version uses
        raise _by_hand([file], f"cannot be downloaded ({_reason(error)}); run it again") from error
    _verify(file, path, expected)
    return path


def _check_space(file: HubFile, size: int) -> None:
    """Raise ModelError where the file does not fit on the cache's disk; the library only warns."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if free < size:
        raise _by_hand(
            [file],
            f"{size / 1e9:.1f} GB to download but {free / 1e9:.1f} GB free in {cache}; "
            "make room or set HF_HOME to another disk",
        )


def _verify(file: HubFile, path: Path, expected: str) -> None:
    """Raise ModelError and remove the file unless its hash is the hub's: SHA-256 if large, git's SHA-1 if small."""
    blob = path.resolve()  # the cache links to it, where the system has links
    digest = hashlib.sha256() if len(expected) == 64 else hashlib.sha1(b"blob %d\0" % blob.stat().st_size)
    with blob.open("rb") as data:
        actual = hashlib.file_digest(data, lambda: digest).hexdigest()
    if actual != expected:
        path.unlink()
        blob.unlink(missing_ok=True)
        raise ModelError(f"{file.page}: the downloaded file has hash {actual}, not {expected}; download it again")
    log.info("%s verified: %s %s", file.name, digest.name, expected)


def _offline_reason(download: bool) -> str:
    """Return why nothing may be downloaded; empty where it may."""
    from huggingface_hub import constants

    if not download:
        return "downloading is off; allow it"
    return "HF_HUB_OFFLINE is set; unset it" if constants.HF_HUB_OFFLINE else ""


def _reason(error: Exception) -> str:
    from huggingface_hub.errors import GatedRepoError

    if isinstance(error, GatedRepoError):
        return "its repository is gated: accept its terms on the hub, and log in with 'hf auth login'"
    return first_line(error)[:120]


def _by_hand(files: list[HubFile], reason: str) -> ModelError:
    named = " and ".join(f"{file.name} of {file.repo}" for file in files)
    pages = " and ".join(file.page for file in files)
    return ModelError(f"{named}: {reason}; or put {pages} into a folder and give its path as the model")


def _needs_hub(repo: str, reason: str) -> ModelError:
    return ModelError(
        f"{repo} needs weights from the Hugging Face hub ({reason}); where there is a network run "
        f"'hf download {repo}', and give the folder that it prints as the model"
    )


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
