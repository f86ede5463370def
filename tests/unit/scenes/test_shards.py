"""Shards on disk: content, resuming, refusal to mix."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from dvd.errors import InputError, OptionError, OutputError
from dvd.processes import writer_tag
from dvd.scenes import read_shard, render, shards, write_shards

SMALL = {"height": 16, "width": 24, "processes": 1, "scenes_per_shard": 2}


def test_shards_hold_what_the_renderer_gives(tmp_path: Path) -> None:
    written = write_shards(tmp_path, range(5, 8), views=2, **SMALL)
    assert [shard.name for shard in written] == ["shard_00000005", "shard_00000007"]
    first, last = read_shard(written[0]), read_shard(written[1])
    assert first["rgb"].shape == (4, 1, 16, 24, 3)
    assert last["disparity"].shape == (2, 1, 16, 24)
    expected = render(6, 1, 16, 24, views=2)
    for n, clip in enumerate(expected):
        np.testing.assert_array_equal(first["rgb"][2 + n], clip.rgb)
        np.testing.assert_array_equal(first["disparity"][2 + n], (1 / clip.depth_m).astype(np.float16))
    assert first["disparity"].dtype == np.float16
    assert np.isfinite(np.asarray(first["disparity"])).all()
    meta = json.loads((written[0] / "meta.json").read_text())
    assert [clip["family"] for clip in meta["clips"][2:]] == [clip.family for clip in expected]


def test_finished_shards_are_kept_and_missing_ones_rendered(tmp_path: Path) -> None:
    written = write_shards(tmp_path, range(4), frames=2, **SMALL)
    stamp = (written[0] / "rgb.npy").stat().st_mtime_ns
    (written[1] / "meta.json").unlink()
    write_shards(tmp_path, range(4), frames=2, **SMALL)
    assert (written[0] / "rgb.npy").stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(read_shard(written[1])["rgb"][0], render(2, 2, 16, 24)[0].rgb)
    assert not list(tmp_path.glob(".shard*"))


def test_other_samples_are_not_mixed_in(tmp_path: Path) -> None:
    write_shards(tmp_path, range(1), views=1, **SMALL)
    with pytest.raises(OutputError, match="holds other samples"):
        write_shards(tmp_path, range(1), views=2, **SMALL)
    with pytest.raises(OptionError, match="non-empty range"):
        write_shards(tmp_path, range(0), **SMALL)
    with pytest.raises(InputError, match="not a finished shard"):
        read_shard(tmp_path / "shard_99")


@pytest.mark.slow
def test_several_processes_write_the_same_bits(tmp_path: Path) -> None:
    one = write_shards(tmp_path / "one", range(4), views=1, **SMALL)
    two = write_shards(tmp_path / "two", range(4), views=1, **{**SMALL, "processes": 2})
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(read_shard(a)["rgb"], read_shard(b)["rgb"])
        np.testing.assert_array_equal(read_shard(a)["disparity"], read_shard(b)["disparity"])


def test_shards_of_killed_runs_are_removed_and_those_of_running_ones_kept(tmp_path: Path) -> None:
    machine = writer_tag().rpartition(".")[0]
    left = tmp_path / f".shard_00000000.{machine}.999999999"
    running = tmp_path / f".shard_00000000.{machine}.{os.getppid()}"
    left.mkdir()
    running.mkdir()
    write_shards(tmp_path, range(1), 1, 24, 32, 1, processes=1)
    assert not left.exists()
    assert running.exists()


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "from dvd.scenes import write_shards\n"
        "if __name__ == '__main__':\n"
        f"    write_shards({str(tmp_path / 'shards')!r}, range(4000), 1, 96, 128, 4, processes=2)\n"
    )
    script = tmp_path / "render.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wanted = time.monotonic() + 60
        begun = psutil.Process(parent.pid)
        while len(workers := begun.children()) < 3:  # two workers and the tracker of shared resources
            assert time.monotonic() < wanted
            time.sleep(0.1)
        time.sleep(1.0)
        parent.kill()
        parent.wait()
        while any(worker.is_running() for worker in workers):
            assert time.monotonic() < wanted, "a worker outlived its parent"
            time.sleep(0.1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)


def test_an_interrupt_does_not_wait_for_queued_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[dict[str, bool]] = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers: int, **_: object) -> None:
            super().__init__(workers)

        def shutdown(self, **how: bool) -> None:
            ended.append(how)
            super().shutdown(**how)

    def interrupted(_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(shards, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(shards, "as_completed", interrupted)
    monkeypatch.setattr(shards, "_write", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path, range(8), views=1, **SMALL | {"processes": 2})
    assert ended[0] == {"wait": False, "cancel_futures": True}
