"""`dvd bench`: one quick run, what it takes and what it refuses."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from golden_run import GOLDEN
from synth import make_video

from dvd.apps import bench, cli

GOLDEN_RUN = ["--model", str(GOLDEN), "--size", "32x48", "--device", "cpu", "--quick"]


@pytest.mark.slow
def test_a_quick_run_prints_one_document(capsys) -> None:
    assert cli.main(["bench", "--quick", "--json", "--device", "cpu"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"commit", "torch", "device", "processor", "threads", "load"} == document["conditions"].keys()
    (result,) = document["results"]
    assert (result["model"], result["weights"], result["clip"]) == ("dvd-mini", "its own weights", "drawn")
    assert (result["window"], result["size"], result["source_size"]) == (9, [192, 256], [480, 640])
    assert (result["windows"], result["frames"], result["repeats"]) == (2, 14, 1)
    stages = {row["stage"] for row in result["rows"] if row["by"] == "ours"}
    assert stages >= {"decode", "encode", "transformer", "decode latents", "stitch", "write", "end to end"}
    assert all(row["seconds"] > 0 for row in result["rows"])
    assert result["dtype_reason"]


@pytest.mark.slow
def test_a_model_folder_and_a_named_clip_become_one_table(capsys, tmp_path) -> None:
    clip = make_video(tmp_path / "clip.mp4", 15)
    assert cli.main(["bench", *GOLDEN_RUN, "--window", "9", "--overlap", "3", "--clip", str(clip)]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert f"{clip} 48x64" in out
    assert "15 frames in 2 windows of 9, 3 shared" in out
    assert max(len(line) for line in lines[5:]) <= 100
    for stage in ("decode", "encode", "transformer", "decode latents", "stitch", "write", "end to end", "first frame"):
        assert any(line.startswith(f"{stage} ") for line in lines), stage
    assert "x stages side by side in threads against one by one" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "wan-1.3"], "unknown model 'wan-1.3'; did you mean wan-1.3b"),
        (["--model", "./no/such"], "./no/such: no such model folder"),
        (["--repeats", "0"], "repeats is 0 but must be at least 1"),
        ([*GOLDEN_RUN, "--clip", "README.md"], "README.md: not a video"),
        ([*GOLDEN_RUN, "--clip", "absent.mp4"], "absent.mp4"),
        ([*GOLDEN_RUN, "--window", "5", "--overlap", "7"], "overlap is 7 but must be smaller than the window of 5"),
        ([*GOLDEN_RUN, "--window", "0"], "window is 0 but must be at least 2 frames"),
        (["--device", "tpu"], "unknown device 'tpu'"),
    ],
)
def test_a_wrong_option_is_one_line(words: list[str], message: str, capsys, monkeypatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    assert cli.main(["bench", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.slow
def test_a_clip_that_is_too_short_is_named(capsys, tmp_path) -> None:
    clip = make_video(tmp_path / "short.mp4", 6)
    assert cli.main(["bench", *GOLDEN_RUN, "--clip", str(clip)]) == 2
    assert "has 6 frames and a window is 9; name a longer clip" in capsys.readouterr().err


@pytest.mark.slow
def test_a_machine_that_is_too_small_is_refused_before_it_is_filled(capsys, monkeypatch) -> None:
    monkeypatch.setattr("dvd.hardware.available_memory", lambda device: 2 * 10**9)
    monkeypatch.setattr("dvd.evaluation.twins.random_wan", lambda *given: pytest.fail("it was built"))
    assert cli.main(["bench", "--model", "wan-1.3b", "--device", "cpu", "--dtype", "float32"]) == 2
    message = capsys.readouterr().err
    assert "wan-1.3b needs about 12 GB of memory and 2.0 GB are free" in message
    assert "smaller --size" in message


@pytest.mark.parametrize("options", [["--window", "5", "--overlap", "7"], ["--window", "0"], ["--overlap", "9"]])
def test_a_window_or_overlap_out_of_range_is_refused_before_any_weight_is_read(
    options: list[str], capsys, monkeypatch
) -> None:
    monkeypatch.setattr("dvd.backbones.registry.load", lambda *given: pytest.fail("the model was opened"))
    assert cli.main(["bench", *GOLDEN_RUN, *options]) == 2
    assert "window" in capsys.readouterr().err


@pytest.mark.slow
def test_running_out_of_memory_is_one_line(capsys, monkeypatch) -> None:
    def fails(*given: object, **more: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr("dvd.evaluation.speed.measure", fails)
    assert cli.main(["bench", *GOLDEN_RUN]) == 2
    assert "memory ran out while" in capsys.readouterr().err


def test_a_model_that_cannot_be_measured_leaves_the_results_of_the_other(capsys, monkeypatch) -> None:
    from dvd.errors import OptionError

    def measured(name: str, *given: object) -> dict[str, str]:
        if name == "wan-1.3b":
            raise OptionError("too large")
        return {"model": name}

    monkeypatch.setattr(bench, "_measured", measured)
    assert cli.main(["bench", "--json", "--device", "cpu"]) == 2
    out, err = capsys.readouterr()
    assert [result["model"] for result in json.loads(out)["results"]] == ["dvd-mini"]
    assert err == "dvd: too large\n"


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ([], ("dvd-mini", "wan-1.3b")),
        (["--quick"], ("dvd-mini",)),
        (["--quick", "--model", "all"], ("dvd-mini", "wan-1.3b")),
        (["--quick", "--model", "wan-1.3b"], ("wan-1.3b",)),
        (["--model", "mini"], ("dvd-mini",)),
        (["--model", str(GOLDEN)], (str(GOLDEN),)),
    ],
)
def test_a_quick_run_times_the_models_that_are_named(words: list[str], chosen: tuple[str, ...]) -> None:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    assert bench._chosen(parser.parse_args(words)) == chosen
