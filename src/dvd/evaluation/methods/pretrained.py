"""The base of methods with other people's weights, which are in a folder or on the Hugging Face hub."""

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
    """A method with weights named by folder or by repository on the hub.

    `size` is the least height and width in pixels that the network sees, "source" for the frame's own, None for the
    size in the weights' configuration. Weights are opened by `open`, or before the first frame is predicted. Raise
    OptionError for an unknown device or dtype, for a size below 1, and if a library is missing.
    """

    libraries: ClassVar[tuple[str, ...]]
    """The libraries that must be installed; the first runs the model."""
    own_size: ClassVar[str]
    """How a report describes the size where none is given."""

    model: str | Path = ""
    name: str = ""
    size: Size = None
    device: str = "auto"
    dtype: str = "float32"
    download: bool = True
    space: Space = field(default="disparity", init=False)
    _seen: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for library in self.libraries:
            require(library, self.name, self.model)
        self._device = choose_device(self.device)
        if self.dtype not in DTYPES or self.dtype == "auto":
            raise OptionError(f"dtype of {self.name} is '{self.dtype}' but must be float32, bfloat16 or float16")
        if isinstance(self.size, tuple):
            valid, given = len(self.size) == 2 and min(self.size) >= 1, shown_size(self.size)
        else:
            valid, given = self.size in (None, "source"), str(self.size)
        if not valid:
            raise OptionError(f"size of {self.name} is {given} but must be a height and a width in pixels, or 'source'")

    def open(self) -> None:
        """Open the weights now. Raise ModelError if they cannot be downloaded or are of another kind."""
        _ = self._opened

    def describe(self) -> dict[str, Any]:
        """Return weights, library, device, number format and size, and the sizes processed so far; open nothing."""
        local, library = Path(self.model).expanduser().is_dir(), self.libraries[0]
        return {
            "model": str(self.model),
            "weights": "a folder" if local else "needs weights from the Hugging Face hub",
            "library": f"{library} {version(library)}",
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
        """The opened weights."""


def shown_size(size: Sequence[int]) -> str:
    """Return height and width as on the command line: 480x640."""
    return "x".join(map(str, size))


def require(library: str, what: str, weights: str | Path = "") -> None:
    """Raise OptionError if the library is missing; say what to install and which `weights` it will need."""
    if find_spec(library) is None:
        then = f"; its weights, {weights}, come from the Hugging Face hub" if weights else ""
        raise OptionError(f"{what} needs {library}: pip install 'dvd-depth[compare]'{then}")


@contextmanager
def opening(model: str | Path, folder: Path) -> Iterator[None]:
    """Turn any error of a library over incomplete or foreign weights into a ModelError that names them."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = first_line(error)[:160]
        raise ModelError(f"{model} cannot be opened from {folder} ({reason}); get its weights again") from error
