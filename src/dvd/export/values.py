"""Raw values: what all formats that keep them share, and those with one file per frame, `png16` and `exr`."""

from __future__ import annotations

import logging
import re
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dvd.errors import OptionError, OutputError
from dvd.export.writer import Size, Writer

log = logging.getLogger(__name__)

TO_SOURCE = (
    "bilinear, half-pixel centres: torch.nn.functional.interpolate(disparity[:, None], size=source_size, "
    "mode='bilinear', align_corners=False)[:, 0]"
)
"""How values at the network's size become values at the source's, for the JSON beside them."""
_PNG16_TOP = 65535


class ValuesWriter(Writer):
    """Keeps disparity itself, at the network's size or at the source's."""

    @property
    def size(self) -> Size:
        return self.options.size_of_values(self.network, self.source, self.info.is_image)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the stored values, little-endian."""
        return np.dtype("<f2" if self.options.half else "<f4")

    def facts(self) -> dict[str, Any]:
        at_source = self.size == self.source
        values = {"values_at": "source" if at_source else "network", "size": list(self.size), "dtype": self.dtype.name}
        return super().facts() | values | ({} if at_source else {"to_source_size": TO_SOURCE})


class FrameFilesWriter(ValuesWriter):
    """One file per frame: a folder of `frame_000000` …, or one file for an image.

    Frames of a numbered image sequence keep the source's numbers: `shot_1001.png` becomes `frame_1001`. Every finished
    file is whole, so all of them are kept if the writing stops early. The frames' own ending is the only one of
    `endings`; a path with that ending is one file, any other a folder.
    """

    @abstractmethod
    def save(self, frame: np.ndarray, path: Path, /) -> None:
        """Write one frame `H W` to `path`."""

    def check_path(self) -> None:
        """Raise `OptionError` for a video into one file, `OutputError` for a folder that holds other files."""
        (self._ending,) = self.endings
        self.is_folder = self.path.suffix.lower() != self._ending
        if not (self.is_folder or self.info.is_image):
            raise OptionError(f"{self.path}: holds one picture, {self.info.path.name} is a video; give a folder")
        if self.path.is_dir() and not all(map(self._is_frame, self.path.iterdir())):
            raise OutputError(f"{self.path}: holds other files; choose another folder")

    def add(self, frame: np.ndarray, pts: int, /) -> None:
        number = self.info.numbers.text(pts) if self.info.numbers else f"{self.frames:06d}"
        path = self.part / f"frame_{number}{self._ending}" if self.is_folder else self.part
        try:
            self.save(frame, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def replace(self) -> None:
        """Replace the frames of an earlier run, and no other file that is in their folder by now."""
        if not (self.is_folder and self.path.exists()):
            super().replace()
            return
        for frame in filter(self._is_frame, self.path.iterdir()):
            frame.unlink()
        for frame in self.part.iterdir():
            frame.replace(self.path / frame.name)
        with suppress(OSError):
            self.part.rmdir()

    def _is_frame(self, path: Path) -> bool:
        return re.fullmatch(rf"frame_\d+{re.escape(self._ending)}", path.name) is not None


class Png16Writer(FrameFilesWriter):
    """16-bit PNG: `disparity = low + value / 65535 · (high − low)`, with `options.value_range`.

    Larger is nearer; each file's text states the range too.
    """

    name = "png16"
    suffix = "_png16"
    image_suffix = "_png16.png"
    endings = (".png",)
    reads = frozenset(("values_at", "value_range"))
    _clipped = 0

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint16)

    def facts(self) -> dict[str, Any]:
        low, high = self.options.value_range
        return super().facts() | {
            "value_range": [low, high],
            "to_disparity": f"{low:g} + value / {_PNG16_TOP} * {high - low:g}",
            "clipped_pixels": self._clipped,
        }

    def save(self, frame: np.ndarray, path: Path, /) -> None:
        low, high = self.options.value_range
        levels = (frame - np.float32(low)) * np.float32(_PNG16_TOP / (high - low)) + np.float32(0.5)
        inside = (levels >= 0) & (levels < _PNG16_TOP + 1)
        self._clipped += int(levels.size - np.count_nonzero(inside))
        levels = np.fmin(np.fmax(levels, 0), _PNG16_TOP).astype(np.uint16)
        text = PngInfo()
        text.add_text("disparity_range", f"{low:g} {high:g}")
        Image.fromarray(levels).save(path, format="PNG", compress_level=1, pnginfo=text)

    def finish(self) -> None:
        if self._clipped:
            total = self.frames * self.size[0] * self.size[1]
            log.warning(
                "%s: %d of %d pixels are outside %g … %g and were clipped; use npz or exr, which keep them",
                self.path,
                self._clipped,
                total,
                *self.options.value_range,
            )


class ExrWriter(FrameFilesWriter):
    """OpenEXR: disparity, float32 or half, in the channel `disparity`, larger is nearer; ZIP without loss."""

    name = "exr"
    suffix = "_exr"
    image_suffix = ".exr"
    endings = (".exr",)
    reads = frozenset(("values_at", "half"))
    library = "OpenEXR"
    install = "dvd-depth[exr]"

    def save(self, frame: np.ndarray, path: Path, /) -> None:
        import OpenEXR

        header = {
            "compression": OpenEXR.ZIP_COMPRESSION,
            "type": OpenEXR.scanlineimage,
            "comments": "affine-invariant disparity, larger is nearer",
        }
        values = np.ascontiguousarray(frame, dtype=self.dtype.newbyteorder("="))
        try:
            OpenEXR.File(header, {"disparity": values}).write(str(path))
        except RuntimeError as error:
            raise OSError(str(error)) from error
