"""Choose the reader that a SOURCE needs: a video file, an image, a folder of frames, or a pattern of frames."""

from __future__ import annotations

import re
from difflib import get_close_matches
from glob import escape, glob
from pathlib import Path

from dvd.errors import InputError
from dvd.video.files import VideoFile
from dvd.video.picture_files import contents_of, picture_kind
from dvd.video.pictures import Pictures, picture_file, picture_series
from dvd.video.pipes import PipeCopy, readable_again
from dvd.video.reader import Source
from dvd.video.series import natural_order, one_series, shortened

PICTURE_SUFFIXES = frozenset(
    (
        *(".png", ".apng", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm"),
        *(".mpo", ".tga", ".jp2", ".j2k", ".gif", ".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif"),
        *(".exr", ".dpx", ".hdr"),
    )
)
"""Endings of frames in a folder."""

VIDEO_SUFFIXES = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv"),
        *(".f4v", ".3gp", ".ogv", ".mxf", ".dv", ".vob", ".mjpeg", ".h264", ".hevc"),
    )
)
"""Endings that are surely videos; only messages depend on them."""

RAW_PHOTO_SUFFIXES = frozenset((".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"))
"""Sensor data of cameras; most are TIFF files whose first picture is a thumbnail."""

_NUMBER = re.compile(r"%0?\d*d")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def find_source(source: str | Path | PipeCopy) -> Source:
    """Return the reader for SOURCE. Raise `InputError` where there is nothing to read."""
    source = readable_again(source)
    if isinstance(source, PipeCopy):
        if picture_kind(source.file) == "heic":
            raise InputError(
                f"{source.path}: holds a HEIC picture, which is not read from a pipe; save it to a file first"
            )
        return VideoFile(source.path, source)
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder(path)
    if path.exists():
        return _file(path)
    if _URL.match(str(source)):
        raise InputError(f"{source}: is a URL, which is not read; download the file first, and give its path")
    if _NUMBER.search(path.name) or _is_glob(path):
        return _pattern(path)
    raise InputError(f"{source}: no such file; {_suggestion(path)}")


def matching_videos(source: str | Path) -> list[Path]:
    """Return the videos that a glob pattern matches, if it matches no pictures; each is an input of its own."""
    path = Path(source).expanduser()
    if path.exists() or not _is_glob(path):
        return []
    matches = sorted(map(Path, glob(str(path))), key=natural_order)
    return [] if any(map(_is_frame, matches)) else list(filter(_is_video, matches))


def _file(path: Path) -> Source:
    ending = path.suffix.lower()
    if ending in RAW_PHOTO_SUFFIXES:
        raise InputError(f"{path}: is a camera's raw photo; develop it to PNG or TIFF first")
    kind = picture_kind(path) if path.is_file() else None
    if kind == "gif" and contents_of(path).timed:
        return VideoFile(path)
    return picture_file(path) if kind or ending in PICTURE_SUFFIXES else VideoFile(path)


def _folder(path: Path) -> Pictures:
    try:
        everything = sorted(path.iterdir(), key=natural_order)
    except PermissionError as error:
        raise InputError(f"{path}: may not be read; change its permissions") from error
    paths = list(filter(_is_frame, everything))
    if not paths:
        raise InputError(f"{path}: {_no_images_reason(path, everything)}")
    return picture_series(path, one_series(path, paths), path.resolve().name)


def _no_images_reason(path: Path, everything: list[Path]) -> str:
    videos = list(filter(_is_video, everything))
    if not videos:
        return "no images in this folder; give a folder of frames (.png, .jpg, …) or a video file"
    patterns = " ".join(dict.fromkeys(str(path / f"*{video.suffix}") for video in videos))
    names = shortened([video.name for video in videos])
    return f"holds videos ({names}), not frames; give them as inputs of their own: {patterns}"


def _pattern(path: Path) -> Pictures:
    if _NUMBER.search(path.name):
        pattern = str(Path(escape(str(path.parent))) / _NUMBER.sub("*", escape(path.name)))
        name = _printf_regex(path.name)
    else:
        pattern, name = str(path), re.compile(".*")
    matches = [match for match in map(Path, glob(pattern)) if name.fullmatch(match.name)]
    paths = list(filter(_is_frame, matches))
    if not paths:
        raise InputError(f"{path}: {_no_match_reason(matches)}")
    stem = re.split(r"[%*?\[]", path.stem)[0].rstrip("._- ")
    return picture_series(path, one_series(path, paths, pattern=True), stem or path.parent.resolve().name)


def _no_match_reason(matches: list[Path]) -> str:
    videos = sorted(filter(_is_video, matches), key=natural_order)
    if not videos:
        return "no image matches this pattern; check it with ls, or give the folder"
    return f"matches videos ({shortened([video.name for video in videos])}); give each as an input of its own"


def _is_glob(path: Path) -> bool:
    return any(mark in str(path) for mark in "*?[")


def _is_frame(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _printf_regex(name: str) -> re.Pattern[str]:
    """Return a regular expression for the names that `shot_%05d.png` writes."""
    return re.compile(r"\d+".join(re.escape(part) for part in _NUMBER.split(name)))


def _suggestion(path: Path) -> str:
    siblings = [sibling.name for sibling in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, siblings, n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else "check the path"
