"""Video in: any file FFmpeg reads, an image, a folder or a pattern of frames, as one stream of upright RGB frames.

Use `open_video` and `probe`. The files behind them:

sources        choose the reader that a SOURCE needs
pipes          copy inputs that can be read only once
series         names in a folder: which belong together, their numbers and gaps
reader         the interface of every reader
files          read video files through PyAV, past damaged packets and early ends
interlace      interlaced frames → whole frames
colour         a decoded frame → upright uint8 RGB (matrix, range, alpha, HDR, display matrix)
pictures       read images, pages of one file, series of files
picture_files  recognise a picture file, read one page of it
deep_pictures  pictures of more than 8 bits (16-bit colour, OpenEXR, DPX, Radiance) → uint8, by one scale for an input
timeline       give every frame a time, whatever the source's stamps are
trim           parse `--start` and `--end`
stream         the story: read, trim, give every frame a time and one size
"""

from __future__ import annotations

from pathlib import Path

from dvd.types import VideoInfo
from dvd.video.pipes import PipeCopy, readable_again
from dvd.video.sources import find_source
from dvd.video.stream import Video
from dvd.video.trim import Moment, Trim

__all__ = ["PipeCopy", "Video", "open_video", "probe", "readable_again"]


def open_video(source: str | Path | PipeCopy, start: Moment | None = None, end: Moment | None = None) -> Video:
    """Open SOURCE and decode its first frame, so that a faulty input raises here.

    "-" is standard input. Standard input and named pipes are copied to a temporary file first; `readable_again` makes
    one copy for several calls.

    `start` and `end` bound the half-open part that is read: an int (or "120") is a frame number from 0; a float, "1.5",
    "12.5s" or "0:12" is seconds from the first frame. An `end` past the last frame means the last frame.

    Pixels keep their stored shape, whatever the sample aspect ratio. HDR is tone-mapped to SDR, transparent parts are
    read over black, interlaced frames are deinterlaced; all frames are resized to the first one's size.

    Raise `InputError` where SOURCE cannot be read or has no frame in that part, `OptionError` for an impossible `start`
    or `end`.
    """
    return Video(find_source(source), Trim.parse(start, end))


def probe(source: str | Path | PipeCopy) -> VideoInfo:
    """Return the facts about SOURCE after decoding one frame. Raise `InputError` as `open_video` does."""
    with open_video(source) as video:
        return video.info
