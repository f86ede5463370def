"""Other people's weights: from a folder or from the Hugging Face hub, and at once clear where they cannot be had."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Protocol

from dvd.errors import ModelError, OptionError
from dvd.hardware import choose_device, device_name
from dvd.names import DTYPES, Space
from dvd.stream import Size

CONNECT_TIMEOUT_S = 10.0


class Fetch(Protocol):
    """Brings a repository's files into the hub's cache, or only looks there; returns their folder."""

    def __call__(self, repo: str, *, local_files_only: bool) -> str: ...


@dataclass
class PretrainedMethod(ABC):
    """What methods with other people's weights have in common: weights by repository or folder, device, number format.

    `size` is the least height and width in pixels that the network sees, "source" for the frame's own, None for what
    the weights themselves say. Weights are opened when the first frame is predicted, or by `open`.
    """

    libraries: ClassVar[tuple[str, ...]]
    """What has to be installed; the first runs the model."""
    own_size: ClassVar[str]
    """What a report says of the size where none is given."""

    model: str | Path = ""
    name: str = ""
    size: Size = None
    device: str = "auto"
    dtype: str = "float32"
    download: bool = True
    space: Space = field(default="disparity", init=False)
    _seen: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """OptionError for an unknown device or dtype, for a size below 1, and without the libraries."""
        for library in self.libraries:
            require(library, self.name, self.model)
        self._device = choose_device(self.device)
        check_dtype(self.name, self.dtype)
        check_size(self.name, self.size)

    def open(self) -> None:
        """Opens the weights now. ModelError where they cannot be had or are of another kind."""
        _ = self._opened

    def describe(self) -> dict[str, Any]:
        """Weights, library, device, number format and size; opens nothing. What the network has seen is told later."""
        return origin(self.model, self.libraries[0]) | {
            "kind": "single images",
            "space": self.space,
            "device": f"{self._device} ({device_name(self._device)})",
            "dtype": self.dtype,
            "size": list(self.size) if isinstance(self.size, tuple) else self.size or self.own_size,
            "processed": dict(self._seen),
            "window": 1,
        }

    @property
    @abstractmethod
    def _opened(self) -> Any:
        """The weights, opened once."""


def check_dtype(name: str, dtype: str) -> None:
    """OptionError unless it is a number format that a method of this `name` can be put into."""
    if dtype not in DTYPES or dtype == "auto":
        raise OptionError(f"dtype of {name} is '{dtype}' but must be float32, bfloat16 or float16")


def check_size(name: str, size: Size) -> None:
    """OptionError unless it is None, "source", or a height and width of at least a pixel."""
    if size in (None, "source") or (isinstance(size, tuple) and len(size) == 2 and min(size) >= 1):
        return
    given = shown_size(size) if isinstance(size, tuple) else size
    raise OptionError(f"size of {name} is {given} but must be a height and a width in pixels, or 'source'")


def shown_size(size: Sequence[int]) -> str:
    """Height and width as they are written on the command line."""
    return "x".join(map(str, size))


def require(library: str, what: str, weights: str | Path = "") -> None:
    """OptionError where the library is missing: what to install, and which `weights` will be needed then."""
    if find_spec(library) is None:
        then = f"; its weights, {weights}, come from the Hugging Face hub" if weights else ""
        raise OptionError(f"{what} needs {library}: pip install 'dvd-depth[compare]'{then}")


def weights_folder(model: str | Path, fetch: Fetch, download: bool = True) -> Path:
    """The folder of a model that is named by its folder, or by its repository on the hub.

    ModelError where there is no such folder, or where the repository is not in the hub's cache and cannot or may not
    be downloaded. Without a network this is said at once, where the hub's library would try for half a minute.
    """
    from huggingface_hub import HfApi, constants

    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    repo = str(model)
    if repo.count("/") != 1 or repo.startswith((".", "/", "~")):
        raise ModelError(f"{repo}: no such folder, and no repository OWNER/NAME of the hub; correct it")
    try:
        return Path(fetch(repo, local_files_only=True))
    except Exception as missing:  # of the hub's library or of whichever builds on it
        if constants.HF_HUB_OFFLINE or not download:
            why = "downloading is off" if not download else "HF_HUB_OFFLINE is set"
            raise _needs_hub(repo, why) from missing
    try:
        HfApi().model_info(repo, timeout=CONNECT_TIMEOUT_S)
        return Path(fetch(repo, local_files_only=False))
    except Exception as error:  # the library's own, and those of whichever HTTP client its version uses
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise _needs_hub(repo, reason[:120]) from error


@contextmanager
def opening(model: str | Path, folder: Path) -> Iterator[None]:
    """Whatever a library raises over incomplete or foreign weights becomes one line that names them."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise ModelError(f"{model} cannot be opened from {folder} ({reason[:160]}); get its weights again") from error


def origin(model: str | Path, library: str) -> dict[str, str]:
    """What a report says of where the weights come from and what runs them."""
    local = Path(model).expanduser().is_dir()
    weights = "a folder" if local else "needs weights from the Hugging Face hub"
    return {"model": str(model), "weights": weights, "library": f"{library} {version(library)}"}


def _needs_hub(repo: str, why: str) -> ModelError:
    return ModelError(
        f"{repo} needs weights from the Hugging Face hub ({why}); where there is a network run 'hf download {repo}', "
        "and give the folder that it prints as the model"
    )
