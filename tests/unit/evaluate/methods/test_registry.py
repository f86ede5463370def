"""Methods by name: what each reads, what is refused, and what they are called."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from eval_tree import SIZE, write_recording

from dvd.errors import InputError, ModelError, OptionError
from dvd.evaluate.benchmark import chosen, evaluate
from dvd.evaluate.methods.ours import SingleImage
from dvd.evaluate.methods.registry import METHODS, OURS, MethodOptions, open_method, options_of_each, usage
from dvd.evaluate.protocol import Protocol
from dvd.evaluate.sequences import open_sequences
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
def test_a_method_that_cannot_be_meant_is_refused(text: str, options: MethodOptions, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        open_method(text, options)


def test_every_method_has_a_line_of_its_own() -> None:
    assert {"constant", "row", "saved", "depth-anything-v2", "marigold", "single-image"} <= METHODS.keys()
    assert (usage("saved"), usage("marigold"), usage("row")) == ("saved:PATH", "marigold[:MODEL]", "row")
    assert len({entry.summary for entry in METHODS.values()}) == len(METHODS)


def test_every_option_is_read_by_some_method_and_no_other_is_named() -> None:
    read = {name for entry in (*METHODS.values(), OURS) for name in entry.takes}
    assert read | {"device", "dtype", "name"} == {field.name for field in fields(MethodOptions)}


def test_any_method_is_called_as_it_is_told(tmp_path: Path) -> None:
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


def test_single_images_are_the_model_on_every_frame_alone(tmp_path: Path) -> None:
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


def test_single_images_are_measured(tmp_path: Path) -> None:
    """A discriminative baseline, trained on images alone or not, is measured as any other method."""
    data = open_sequences("rgbd", write_recording(tmp_path / "data", frames=2))
    found = evaluate(open_method(f"single-image:{GOLDEN}", SMALL), data, ABS_REL, tmp_path / "out")
    assert np.isfinite(found.sequences[0].metrics["abs_rel"])
    assert found.conditions["kind"] == "single images"


def test_predictions_of_the_whole_are_measured_on_its_first_frames(tmp_path: Path) -> None:
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
