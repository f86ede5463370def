"""Two spellings of the same parameters: the original's, which are ours, and diffusers'.

A table pairs module paths, ours first; renaming replaces the longest path that a name begins with and keeps the rest,
so that `.weight`, `.base_layer.weight` and `.lora_A.default.weight` are kept. Every table is one to one and has an
inverse.
"""

from __future__ import annotations

from collections.abc import Iterable

Table = dict[str, str]
"""Module path in our spelling → the same in diffusers'."""

_ATTENTION = {"q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0", "norm_q": "norm_q", "norm_k": "norm_k"}
_BLOCK = {
    **{f"self_attn.{ours}": f"attn1.{theirs}" for ours, theirs in _ATTENTION.items()},
    **{f"cross_attn.{ours}": f"attn2.{theirs}" for ours, theirs in _ATTENTION.items()},
    "norm3": "norm2",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "modulation": "scale_shift_table",
}
_OUTSIDE_BLOCKS = {
    "patch_embedding": "patch_embedding",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "head.modulation": "scale_shift_table",
    "head.head": "proj_out",
}
_RESIDUAL = {
    "residual.0": "norm1",
    "residual.2": "conv1",
    "residual.3": "norm2",
    "residual.6": "conv2",
    "shortcut": "conv_shortcut",
}
_HALVES = {"encoder": "downsamples", "decoder": "upsamples"}

MARKS = {
    "transformer": ("patch_embedding.weight",),
    "vae": ("decoder.conv1.weight", "decoder.conv_in.weight"),
}
"""Names of parameters that only this network has, in either spelling."""


def network_of(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the network that has these parameters, "transformer" or "vae", and the prefix of its names."""
    for network, marks in MARKS.items():
        for name in names:
            for mark in marks:
                prefix = name.removesuffix(mark)
                if name.endswith(mark) and (not prefix or prefix.endswith(".")):
                    return network, prefix
    return None


def transformer_table(num_layers: int) -> Table:
    """Return the table of the transformer's modules."""
    blocks = {
        f"blocks.{index}.{ours}": f"blocks.{index}.{theirs}"
        for index in range(num_layers)
        for ours, theirs in _BLOCK.items()
    }
    return {**_OUTSIDE_BLOCKS, **blocks}


def vae_table(num_res_blocks: int, num_levels: int) -> Table:
    """Return the table of the autoencoder's modules: our layers are numbered, diffusers nests its decoder by level."""
    table = {"conv1": "quant_conv", "conv2": "post_quant_conv"}
    for half in _HALVES:
        table |= {
            f"{half}.conv1": f"{half}.conv_in",
            f"{half}.middle.1": f"{half}.mid_block.attentions.0",
            f"{half}.head.0": f"{half}.norm_out",
            f"{half}.head.2": f"{half}.conv_out",
        }
        for ours, theirs in ((0, 0), (2, 1)):
            table |= _joined(f"{half}.middle.{ours}", f"{half}.mid_block.resnets.{theirs}", _RESIDUAL)

    for index in range(num_levels * (num_res_blocks + 1)):
        layer = f"encoder.downsamples.{index}", f"encoder.down_blocks.{index}"
        table |= {layer[0]: layer[1], **_joined(*layer, _RESIDUAL)}

    length = num_res_blocks + 2
    for level in range(num_levels):
        block = f"decoder.up_blocks.{level}"
        for index in range(length - 1):
            table |= _joined(f"decoder.upsamples.{level * length + index}", f"{block}.resnets.{index}", _RESIDUAL)
        table[f"decoder.upsamples.{level * length + length - 1}"] = f"{block}.upsamplers.0"
    return table


def inverse(table: Table) -> Table:
    """Return the table from the other spelling to this one."""
    return {theirs: ours for ours, theirs in table.items()}


def rename(name: str, table: Table) -> str:
    """Replace the longest path of the table that `name` begins with; a name outside the table is kept."""
    path, rest = name, ""
    while path:
        if path in table:
            return table[path] + rest
        path, _, last = path.rpartition(".")
        rest = f".{last}{rest}"
    return name


def table_for(names: Iterable[str], part: str) -> Table:
    """Return the table from the spelling of `names`, given without prefix, to ours; empty where they are ours already.

    `part` is "transformer" or "vae".
    """
    known = set(names)
    if part == "transformer":
        if not any(name.startswith("condition_embedder.") for name in known):
            return {}
        return inverse(transformer_table(1 + max(numbers_after("blocks.", known), default=-1)))
    if not any(name.startswith("encoder.down_blocks.") for name in known):
        return {}
    steps = resamplings("encoder.down_blocks.", known)
    return inverse(vae_table(steps[0] if steps else len(numbers_after("encoder.down_blocks.", known)), len(steps) + 1))


def numbers_after(path: str, names: Iterable[str]) -> set[int]:
    """Return the numbers that follow `path`: those of a list of layers."""
    heads = (name.removeprefix(path).partition(".")[0] for name in names if name.startswith(path))
    return {int(head) for head in heads if head.isdecimal()}


def resamplings(path: str, names: Iterable[str]) -> list[int]:
    """Return the numbers of the layers after `path` that change the resolution, which end the levels."""
    return sorted(index for index in numbers_after(path, names) if f"{path}{index}.resample.1.weight" in names)


def _joined(ours: str, theirs: str, inner: Table) -> Table:
    return {f"{ours}.{a}": f"{theirs}.{b}" for a, b in inner.items()}
