"""`dvd eval` from end to end: tiny recordings, the labelled real clips, and what a user can get wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from eval_tree import write_recording
from PIL import Image

from .conftest import GOLDEN, Run

LABELLED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "labelled"
TINY = ["--model", GOLDEN, "--size", "32x48", "--window", "5", "--overlap", "2", "--dtype", "float32"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_recording(write_recording(tmp_path / "data", "office", 8), "kitchen", 3)


def results(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


@pytest.mark.slow
def test_a_model_is_measured_and_all_conditions_are_reported(dvd: Run, data: Path, tmp_path: Path) -> None:
    outcome = dvd("eval", f"rgbd={data}", *TINY, "-o", tmp_path / "out")
    assert outcome.status == 0, outcome
    assert len(outcome.errors) == 1, "the scale of this untrained model wanders, which is said once"
    assert "frames 0 to 7: the scale wandered" in outcome.errors[0]
    for word in (
        "wanders from",
        "AbsRel×100",
        "δ1",
        "wander",
        "kitchen",
        "office",
        "window 5",
        "overlap 2",
        "32x48",
        "one per clip",
    ):
        assert word in outcome.out, word
    found = results(tmp_path / "out")
    assert [(one["name"], one["frames"], one["skipped"]) for one in found["sequences"]] == [
        ("kitchen", 3, None),
        ("office", 8, None),
    ]
    assert len(found["sequences"][1]["per_frame"]["abs_rel"]) == 8
    (seam,) = found["sequences"][1]["seams"]
    assert seam["start"] == 3
    assert seam["error_before"] > 0
    assert seam["error_after"] > 0
    stated = found["conditions"]
    assert {
        "commit",
        "model",
        "device",
        "dtype",
        "size",
        "window",
        "overlap",
        "tau",
        "torch",
        "threads",
    } <= stated.keys()
    assert stated["datasets"] == {"rgbd": {"root": str(data), "split": None, "per_metre": None}}
    assert found["protocol"]["name"] == "paper"
    again = dvd("eval", f"rgbd={data}", *TINY, "-o", tmp_path / "out")
    assert again.status == 0
    assert results(tmp_path / "out") == found


@pytest.fixture
def cut_data(tmp_path: Path) -> Path:
    """Six frames of one scene and six of another, which hardly moves."""
    root = write_recording(tmp_path / "cut", "scenes", 12)
    rng = np.random.default_rng(0)
    scenes = [rng.integers(0, 255, (12, 24, 3)).repeat(2, 0).repeat(2, 1).astype(np.uint8) for _ in range(2)]
    for index, path in enumerate(sorted((root / "scenes" / "rgb").iterdir())):
        Image.fromarray(scenes[index // 6][:, index % 6 : index % 6 + 32]).save(path)
    return root


@pytest.mark.slow
def test_the_protocol_stitches_across_cuts_and_reports_it(dvd: Run, cut_data: Path, tmp_path: Path) -> None:
    outcome = dvd("eval", f"rgbd={cut_data}", *TINY, "-o", tmp_path / "out")
    assert outcome.status == 0, outcome
    found = results(tmp_path / "out")
    assert found["protocol"]["stitch"] == found["conditions"]["stitch"]["name"] == "benchmark"
    assert found["conditions"]["stitch_from"] == "the protocol"
    assert found["sequences"][0]["cuts"] == []
    assert [seam["start"] for seam in found["sequences"][0]["seams"]] == [3, 6, 9]
    assert "scene cuts" not in outcome.out


@pytest.mark.slow
def test_cuts_are_recorded_and_shown(dvd: Run, cut_data: Path, tmp_path: Path) -> None:
    outcome = dvd("eval", f"rgbd={cut_data}", *TINY, "--stitch", "default", "-o", tmp_path / "out")
    assert outcome.status == 0, outcome
    found = results(tmp_path / "out")
    assert found["sequences"][0]["cuts"] == [6]
    assert found["conditions"]["stitch"]["name"] == "default"
    assert found["conditions"]["stitch_from"] == "--stitch, in place of the protocol's benchmark"
    assert "scene cuts, where scale and shift begin anew: 6" in outcome.out
    assert "in place of the protocol's benchmark" in outcome.out
    for name in ("tables.txt", "tables.md", "tables.tex", "page.html"):
        assert "scenes at 6" in (tmp_path / "out" / name).read_text(), name
    assert "begin anew at frame 6." in (tmp_path / "out" / "page.html").read_text()


@pytest.mark.slow
def test_runs_that_stitch_differently_can_be_compared(dvd: Run, cut_data: Path, tmp_path: Path) -> None:
    for rule in ("default", "benchmark"):
        given = ("--stitch", rule, "-o", tmp_path / rule)
        assert dvd("eval", f"rgbd={cut_data}", *TINY, *given).status == 0
    outcome = dvd("eval", "--compare", *(tmp_path / rule / "results.json" for rule in ("default", "benchmark")))
    assert outcome.status == 0, outcome
    assert "stitch.name default → benchmark" in outcome.out


@pytest.mark.slow
def test_a_method_without_windows_reports_no_stitching(dvd: Run, data: Path, tmp_path: Path) -> None:
    outcome = dvd("eval", f"rgbd={data}", "--model", "row", "-o", tmp_path / "out")
    assert outcome.status == 0, outcome
    assert not {"stitch", "stitch_from"} & results(tmp_path / "out")["conditions"].keys()
    shown = outcome.out + "".join(path.read_text() for path in (tmp_path / "out").glob("tables.*"))
    assert "stitch" not in shown.replace(str(tmp_path), "")
    refused = dvd("eval", f"rgbd={data}", "--model", "row", "--stitch", "default", "-o", tmp_path / "other")
    assert refused.status == 2
    assert "reads no stitch" in refused.err


@pytest.mark.slow
def test_priors_several_data_sets_and_a_changed_protocol(dvd: Run, data: Path, tmp_path: Path) -> None:
    for stamp in ("1.000000", "1.040000"):
        for kind, image in (("rgb", Image.new("RGB", (32, 24), (9, 9, 9))), ("depth", None)):
            folder = tmp_path / "tum" / "desk" / kind
            folder.mkdir(parents=True, exist_ok=True)
            values = np.repeat((5000 / np.linspace(0.2, 1, 24))[:, None], 32, axis=1).astype(np.uint16)
            (image or Image.fromarray(values)).save(folder / f"{stamp}.png")
    given = ("eval", f"rgbd={data}", f"tum={tmp_path / 'tum'}", "--model", "row", "--frames", "2", "--align", "frame")
    outcome = dvd(*given, "-o", tmp_path / "out")
    assert outcome.status == 0, outcome
    assert "one per frame, the first 2 frames" in outcome.out
    found = results(tmp_path / "out")
    assert [(one["dataset"], one["name"], one["frames"]) for one in found["sequences"]] == [
        ("rgbd", "kitchen", 2),
        ("rgbd", "office", 2),
        ("tum", "desk", 2),
    ]
    assert found["protocol"]["name"] == "paper, frames and scope changed"
    assert found["sequences"][2]["metrics"]["delta1"] == 1, "disparity that grows by rows is what this prior knows"
    refused = dvd(*given, "--fit", "median", "-o", tmp_path / "out")
    assert refused.status == 2
    assert "holds another evaluation" in refused.err


@pytest.mark.slow
def test_several_methods_share_one_table_and_are_compared(dvd: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = dvd("eval", f"rgbd={data}", "--model", "constant", "row", "--frames", "2", "-o", out)
    assert outcome.status == 0, outcome
    files = {"tables.txt", "tables.md", "tables.tex", "tables.csv", "page.html", "constant", "row"}
    assert {path.name for path in out.iterdir()} == files
    page = (out / "page.html").read_text()
    assert page.count("data:image/png") >= 8, "frames of both methods"
    for text in (page, *((out / name).read_text() for name in sorted(files) if name.startswith("tables."))):
        assert "constant" in text
        assert "row" in text
        assert str(data) not in text, "a report names no folder of this machine"
    one, other = (out / name / "results.json" for name in ("constant", "row"))
    difference = results(out / "row")["sequences"][0]["metrics"]["abs_rel"]
    difference -= results(out / "constant")["sequences"][0]["metrics"]["abs_rel"]
    outcome = dvd("eval", "--compare", one, other)
    assert outcome.status == 0, outcome
    assert "row − constant" in outcome.out
    assert f"{100 * difference:+.2f}" in outcome.out
    outcome = dvd("eval", "--report", one, other, "-o", tmp_path / "joined")
    assert outcome.status == 0, outcome
    assert (tmp_path / "joined" / "page.html").read_text() == page
    assert (tmp_path / "joined" / "tables.csv").read_text() == (out / "tables.csv").read_text()


def test_the_sequences_are_written_for_other_tools(dvd: Run, data: Path, tmp_path: Path) -> None:
    outcome = dvd("eval", f"rgbd={data}", "--write-inputs", tmp_path / "inputs", "--frames", "2")
    assert outcome.status == 0, outcome
    for name in ("kitchen", "office"):
        path = tmp_path / "inputs" / "rgbd" / f"{name}.mp4"
        assert str(path) in outcome.out
        with av.open(str(path)) as container:
            assert len(list(container.decode(video=0))) == 2


@pytest.mark.slow
def test_kept_predictions_measure_the_same(dvd: Run, data: Path, tmp_path: Path) -> None:
    assert dvd("eval", f"rgbd={data}", *TINY, "-o", tmp_path / "a", "--keep-predictions").status == 0
    saved = f"saved:{tmp_path / 'a' / 'predictions'}"
    outcome = dvd("eval", f"rgbd={data}", "--model", saved, "--predicted", "disparity", "-o", tmp_path / "b")
    assert outcome.status == 0, outcome
    one, other = ([each["metrics"] for each in results(tmp_path / name)["sequences"]] for name in ("a", "b"))
    for measured in one:  # A file knows nothing of seams.
        measured.pop("seam_error_before", None), measured.pop("seam_error_after", None)
    assert one == other


@pytest.mark.slow
def test_sequences_that_cannot_be_measured_are_reported(dvd: Run, tmp_path: Path) -> None:
    data = write_recording(tmp_path / "data", "office", 3, empty=(1,))
    outcome = dvd("eval", f"rgbd={data}", "--model", "row", "-o", tmp_path / "out")
    assert outcome.status == 2
    assert "frame 00001 has no pixel of known depth" in outcome.err.splitlines()[-1]
    assert "skipped" in outcome.out
    write_recording(data, "kitchen", 2)
    outcome = dvd("eval", f"rgbd={data}", "--model", "row", "-o", tmp_path / "both")
    assert outcome.status == 0, "one of them can be"
    outcome = dvd("eval", f"rgbd={data}", "--model", "row", "--per-metre", "1", "-o", tmp_path / "units")
    assert outcome.status == 2
    assert "is it stored in 1000 units a metre, not 1?" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which data set?"),
        (["DATA"], "is not NAME=ROOT"),
        (["rgb=DATA"], "unknown data set 'rgb'; did you mean rgbd"),
        (["rgbd=DATA/nowhere"], "does not exist"),
        (["rgbd=DATA", "rgbd=DATA"], "given twice"),
        (["rgbd=DATA", "--model", "rows"], "unknown method or model 'rows'; did you mean row"),
        (["rgbd=DATA", "--protocol", "papr"], "did you mean paper"),
        (["rgbd=DATA", "--model", "row", "--window", "9"], "reads no window"),
        (
            ["rgbd=DATA", "--model", "row", "constant", "--window", "9"],
            "none of the methods row, constant reads a window",
        ),
        (["rgbd=DATA", "--model", "row", "row"], "named twice"),
        (["rgbd=DATA", "--model", "row", "constnt"], "did you mean constant"),
        (["--compare", "DATA/a.json", "DATA/b.json"], "name a results.json"),
        (["--report", "DATA/a.json"], "name a results.json"),
        (["--write-inputs", "DATA"], "which data set?"),
        (["rgbd=DATA", "--model", "saved:DATA"], "disparity or depth"),
        (["rgbd=DATA", "--model", "saved:DATA/none", "--predicted", "depth"], "no such file"),
        (["rgbd=DATA", "--model", "row", "--frames", "0"], "nothing to measure"),
        (["rgbd=DATA", "--model", "row", "--range", "5", "1"], "range 5 … 1 m is empty"),
        (["rgbd=DATA", "--model", "row", "--split", "val"], "has no splits"),
        (["rgbd=DATA", "--tau", "3"], "tau is 3"),
        (["--model", "row", "rgbd=DATA"], "name the data sets before it"),
        (["rgbd=DATA", "--model", "row", "--metric", "delta1"], "--metric belongs to --compare"),
        (["rgbd=DATA", "--compare", "a.json", "b.json"], "--compare reads no data set"),
        (["--compare", "a.json", "b.json", "--frames", "3"], "--compare reads no --frames"),
        (["--report", "a.json", "--model", "row"], "--report reads no --model"),
        (["--list", "--keep-predictions"], "--list reads no --keep-predictions"),
        (["rgbd=DATA", "--write-inputs", "DATA", "--align-in", "depth"], "--write-inputs reads no --align-in"),
    ],
)
def test_bad_input_is_one_line(dvd: Run, data: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    given = [argument.replace("DATA", str(data)) for argument in arguments]
    writes = not {"--compare", "--list", "--write-inputs"} & set(given)
    outcome = dvd("eval", *given, *(["-o", tmp_path / "out"] if writes else []))
    assert outcome.status == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_one_method_that_fails_does_not_stop_the_others(dvd: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    saved, out = f"saved:{tmp_path / 'saved'}", tmp_path / "out"
    outcome = dvd("eval", f"rgbd={data}", "--model", "row", saved, "constant", "--predicted", "depth", "-o", out)
    assert outcome.status == 2
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"dvd: {saved}: ")
    assert "has no prediction of 'kitchen'" in line
    assert "measured" in outcome.out
    table = (out / "tables.txt").read_text()
    assert "row" in table
    assert "constant" in table
    outcome = dvd("eval", f"rgbd={data}", "--model", saved, f"{saved}/", "--predicted", "depth", "-o", tmp_path / "no")
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 2
    assert not (tmp_path / "no" / "page.html").exists()


@pytest.mark.slow
def test_a_report_says_what_its_numbers_are_and_which_cannot_be_compared(dvd: Run, data: Path, tmp_path: Path) -> None:
    files = []
    for scope in ("clip", "frame"):
        out = tmp_path / scope
        assert dvd("eval", f"rgbd={data}", "--model", "row", "--align", scope, "-o", out).status == 0
        files.append(out / "results.json")
    outcome = dvd("eval", "--report", *files, "-o", tmp_path / "joined")
    assert outcome.status == 0, outcome
    for said in ("Units: AbsRel × 100", "row (2)", "must not be compared", "scope frame"):
        assert said in outcome.out, said
    page = (tmp_path / "joined" / "page.html").read_text()
    assert "office, frame" in page
    assert ", row (2) <" in page, "a picture says which of the two it is of"


@pytest.mark.slow
def test_forms_and_sizes_of_saved_predictions_are_stated(dvd: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "saved" / "kitchen").mkdir(parents=True)
    draws = np.random.default_rng(0)
    np.savez(tmp_path / "saved" / "office.npz", draws.uniform(1, 2, (8, 12, 16)))
    for number in range(3):
        np.save(tmp_path / "saved" / "kitchen" / f"{number}.npy", draws.uniform(1, 2, (24, 32)))
    given = ("eval", f"rgbd={data}", "--model", f"saved:{tmp_path / 'saved'}", "--predicted", "disparity")
    outcome = dvd(*given, "-o", tmp_path / "out")
    assert outcome.status == 0, outcome
    assert "forms npy folder and npz, bits 32, resized 12x16 -> 24x32 bilinear\n" in outcome.out


def test_a_damaged_file_stops_the_run_and_is_named(dvd: Run, data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "office" / "rgb" / "00000.png", data / "office" / "depth" / "00003.png")
    outcome = dvd("eval", f"rgbd={data}", "--model", "row", "-o", tmp_path / "out")
    assert outcome.status == 2
    assert "00003.png" in outcome.err
    assert [one["name"] for one in results(tmp_path / "out")["sequences"]] == ["kitchen"]


def test_list_names_everything(dvd: Run) -> None:
    outcome = dvd("eval", "--list")
    assert outcome.status == 0
    for name in ("kitti", "scannet", "video-depth-anything", "release-image", "row", "saved:PATH", "dvd-mini"):
        assert name in outcome.out, name


@pytest.mark.slow
@pytest.mark.skipif(not LABELLED.is_dir(), reason="../shared/data/labelled is not here")
def test_the_labelled_clips(dvd: Run, tmp_path: Path) -> None:
    """The first frames of real recordings: the model is better than the row, the row than a constant, on average."""
    clips = [f"rgbd={LABELLED}", f"tartanair={LABELLED / 'tartanair_indoor'}"]
    absrel = {}
    for model in ("dvd-mini", "row", "constant"):
        options = ["--size", "96x128", "--dtype", "float32"] if model == "dvd-mini" else []
        out = tmp_path / model
        outcome = dvd("eval", *clips, "--model", model, "--frames", "3", "--range", "0.1", "10", *options, "-o", out)
        assert outcome.status == 0, outcome
        found = results(out)["sequences"]
        assert [one["skipped"] for one in found] == [None] * 6
        absrel[model] = np.mean([one["metrics"]["abs_rel"] for one in found])
        posed = {one["name"] for one in found if "temporal_alignment_error" in one["metrics"]}
        assert posed == {"office_walk"}
    assert absrel["dvd-mini"] < absrel["row"] < absrel["constant"]


def test_the_terminal_shows_only_metrics_that_exist() -> None:
    from dvd.apps import report
    from dvd.evaluation import protocol

    assert set(report.SHOWN) <= {*protocol.METRICS, "abs_rel_per_frame", "wander"}
