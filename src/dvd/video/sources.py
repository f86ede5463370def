"""Which reader a SOURCE needs: a video file, an image, a folder of frames, or a pattern of frames."""

from __future__ import annotations

import re
from difflib import get_close_matches
from glob import escape, glob
from pathlib import Path

from dvd.errors import InputError
from dvd.video.files import VideoFile
from dvd.video.pictures import IMAGE_SUFFIXES, Pictures
from dvd.video.pipes import Spooled, readable_again
from dvd.video.reader import Source

_NUMBER = re.compile(r"%0?\d*d")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def find_source(source: str | Path | Spooled) -> Source:
    """The reader for SOURCE. Raises `InputError` where there is nothing to read."""
    source = readable_again(source)
    if isinstance(source, Spooled):
        return VideoFile(source.path, source)
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder(path)
    if path.exists():
        return Pictures(path, [path], path.stem) if path.suffix.lower() in IMAGE_SUFFIXES else VideoFile(path)
    if _URL.match(str(source)):
        raise InputError(f"{source}: is a URL, which is not read; download the file first, and give its path")
    if _NUMBER.search(path.name):
        pattern = str(Path(escape(str(path.parent))) / _NUMBER.sub("*", escape(path.name)))
        return _pattern(path, pattern, _numbered(path.name))
    if any(mark in str(path) for mark in "*?["):
        return _pattern(path, str(path), re.compile(".*"))
    raise InputError(f"{source}: no such file; {_mend(path)}")


def _folder(path: Path) -> Pictures:
    try:
        paths = [each for each in path.iterdir() if _is_frame(each)]
    except PermissionError as error:
        raise InputError(f"{path}: may not be read; change its permissions") from error
    if not paths:
        raise InputError(f"{path}: no images in this folder; give a folder of frames (.png, .jpg, …) or a video file")
    return Pictures(path, paths, path.resolve().name)


def _pattern(path: Path, pattern: str, name: re.Pattern[str]) -> Pictures:
    found = map(Path, glob(pattern))
    paths = [each for each in found if _is_frame(each) and name.fullmatch(each.name)]
    if not paths:
        raise InputError(f"{path}: no image matches this pattern; check it with ls, or give the folder")
    stem = re.split(r"[%*?\[]", path.stem)[0].rstrip("._- ")
    return Pictures(path, paths, stem or path.parent.resolve().name)


def _is_frame(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _numbered(name: str) -> re.Pattern[str]:
    """`shot_%05d.png` → a pattern for the names it writes."""
    return re.compile(r"\d+".join(re.escape(part) for part in _NUMBER.split(name)))


def _mend(path: Path) -> str:
    siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, siblings, n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else "check the path"
