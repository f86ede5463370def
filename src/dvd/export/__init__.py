"""Files out: one writer per format, found by name. Each writes aside and puts its result in place when it is whole.

writer     the interface of every writer, and the options
formats    formats by name and by ending; how to add one
video      colour-mapped or gray video; `encode` encodes it, `clock` times it, `audio` adds the source's sound
pictures   one image in colour or gray, and contact sheets
npz        raw values of a whole video in one file
values     size and dtype of raw values; `png16` and `exr`, with one file per frame
display    how disparity is shown: ranges and colours
sidecar    the JSON beside a result
"""

from __future__ import annotations

from dvd.export.formats import (
    find_writer,
    format_of,
    formats_reading,
    open_writer,
    register_format,
    suffix,
    writers,
)
from dvd.export.npz import read_npz_frames
from dvd.export.sidecar import write_sidecar
from dvd.export.writer import ExportOptions, Writer, check_writable

__all__ = [
    "ExportOptions",
    "Writer",
    "check_writable",
    "find_writer",
    "format_of",
    "formats_reading",
    "open_writer",
    "read_npz_frames",
    "register_format",
    "suffix",
    "write_sidecar",
    "writers",
]
