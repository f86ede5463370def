"""Small training runs through the command line, in processes that share one start-up.

Importing torch, Accelerate and PEFT (which imports transformers) takes ten seconds. Python's fork server imports them
once, and every run is forked from it: a run that is killed and resumed five times starts at once each time.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from dvd.train.tracking import read_history

FEW = [
    *("--images.scenes.scenes", "8", "--clips.scenes.scenes", "4", "--source.scenes.scenes", "2"),
    *("--validation.every", "4", "--validation.clips", "2"),
    *("--precision", "fp32", "--save-every", "3", "--log-every", "1", "--processes", "1"),
]
"""Few scenes, and a history and checkpoints of nearly every step."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["dvd.train.loop", "dvd.apps.train", "peft", "numba", "tensorboard", "matplotlib"])


@dataclass(frozen=True)
class Done:
    """How a process ended."""

    status: int
    errors: str


@dataclass(frozen=True)
class Running:
    """A process and the file that its stderr goes to."""

    process: BaseProcess
    log: Path

    @property
    def ended(self) -> bool:
        return self.process.exitcode is not None

    @property
    def errors(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def end(self, timeout_s: float = 300) -> Done:
        """Wait for the end."""
        self.process.join(timeout_s)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(f"still running after {timeout_s} s: {self.errors[-2000:]}")
        return Done(self.process.exitcode, self.errors)


def train_command(recipe: str, *fields: str) -> list[str]:
    """Return the words after `dvd` that train `recipe` on few scenes."""
    return ["train", recipe, *FEW, *fields]


def start(words: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Running:
    """Start `dvd` with these words, and `folder` as its output, in a process of its own."""
    return start_function(_command_line, [*words, "-o", str(folder)], log=folder, environment=environment)


def run(words: Sequence[str], folder: Path) -> Done:
    """Run `dvd` with these words to its end."""
    return start(words, folder).end()


def start_function(
    function: Callable[[list[str]], None], words: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> Running:
    """Start a function of a test module in a process of its own; its stderr goes to a file named after `log`."""
    rank = (environment or {}).get("RANK", "0")
    path = log.with_name(f"{log.name}.{rank}.stderr")
    path.parent.mkdir(parents=True, exist_ok=True)
    environment = {"CUDA_VISIBLE_DEVICES": "", **(environment or {})}
    process = _FORKS.Process(target=_enter, args=(function, words, str(path), environment))
    process.start()
    return Running(process, path)


def run_on_two(function: Callable[[list[str]], None], words: list[str], log: Path, **environment: str) -> None:
    """Run a function in two processes of one group, in the environment that torchrun gives them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    both = [
        start_function(function, words, log, {**shared, **environment, "RANK": rank, "LOCAL_RANK": rank})
        for rank in ("0", "1")
    ]
    for done in [each.end() for each in both]:
        assert done.status == 0, done.errors[-4000:]


def wait_for(event: Callable[[], bool], running: Running, timeout_s: float = 120) -> None:
    """Wait until something has happened in a run."""
    deadline = time.monotonic() + timeout_s
    while not event():
        assert not running.ended, running.errors
        assert time.monotonic() < deadline
        time.sleep(0.01)


def losses(folder: Path) -> dict[tuple[str, int], dict[str, float]]:
    """Return what was logged, by phase and step; empty before the run has begun."""
    if not (folder / "history.jsonl").exists():
        return {}
    rows = read_history(folder / "history.jsonl")
    return {(row["phase"], row["step"]): row for row in rows if "grad_norm" in row}


def _enter(function: Callable[[list[str]], None], words: list[str], log: str, environment: dict[str, str]) -> None:
    """Set up streams and environment as a new process would have them, and run the function."""
    import torch

    os.environ.update(environment)
    torch.set_num_threads(1)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    function(words)


def _command_line(words: list[str]) -> None:
    from dvd.apps.cli import main

    sys.argv[1:] = words
    sys.exit(main())
