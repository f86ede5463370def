"""One file per frame, for the formats that have such: a folder of `frame_000000` …, or one file for an image.

The frames of a numbered image sequence keep the source's numbers: `shot_1001.png` becomes `frame_1001`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import numpy as np

from dvd.errors import OptionError, OutputError
from dvd.export.base import ExportOptions, Size
from dvd.export.values import ValuesWriter
from dvd.types import VideoInfo


class FrameFilesWriter(ValuesWriter):
    """Files numbered as the source's or from 0.

    Every finished one is whole, so all of them are kept if the writing stops early.
    """

    ending: ClassVar[str]

    def __init__(self, path: str | Path, info: VideoInfo, options: ExportOptions, network: Size | None = None) -> None:
        """A `path` with the frames' own ending is one file, for an image only; any other is a folder.

        Raises `OptionError` for a video into one file, `OutputError` for a folder that holds other things.
        """
        path = Path(path)
        self._in_folder = path.suffix.lower() != self.ending
        if not (self._in_folder or info.is_image):
            raise OptionError(f"{path}: holds one picture, {info.path.name} is a video; give a folder")
        if path.is_dir() and any(not self._ours(each) for each in path.iterdir()):
            raise OutputError(f"{path}: holds other files; choose another folder")
        super().__init__(path, info, options, network, folder=self._in_folder)

    @abstractmethod
    def _save(self, frame: np.ndarray, path: Path) -> None:
        """Writes one frame `H W`."""

    def _start(self, _disparity: np.ndarray, _pts: Sequence[int], /) -> None:
        """The folder is there already."""

    def _put(self, frame: np.ndarray, pts: int, /) -> None:
        path = self._part / f"frame_{self._number(pts)}{self.ending}" if self._in_folder else self._part
        try:
            self._save(frame, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _number(self, pts: int) -> str:
        return self.info.numbers.text(pts) if self.info.numbers else f"{self.frames:06d}"

    def _finish(self) -> None:
        """Every file is whole already."""

    def _replace(self) -> None:
        """Replaces frames of an earlier run, and nothing else that lies in their folder by now."""
        if not (self._in_folder and self.path.exists()):
            super()._replace()
            return
        for frame in filter(self._ours, self.path.iterdir()):
            frame.unlink()
        for frame in self._part.iterdir():
            frame.replace(self.path / frame.name)
        with suppress(OSError):
            self._part.rmdir()

    def _ours(self, path: Path) -> bool:
        return re.fullmatch(rf"frame_\d+{re.escape(self.ending)}", path.name) is not None
