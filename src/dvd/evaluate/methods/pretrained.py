"""Other people's weights: from a folder or from the Hugging Face hub, and at once clear where they cannot be had."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from dvd.errors import ModelError, OptionError, first_line
from dvd.hardware import choose_device, device_name
from dvd.names import DTYPES, Space
from dvd.stream import Size


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


@contextmanager
def opening(model: str | Path, folder: Path) -> Iterator[None]:
    """Whatever a library raises over incomplete or foreign weights becomes one line that names them."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = first_line(error)[:160]
        raise ModelError(f"{model} cannot be opened from {folder} ({reason}); get its weights again") from error


def origin(model: str | Path, library: str) -> dict[str, str]:
    """What a report says of where the weights come from and what runs them."""
    local = Path(model).expanduser().is_dir()
    weights = "a folder" if local else "needs weights from the Hugging Face hub"
    return {"model": str(model), "weights": weights, "library": f"{library} {version(library)}"}
