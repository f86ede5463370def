"""Endless procedural scenes with exact planar depth, camera poses and motion, drawn from a seed."""

from dvd.errors import OptionError

try:
    import numba  # noqa: F401
except ImportError as error:
    raise OptionError("procedural scenes need numba: pip install 'dvd-depth[train]'") from error

from dvd.scenes.render import FAMILIES, Clip, render
from dvd.scenes.shards import read_shard, write_shards

__all__ = ["FAMILIES", "Clip", "read_shard", "render", "write_shards"]
