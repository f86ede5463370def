"""Video in: any file FFmpeg reads, an image, a folder or a pattern of frames, as one stream of upright RGB frames.

`open_video` and `probe` are the doors. What happens behind them, file by file:

sources   which reader a SOURCE needs (`find_source`), and what a reader promises
files     video files through PyAV: damaged packets, early ends
orientation  display matrix → upright
timeline  a time for every frame, whatever the source's stamps are
pipes     inputs that can be read only once
pictures  images, pages of one file, series of files; `picture_files` reads one page, `ffmpeg_picture` and `plates`
          are for what Pillow cannot read (16-bit colour, OpenEXR, DPX)
series    names in a folder: which belong together, their numbers and gaps
levels    values of more than 8 bits → uint8, by one scale for a whole input
kinds     what a file is, by its first bytes
interlace fields → frames
colour    a decoded frame's pixels → uint8 RGB (matrix, range, HDR, alpha)
trim      `--start` and `--end`
stream    the story: read, trim, give every frame a time and one size
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
    """Opens SOURCE and decodes the first frame it will give, so that what is wrong is said here.

    "-" is standard input; it and named pipes are copied to a temporary file first (`readable_again` does so once for
    several calls).

    `start` and `end` bound the half-open part that is read: an int (or "120") is a frame number from 0; a float, "1.5",
    "12.5s" or "0:12" is seconds from the first frame. An `end` past the end means the end.

    Pixels stay as stored: a sample aspect ratio other than 1 is not stretched away. HDR is tone-mapped to SDR,
    transparent parts lie over black, interlaced frames are deinterlaced; all frames have the first one's size.

    Raises `InputError` for what cannot be read or holds no frame in that part, `OptionError` for a `start` or `end`
    that makes no sense.
    """
    return Video(find_source(source), Trim.parse(start, end))


def probe(source: str | Path | PipeCopy) -> VideoInfo:
    """What is known of SOURCE after decoding one frame. Raises `InputError` as `open_video` does."""
    with open_video(source) as video:
        return video.info
