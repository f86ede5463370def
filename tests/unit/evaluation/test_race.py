"""Works take turns; their arithmetic, time and peak memory are measured, and what cannot be measured is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dvd.evaluation import race
from dvd.evaluation.race import Peak, peak_of

CPU = torch.device("cpu")
MB = 10**6


def test_flops_of_product_convolution_and_attention_are_two_per_multiply_add() -> None:
    rows = torch.randn(128, 32)
    linear = torch.nn.Linear(32, 16)
    image = torch.randn(1, 3, 10, 10)
    convolution = torch.nn.Conv2d(3, 4, 3)
    tokens = torch.randn(1, 2, 64, 32)
    with torch.no_grad():
        assert race.count_flops(lambda: linear(rows)) == 2 * 128 * 32 * 16
        assert race.count_flops(lambda: convolution(image)) == 2 * 8 * 8 * 4 * 3 * 9
        attend = torch.nn.functional.scaled_dot_product_attention
        assert race.count_flops(lambda: attend(tokens, tokens, tokens)) == 2 * 2 * 2 * 64 * 64 * 32


@pytest.mark.slow
def test_works_take_turns_and_every_repeat_is_timed() -> None:
    calls: list[str] = []
    ways = {name: lambda name=name: calls.append(name) for name in ("a", "b", "c")}
    timings = race.race(ways, repeats=3)
    warm_up = [*"abc", *"abc"]
    assert calls == [*warm_up, *"abc", *"bca", *"cab"]
    assert {name: len(timing.seconds) for name, timing in timings.items()} == {"a": 3, "b": 3, "c": 3}


def test_a_timing_has_median_spread_and_gflops() -> None:
    timing = race.Timing(seconds=(1.0, 2.0, 4.0), flops=4_000_000_000)
    assert timing.median == 2.0
    assert timing.spread == pytest.approx(0.75)
    assert timing.gflops == pytest.approx(2.0)


def test_a_race_without_repeats_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one repeat, not 0"):
        race.race({"a": lambda: None}, repeats=0)


def test_conditions_name_commit_version_device_processor_and_threads() -> None:
    stated = race.conditions("cpu")
    assert stated["device"].startswith("cpu (")
    assert stated["threads"] == torch.get_num_threads()
    assert stated["torch"] == torch.__version__
    assert stated["commit"]
    assert stated["processor"]


def hold(megabytes: int) -> None:
    assert bytearray(megabytes * MB)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the kernel's mark cannot be set back here")
def test_the_peak_of_one_work_does_not_count_that_of_another() -> None:
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


@pytest.mark.slow
def test_the_peak_is_known_only_if_the_mark_rises_where_it_cannot_be_reset(tmp_path) -> None:
    kernel(tmp_path, resident=1000, mark=5000)
    assert peak_of(lambda: None, CPU, tmp_path) == Peak(None)
    assert peak_of(lambda: kernel(tmp_path, resident=1000, mark=7000), CPU, tmp_path) == Peak(6000 * 1024)


@pytest.mark.slow
def test_the_peak_is_unknown_without_proc_status(tmp_path) -> None:
    assert peak_of(lambda: hold(1), CPU, tmp_path) == Peak(None, None)


def test_the_accelerators_peak_is_shown_if_it_was_used() -> None:
    assert Peak(3, 7).shown == 7
    assert Peak(3, 0).shown == 3
    assert Peak(None, None).shown is None
