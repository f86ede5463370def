"""OpenEXR per frame: disparity as it is, float32 or half, in the channel `disparity`, larger is nearer."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dvd.errors import OptionError
from dvd.export.base import ExportOptions, Size
from dvd.export.frame_files import FrameFilesWriter
from dvd.types import VideoInfo

CHANNEL = "disparity"


class ExrWriter(FrameFilesWriter):
    """ZIP-compressed scan lines, without loss."""

    ending = ".exr"

    def __init__(self, path: str | Path, info: VideoInfo, options: ExportOptions, network: Size | None = None) -> None:
        """Raises `OptionError` if the OpenEXR library is not installed."""
        self.check_installed()
        super().__init__(path, info, options, network)

    @classmethod
    def check_installed(cls) -> None:
        if find_spec("OpenEXR") is None:
            raise OptionError("exr needs the OpenEXR library; pip install 'dvd-depth[exr]'")

    def _save(self, frame: np.ndarray, path: Path) -> None:
        import OpenEXR

        header = {
            "compression": OpenEXR.ZIP_COMPRESSION,
            "type": OpenEXR.scanlineimage,
            "comments": "affine-invariant disparity, larger is nearer",
        }
        values = np.ascontiguousarray(frame, dtype=self.dtype.newbyteorder("="))
        try:
            OpenEXR.File(header, {CHANNEL: values}).write(str(path))
        except RuntimeError as error:
            raise OSError(str(error)) from error
