"""Files are kept while their writer runs, on every system, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from dvd import processes
from dvd.processes import ABANDONED_S, CLOCK_SLACK_S, is_being_written, writer_tag


def part(folder: Path, process: int, machine: str | None = None, age_s: float = 0.0) -> Path:
    tag = f"{machine or writer_tag().rpartition('.')[0]}.{process}"
    path = folder / f".shard_00000000.{tag}"
    path.mkdir()
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_a_tag_names_this_machine_and_this_process(tmp_path: Path) -> None:
    machine, _, process = writer_tag().rpartition(".")
    assert "." not in machine
    assert int(process) == os.getpid()
    assert is_being_written(part(tmp_path, os.getpid()))


def test_a_process_is_detected_until_it_ends_and_is_not_harmed(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    path = part(tmp_path, writer.pid)
    for _ in range(3):
        assert is_being_written(path)
    assert writer.poll() is None
    writer.kill()
    writer.wait()
    assert not is_being_written(path)


def test_no_signal_is_sent_because_on_windows_it_would_end_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def harm(*_: object) -> None:
        raise AssertionError("os.kill was called")

    path = part(tmp_path, os.getppid())
    monkeypatch.setattr(os, "kill", harm)
    monkeypatch.setattr(psutil, "Process", lambda pid: SimpleNamespace(status=lambda: "running", create_time=lambda: 1))
    assert is_being_written(path)


def test_an_id_reused_after_a_reboot_is_another_process(tmp_path: Path) -> None:
    began_s_ago = time.time() - psutil.Process().create_time()
    assert not is_being_written(part(tmp_path, os.getpid(), age_s=began_s_ago + CLOCK_SLACK_S + 1))


@pytest.mark.parametrize(
    ("error", "alive"),
    [(psutil.NoSuchProcess(7), False), (psutil.AccessDenied(7), True), (psutil.ZombieProcess(7), False)],
)
def test_a_process_of_another_user_is_alive_and_a_dead_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, alive: bool
) -> None:
    def refuse(_: int) -> None:
        raise error

    monkeypatch.setattr(psutil, "Process", refuse)
    assert is_being_written(part(tmp_path, 7)) is alive


def test_a_zombie_process_writes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = SimpleNamespace(status=lambda: psutil.STATUS_ZOMBIE, create_time=lambda: 0.0)
    monkeypatch.setattr(psutil, "Process", lambda _: dead)
    assert not is_being_written(part(tmp_path, 7))


def test_a_file_of_another_machine_is_kept_for_a_day(tmp_path: Path) -> None:
    assert is_being_written(part(tmp_path, 999_999_999, "node7"))
    assert not is_being_written(part(tmp_path, 999_999_998, "node7", age_s=ABANDONED_S + 1))


def test_a_machine_name_with_dots_or_empty_makes_a_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("node7.cluster.example", ""):
        monkeypatch.setattr(processes.platform, "node", lambda name=name: name)
        path = tmp_path / f".shard_00000000.{writer_tag()}"
        path.mkdir()
        assert is_being_written(path)


def test_a_missing_path_or_one_without_tag_is_not_being_written(tmp_path: Path) -> None:
    assert not is_being_written(tmp_path / f".shard_00000000.{writer_tag()}")
    odd = tmp_path / f".shard_00000000.{writer_tag().rpartition('.')[0]}.x"
    odd.mkdir()
    assert not is_being_written(odd)
