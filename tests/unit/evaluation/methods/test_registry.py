"""Methods by name: what each reads, what is refused, and what they are called."""

import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from eval_tree import SIZE, write_recording

from dvd.errors import InputError, ModelError, OptionError
from dvd.evaluation.benchmark import chosen, evaluate
from dvd.evaluation.methods.base import MethodEntry, MethodOptions
from dvd.evaluation.methods.ours import SingleImage
from dvd.evaluation.methods.registry import METHODS, OURS, open_method, options_of_each, register_method, usage
from dvd.evaluation.protocol import Protocol
from dvd.evaluation.sequences import EvalSequence, open_sequences
from dvd.pipeline import load

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
ABS_REL = Protocol("p", metrics=("abs_rel",))
SMALL = MethodOptions(device="cpu", dtype="float32", size=(16, 16))


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("constnt", MethodOptions(), "unknown method or model 'constnt'; did you mean constant"),
        ("dvd-mni", MethodOptions(), "did you mean dvd-mini"),
        ("row:3", MethodOptions(), "written row"),
        ("saved", MethodOptions(), "written saved:PATH"),
        ("saved:there", MethodOptions(), "disparity or depth"),
        ("row", MethodOptions(window=9), "reads no window"),
        ("saved:there", MethodOptions(space="depth", tau=0.5), "reads no tau"),
        (str(GOLDEN), MethodOptions(space="depth"), "reads no space"),
        (str(GOLDEN), MethodOptions(steps=4), "predicts in one pass and reads no steps"),
        ("single-image:dvd-mini", MethodOptions(seed=1), "predicts in one pass and reads no seed"),
        ("single-image", MethodOptions(window=9), "reads no window"),
        ("depth-anything-v2", MethodOptions(steps=4), "reads no steps"),
        ("depth-anything-v2", MethodOptions(window=5), "reads no window"),
        ("marigold", MethodOptions(tau=0.5), "reads no tau"),
        ("constant", MethodOptions(size=(16, 16)), "reads no size"),
    ],
)
def test_a_misstated_method_is_refused(text: str, options: MethodOptions, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        open_method(text, options)


def test_every_method_has_its_own_summary() -> None:
    assert {"constant", "row", "saved", "depth-anything-v2", "marigold", "single-image"} <= set(METHODS)
    assert (usage("saved"), usage("marigold"), usage("row")) == ("saved:PATH", "marigold[:MODEL]", "row")
    assert len({entry.summary for entry in METHODS.loaded().values()}) == len(METHODS)


def test_every_option_is_read_by_some_method() -> None:
    read = {name for entry in (*METHODS.loaded().values(), OURS) for name in entry.takes}
    assert read | {"device", "dtype", "name"} == {field.name for field in fields(MethodOptions)}


class Mean:
    """A method of another package: the mean of every frame, times a factor."""

    space = "disparity"

    def __init__(self, factor: float, seed: int) -> None:
        self.name, self.factor, self.seed = "mean", factor, seed

    def describe(self) -> dict[str, object]:
        return {"kind": "toy", "factor": self.factor, "seed": self.seed}

    def predict(self, sequence: EvalSequence) -> Iterator[np.ndarray]:
        for frame in sequence.frames():
            yield np.full((1, *sequence.size), frame.rgb.mean() * self.factor, np.float32)


TOY = MethodEntry("a toy", lambda text, options: Mean(float(text), options.seed or 0), ("seed",), "FACTOR", needed=True)


@pytest.fixture(params=["register_method", "entry point"])
def toy(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A method that a program registers, or that an installed package brings."""
    monkeypatch.setattr(METHODS, "_things", dict(METHODS._things))
    if request.param == "register_method":
        register_method("toy", TOY)
        return "toy"
    home = tmp_path / "toys-1.0.dist-info"
    home.mkdir()
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (home / "entry_points.txt").write_text("[dvd.methods]\npacked = packed_toy:TOY\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "packed_toy", SimpleNamespace(TOY=TOY))
    monkeypatch.setattr(METHODS, "_searched", False)
    return "packed"


def test_a_method_from_outside_the_package_is_evaluated(toy: str, tmp_path: Path) -> None:
    data = open_sequences("rgbd", write_recording(tmp_path / "data"))
    results = evaluate(open_method(f"{toy}:2", MethodOptions(seed=3)), data, ABS_REL, tmp_path / "out")
    assert np.isfinite(results.sequences[0].metrics["abs_rel"])
    assert {"kind": "toy", "factor": 2, "seed": 3}.items() <= results.conditions.items()
    with pytest.raises(OptionError, match=f"method '{toy}:2' reads no tau"):
        open_method(f"{toy}:2", MethodOptions(tau=0.5))
    with pytest.raises(OptionError, match=f"is written {toy}:FACTOR"):
        open_method(toy)


@pytest.mark.slow
def test_every_method_can_be_given_a_name(tmp_path: Path) -> None:
    """A prior still predicts what it is, and the results carry the name that the tables print."""
    data = open_sequences("rgbd", write_recording(tmp_path / "data"))
    plain = evaluate(open_method("row"), data, ABS_REL, tmp_path / "row")
    named = evaluate(open_method("row", MethodOptions(name="our floor")), data, ABS_REL, tmp_path / "named")
    assert (plain.method, named.method) == ("row", "our floor")
    assert plain.sequences[0].metrics == named.sequences[0].metrics
    for text in (str(GOLDEN), f"single-image:{GOLDEN}"):
        assert open_method(text, MethodOptions(device="cpu", name="DVD")).name == "DVD"
    assert options_of_each(["row"], MethodOptions(name="floor"))["row"].name == "floor"
    with pytest.raises(OptionError, match="2 methods cannot all be called 'DVD'"):
        options_of_each(["row", "constant"], MethodOptions(name="DVD"))


@pytest.mark.slow
def test_single_images_equal_the_model_on_every_frame_alone(tmp_path: Path) -> None:
    sequence = open_sequences("rgbd", write_recording(tmp_path, frames=3))[0]
    method = open_method(f"single-image:{GOLDEN}", SMALL)
    assert isinstance(method, SingleImage)
    values = np.concatenate(list(method.predict(sequence)))
    assert values.shape == (3, *SIZE)
    pipeline = load(GOLDEN, "cpu", "float32")
    for value, frame in zip(values, sequence.frames(), strict=True):
        np.testing.assert_array_equal(value, pipeline.predict([frame.rgb], size=(16, 16))[0])
    assert method.name == f"{pipeline.card.name}, single images"
    assert {"kind": "single images", "size": [16, 16], "window": 1, "tau": 0.5}.items() <= method.describe().items()
    with pytest.raises(ModelError, match="no such model folder"):
        open_method("single-image:no/such/model", SMALL)


def test_single_images_are_evaluated(tmp_path: Path) -> None:
    """A discriminative baseline, trained on images alone or not, is measured as any other method."""
    data = open_sequences("rgbd", write_recording(tmp_path / "data", frames=2))
    found = evaluate(open_method(f"single-image:{GOLDEN}", SMALL), data, ABS_REL, tmp_path / "out")
    assert np.isfinite(found.sequences[0].metrics["abs_rel"])
    assert found.conditions["kind"] == "single images"


def test_predictions_of_a_whole_sequence_are_evaluated_on_its_first_frames(tmp_path: Path) -> None:
    data = open_sequences("rgbd", write_recording(tmp_path / "data", frames=5))
    first = Protocol("p", metrics=("abs_rel",), frames=3)
    [cut] = chosen(data, first)
    depth = np.stack([np.nan_to_num(frame.depth_m, nan=1.0) for frame in data[0].frames()])
    options = MethodOptions(space="depth", name="VDA", note="all five frames")
    for name, frames in {"whole": depth, "first": depth[:3]}.items():
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "office.npy", frames)
        method = open_method(f"saved:{tmp_path / name}", options)
        np.testing.assert_array_equal(np.concatenate(list(method.predict(cut))), depth[:3])
        found = evaluate(method, data, first, tmp_path / f"{name} out")
        assert (found.method, found.sequences[0].frames) == ("VDA", 3)
        assert found.sequences[0].metrics["abs_rel"] < 1e-5
    np.save(tmp_path / "whole" / "office.npy", depth[:4])
    with pytest.raises(InputError, match=r"office\.npy holds 4 frames .* 5, of which the first 3 are evaluated"):
        evaluate(open_method(f"saved:{tmp_path / 'whole'}", options), data, first, tmp_path / "neither")
