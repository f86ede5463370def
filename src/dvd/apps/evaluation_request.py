"""What `dvd eval` was asked for: which protocol, on which sequences, by which method, under which conditions."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvd.evaluate.protocol import Protocol
    from dvd.evaluate.registry import MethodOptions
    from dvd.evaluate.sequences import EvalSequence


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
    from dvd.data.layouts import find_layout
    from dvd.errors import OptionError
    from dvd.evaluate.sequences import open_sequences

    if not args.datasets:
        raise OptionError("which data set? give NAME=ROOT, such as bonn=/data/bonn; dvd eval --list shows the names")
    found: list[EvalSequence] = []
    roots: dict[str, Any] = {}
    for text in args.datasets:
        name, equals, root = text.partition("=")
        if not equals or not root:
            raise OptionError(f"'{text}' is not NAME=ROOT, such as bonn=/data/bonn; dvd eval --list shows the names")
        find_layout(name)
        if name in roots:
            raise OptionError(f"{name} is given twice; put its sequences below one folder")
        found += open_sequences(name, root, args.split, args.per_metre, protocol.single_images)
        roots[name] = {"root": root, "split": args.split, "per_metre": args.per_metre}
    return found, roots


def method_options(args: argparse.Namespace) -> MethodOptions:
    """What the methods are given; `--predicted` is the space of saved predictions."""
    from dataclasses import fields

    from dvd.evaluate.registry import MethodOptions

    named = {field.name for field in fields(MethodOptions)} - {"space"}
    return MethodOptions(space=args.predicted, **{name: getattr(args, name) for name in named})


def conditions_of(roots: dict[str, Any]) -> dict[str, Any]:
    """What a number depends on besides the method and the protocol."""
    import torch

    from dvd.evaluate.speed import commit
    from dvd.hardware import cpu_name

    machine = {"torch": torch.__version__, "processor": cpu_name(), "threads": torch.get_num_threads()}
    return {"commit": commit(), **machine, "datasets": roots}
