"""Peak memory: what was really held, set back between works, and unknown rather than invented."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dvd.evaluate.speed.peak import Peak, peak_of

CPU = torch.device("cpu")
MB = 10**6


def hold(megabytes: int) -> None:
    assert bytearray(megabytes * MB)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the kernel's mark cannot be set back here")
def test_each_work_is_measured_by_itself_whatever_was_held_before() -> None:
    large, small = peak_of(lambda: hold(300), CPU), peak_of(lambda: hold(60), CPU)
    assert large.host is not None
    assert small.host is not None
    assert 295 * MB < large.host < 340 * MB
    assert 55 * MB < small.host < 100 * MB
    assert small.device is None


def kernel(folder: Path, resident: int, mark: int) -> None:
    """A `/proc/self` whose mark cannot be set back; sizes in kB."""
    (folder / "clear_refs").mkdir(exist_ok=True)
    (folder / "status").write_text(f"Name:\tpython\nVmHWM:\t{mark:8} kB\nVmRSS:\t{resident:8} kB\n")


def test_a_mark_that_cannot_be_set_back_tells_only_of_work_that_goes_higher(tmp_path) -> None:
    kernel(tmp_path, resident=1000, mark=5000)
    assert peak_of(lambda: None, CPU, tmp_path) == Peak(None)
    assert peak_of(lambda: kernel(tmp_path, resident=1000, mark=7000), CPU, tmp_path) == Peak(6000 * 1024)


def test_where_the_system_tells_nothing_nothing_is_told(tmp_path) -> None:
    assert peak_of(lambda: hold(1), CPU, tmp_path) == Peak(None, None)


def test_what_is_shown_is_the_accelerators_memory_where_it_was_used() -> None:
    assert Peak(3, 7).shown == 7
    assert Peak(3, 0).shown == 3
    assert Peak(None, None).shown is None
