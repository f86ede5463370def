"""Files out: one writer per format, found by name; each writes aside and puts its result in place when it is whole.

base            what every writer promises: nothing half-written stays, what is finished is kept
mp4             colour-mapped or gray video; `encode` is its encoder, `clock` its time stamps, `audio` its sound
spool           where frames wait until the range of their shot is known
picture         the same for a single image, as PNG
values          size and number format of raw values; npz, png16 and exr keep them
frame_files     what formats with one file per frame share
side_by_side, contact_sheet   for looking at results
colormaps, display_range      how disparity is shown
sidecar         the JSON beside a result
"""

from __future__ import annotations

from dvd.export.base import ExportOptions, Writer, check_writable
from dvd.export.registry import check_format, format_of, open_writer, suffix
from dvd.export.sidecar import write_sidecar

__all__ = [
    "ExportOptions",
    "Writer",
    "check_format",
    "check_writable",
    "format_of",
    "open_writer",
    "suffix",
    "write_sidecar",
]
