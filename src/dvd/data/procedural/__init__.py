"""Endless procedural scenes with exact planar depth, camera poses and motion, drawn from a seed."""

from dvd.errors import OptionError

try:
    import numba  # noqa: F401
except ImportError as error:
    raise OptionError("procedural scenes need numba: pip install 'dvd-depth[train]'") from error

from dvd.data.procedural.render import Clip, families, render_clip, render_views
from dvd.data.procedural.shards import read_shard, write_shards
from dvd.data.procedural.textures import TextureBank

__all__ = ["Clip", "TextureBank", "families", "read_shard", "render_clip", "render_views", "write_shards"]
