"""What `dvd eval` was asked for: which protocol, on which sequences, by which method, under which conditions."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvd.evaluate.methods.base import MethodOptions
    from dvd.evaluate.protocol import Protocol
    from dvd.evaluate.sequences import EvalSequence


_BESIDE = {
    "list": (),
    "compare": ("metric",),
    "report": ("output",),
    "write_inputs": ("datasets", "split", "per_metre", "protocol", "frames", "sequences"),
}
"""What may stand beside each of the options that do something else than measure."""
_PARSERS_OWN = ("command", "run", "parser", "fields")


def refuse_what_is_ignored(args: argparse.Namespace) -> None:
    """OptionError where an option is given that would change nothing."""
    from dvd.errors import OptionError

    given = [
        name
        for name, value in vars(args).items()
        if name not in _PARSERS_OWN and value != [] and value != args.parser.get_default(name)
    ]
    instead = next((name for name in _BESIDE if name in given), None)
    ignored = [name for name in given if name not in (instead, *_BESIDE[instead])] if instead else []
    if ignored:
        what = "data set" if ignored[0] == "datasets" else _option(ignored[0])
        raise OptionError(f"{_option(str(instead))} reads no {what}; leave it out")
    if not instead and "metric" in given:
        raise OptionError("--metric belongs to --compare, and every metric is measured; leave it out")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def protocol_of(args: argparse.Namespace) -> Protocol:
    """The named protocol; one that is changed says so in its name."""
    from dvd.evaluate.protocol import choose_protocol

    protocol = choose_protocol(args.protocol)
    given = {
        "frames": args.frames,
        "sequences": args.sequences,
        "range_m": tuple(args.range) if args.range else None,
        "scope": args.align,
        "space": args.align_in,
        "fit": args.fit,
    }
    changed = {name: v for name, v in given.items() if v is not None and v != getattr(protocol, name)}
    if not changed:
        return protocol
    return replace(protocol, name=f"{protocol.name}, {' and '.join(changed)} changed", **changed)


def sequences_of(args: argparse.Namespace, protocol: Protocol) -> tuple[list[EvalSequence], dict[str, Any]]:
    """The sequences of every data set given, and where each lies."""
    from dvd.data.layouts import LAYOUTS
    from dvd.errors import OptionError
    from dvd.evaluate.sequences import open_sequences

    for text in args.model:
        if text.partition("=")[0] in LAYOUTS and "=" in text:
            raise OptionError(f"'{text}' stands after --model, where methods stand; name the data sets before it")
    if not args.datasets:
        raise OptionError("which data set? give NAME=ROOT, such as bonn=/data/bonn; dvd eval --list shows the names")
    found: list[EvalSequence] = []
    roots: dict[str, Any] = {}
    for text in args.datasets:
        name, equals, root = text.partition("=")
        if not equals or not root:
            raise OptionError(f"'{text}' is not NAME=ROOT, such as bonn=/data/bonn; dvd eval --list shows the names")
        LAYOUTS[name]  # raises OptionError for an unknown name
        if name in roots:
            raise OptionError(f"{name} is given twice; put its sequences below one folder")
        found += open_sequences(name, root, args.split, args.per_metre, protocol.single_images)
        roots[name] = {"root": root, "split": args.split, "per_metre": args.per_metre}
    return found, roots


def method_options(args: argparse.Namespace) -> MethodOptions:
    """What the methods are given; `--predicted` is the space of saved predictions."""
    from dataclasses import fields

    from dvd.evaluate.methods.base import MethodOptions

    named = {field.name for field in fields(MethodOptions)} - {"space"}
    return MethodOptions(space=args.predicted, **{name: getattr(args, name) for name in named})


def with_stitch(method: str, options: MethodOptions, protocol: Protocol) -> MethodOptions:
    """The same, with the protocol's way of stitching for a method that joins windows and was given no other."""
    from dvd.evaluate.methods.registry import stitches

    return replace(options, stitch=options.stitch or protocol.stitch) if stitches(method) else options


def stitched_as(method: str, options: MethodOptions, protocol: Protocol) -> dict[str, Any]:
    """Who chose the way of stitching, where windows are joined; the method itself states which it is."""
    from dvd.evaluate.methods.registry import stitches

    if protocol.single_images or not stitches(method):
        return {}
    by_hand = options.stitch is not None and options.stitch != protocol.stitch
    return {"stitch_from": f"--stitch, in place of the protocol's {protocol.stitch}" if by_hand else "the protocol"}


def conditions_of(roots: dict[str, Any]) -> dict[str, Any]:
    """What a number depends on besides the method and the protocol."""
    import torch

    from dvd.evaluate.race import commit
    from dvd.hardware import cpu_name

    machine = {"torch": torch.__version__, "processor": cpu_name(), "threads": torch.get_num_threads()}
    return {"commit": commit(), **machine, "datasets": roots}
