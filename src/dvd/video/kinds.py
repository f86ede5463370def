"""Which kind of file this is: by its first bytes for pictures, by its ending for lists of names."""

from __future__ import annotations

from pathlib import Path

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
"""Endings of what is surely a video; only messages depend on them."""

RAW_PHOTO_SUFFIXES = frozenset((".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"))
"""Sensor data of cameras. Most are TIFF files whose first picture is a thumbnail."""

_HEIF_BRANDS = frozenset(b"avif avis heic heix heim heis hevc hevx hevm hevs mif1 mif2 msf1 miaf".split())
_AVIF_BRANDS = frozenset((b"avif", b"avis"))

_SIGNATURES = {
    b"\x89PNG": "png",
    b"\x76\x2f\x31\x01": "exr",
    b"SDPX": "dpx",
    b"XPDS": "dpx",
    b"#?RADIANCE": "radiance",
    b"#?RGBE": "radiance",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
    b"GIF8": "gif",
}


def picture_kind(path: Path) -> str | None:
    """ "png", "webp", "tiff", "gif", "avif", "heic", "exr", "dpx" or "radiance" by the file's first bytes, else None.

    "heic" stands for every HEIF that is no AVIF. JPEG is left out: a Motion JPEG video begins like one.
    """
    try:
        with path.open("rb") as file:
            head = file.read(256)
    except OSError:
        return None
    if head[4:8] == b"ftyp":
        return _heif_kind(head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return next((kind for signature, kind in _SIGNATURES.items() if head.startswith(signature)), None)


def _heif_kind(head: bytes) -> str | None:
    """A HEIF's first box names its brands: the major one, a version, then the compatible ones."""
    major, length = head[8:12], int.from_bytes(head[:4], "big")
    if major not in _HEIF_BRANDS:
        return None
    compatible = {head[at : at + 4] for at in range(16, min(length, len(head)), 4)}
    return "avif" if _AVIF_BRANDS & {major, *compatible} else "heic"
