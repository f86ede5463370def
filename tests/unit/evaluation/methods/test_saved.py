"""Saved predictions are read value by value in every form; those that do not fit are refused."""

import argparse
import re
import shlex
import tracemalloc
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from dvd.apps import evaluate
from dvd.backbones import registry as models
from dvd.data.layouts import LAYOUTS
from dvd.errors import InputError, OptionError
from dvd.evaluation.methods.marigold import Marigold
from dvd.evaluation.methods.registry import METHODS
from dvd.evaluation.methods.saved import SavedPredictions
from dvd.evaluation.methods.saved_forms import Archive
from dvd.evaluation.protocol import PROTOCOLS
from dvd.evaluation.report import published

T, H, W = 5, 24, 32
VALUES = np.random.default_rng(0).random((T, H, W), np.float32) + np.float32(0.1)


DOCS = Path(__file__).resolve().parents[4] / "docs"
PAGES = [(DOCS / name).read_text().replace("\\\n", " ") for name in ("compare.md", "evaluation.md")]
DOCUMENTED = [line for page in PAGES for line in re.findall(r"^ *(dvd eval .+?) *(?:#.*)?$", page, re.MULTILINE)]


def sequence(name: str = "balloon", count: int = T, size: tuple[int, int] = (H, W)) -> SimpleNamespace:
    return SimpleNamespace(name=name, dataset="bonn", count=count, size=size)


def predicted(method: SavedPredictions, **changed: object) -> np.ndarray:
    chunks = list(method.predict(sequence(**changed)))
    assert all(chunk.dtype == np.float32 for chunk in chunks)
    return np.concatenate(chunks)


def save_exr(path: Path, frame: np.ndarray, channel: str = "Z") -> None:
    openexr = pytest.importorskip("OpenEXR", reason="exr needs the OpenEXR library")
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    openexr.File(header, {channel: np.ascontiguousarray(frame)}).write(str(path))


def save_video(path: Path, levels: np.ndarray, codec: str = "ffv1", pixels: str = "gray") -> None:
    """Levels `T H W` or `T H W 3` uint8."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25))
        stream.height, stream.width, stream.pix_fmt = *levels.shape[1:3], pixels
        for level in levels:
            frame = av.VideoFrame.from_ndarray(level, format="gray" if level.ndim == 2 else "rgb24")
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("key", ["depths", "depth", "disparity", "arr_0", "whatever"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives(save, key: str, tmp_path: Path) -> None:
    save(tmp_path / "balloon.npz", **{key: VALUES, "fps": np.array(25)})
    np.testing.assert_array_equal(predicted(SavedPredictions(tmp_path, "disparity")), VALUES)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (VALUES.astype(np.float16), VALUES.astype(np.float16)),
        (VALUES.astype(">f8"), VALUES),
        ((VALUES * 1000).astype(np.uint16), (VALUES * 1000).astype(np.uint16)),
        (VALUES[:, None], VALUES),
        (VALUES[..., None], VALUES),
        (VALUES[None], VALUES),
    ],
    ids=["float16", "big-endian", "uint16", "channel-first", "channel-last", "batch-of-one"],
)
@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_arrays_of_any_type_and_with_an_extra_axis(ending: str, stored, expected, tmp_path: Path) -> None:
    if ending == "npy":
        np.save(tmp_path / "balloon.npy", stored)
    else:
        np.savez(tmp_path / "balloon.npz", depth=stored)
    np.testing.assert_array_equal(predicted(SavedPredictions(tmp_path, "depth")), expected.astype(np.float32))


def test_one_image_needs_no_frame_axis(tmp_path: Path) -> None:
    (tmp_path / "kitchen").mkdir()
    np.save(tmp_path / "kitchen" / "00003.npy", VALUES[0])
    found = predicted(SavedPredictions(tmp_path, "disparity"), name="kitchen/00003", count=1)
    np.testing.assert_array_equal(found, VALUES[:1])


def test_folder_of_16_bit_png_in_natural_order(tmp_path: Path) -> None:
    levels = (VALUES * 50000).astype(np.uint16)
    (tmp_path / "balloon").mkdir()
    for number, frame in zip((1, 2, 9, 10, 11), levels, strict=True):
        Image.fromarray(frame).save(tmp_path / "balloon" / f"frame{number}.png")
    method = SavedPredictions(tmp_path, "disparity")
    np.testing.assert_array_equal(predicted(method), levels.astype(np.float32))
    assert (method.describe()["forms"], method.describe()["bits"]) == (["16-bit png folder"], 16)


def test_8_bit_png_are_refused(tmp_path: Path) -> None:
    (tmp_path / "balloon").mkdir()
    for number in range(T):
        Image.new("L", (W, H)).save(tmp_path / "balloon" / f"{number}.png")
    with pytest.raises(InputError, match=r"0\.png: is L, not 16-bit gray"):
        predicted(SavedPredictions(tmp_path, "disparity"))


def test_folder_of_exr_as_video_depth_anything_writes_it(tmp_path: Path) -> None:
    for number, frame in enumerate(VALUES):
        save_exr(tmp_path / "balloon_depths_exr" / f"frame_{number:05d}.exr", frame)
    np.testing.assert_array_equal(predicted(SavedPredictions(tmp_path, "disparity")), VALUES)


@pytest.mark.parametrize("gray", [True, False], ids=["gray", "three-channels"])
def test_gray_video_has_8_bits(gray: bool, tmp_path: Path) -> None:
    levels = (VALUES * 200).astype(np.uint8)
    stored = levels if gray else np.repeat(levels[..., None], 3, axis=-1)
    save_video(tmp_path / "balloon_depth.mkv", stored, pixels="gray" if gray else "bgr0")
    method = SavedPredictions(tmp_path, "disparity")
    np.testing.assert_array_equal(predicted(method), levels.astype(np.float32))
    assert method.describe()["bits"] == 8
    assert "8 bits" in method.describe()["limit"]


def test_colour_mapped_video_is_refused(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 255, (T, H, W, 3)).astype(np.uint8)
    save_video(tmp_path / "balloon.mp4", colours, "libx264", "yuv444p")
    with pytest.raises(InputError, match=r"balloon\.mp4: is in colour, and depth cannot be recovered"):
        predicted(SavedPredictions(tmp_path, "disparity"))


@pytest.mark.parametrize(("count", "holds"), [(T - 1, T), (T + 1, T)])
@pytest.mark.parametrize("form", ["npz", "video"])
def test_another_frame_count_is_refused_with_both_numbers(form: str, count: int, holds: int, tmp_path: Path) -> None:
    if form == "npz":
        np.savez(tmp_path / "balloon.npz", VALUES)
    else:
        save_video(tmp_path / "balloon.mkv", (VALUES * 200).astype(np.uint8))
    with pytest.raises(
        InputError, match=rf"balloon\.\w+ holds {holds} frames and the sequence 'balloon' of bonn {count}"
    ):
        predicted(SavedPredictions(tmp_path, "disparity"), count=count)


@pytest.mark.parametrize("form", ["npz", "video"])
def test_predictions_of_the_whole_of_a_shortened_sequence_are_read(form: str, tmp_path: Path) -> None:
    levels = (VALUES * 200).astype(np.uint8)
    if form == "npz":
        np.savez(tmp_path / "balloon.npz", levels)
    else:
        save_video(tmp_path / "balloon.mkv", levels)
    cut = sequence(count=2)
    cut.whole = sequence(count=T)
    found = np.concatenate(list(SavedPredictions(tmp_path, "disparity").predict(cut)))
    np.testing.assert_array_equal(found, levels[:2])
    cut.whole = sequence(count=T + 1)
    with pytest.raises(InputError, match=r"holds 5 frames .* 'balloon' of bonn 6, of which the first 2 are evaluated"):
        list(SavedPredictions(tmp_path, "disparity").predict(cut))


def test_another_size_is_resized_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ramp = np.broadcast_to(np.arange(W, dtype=np.float32), (T, H, W))
    np.save(tmp_path / "balloon.npy", ramp)
    method = SavedPredictions(tmp_path, "disparity")
    larger = predicted(method, size=(2 * H, 2 * W))
    assert larger.shape == (T, 2 * H, 2 * W)
    # Half-pixel centres: column i of the result lies at (i + 0.5) / 2 - 0.5 of the source.
    np.testing.assert_allclose(larger[0, 0, 1:-1], np.arange(1, 2 * W - 1) / 2 - 0.25, atol=1e-5)
    assert method.describe()["resized"] == {"24x32 -> 48x64": "bilinear"}
    assert not caplog.records
    predicted(method, size=(2 * H, 2 * W))
    assert len(method.describe()["resized"]) == 1, "thousands of images of one size are one line"
    predicted(SavedPredictions(tmp_path, "disparity"), size=(H, 2 * W))
    assert "of another shape" in caplog.text


def test_offset_is_added_to_every_value(tmp_path: Path) -> None:
    np.save(tmp_path / "balloon_pred.npy", VALUES - 1)
    found = predicted(SavedPredictions(tmp_path, "disparity", offset=1.0))
    np.testing.assert_allclose(found, VALUES, atol=1e-6)


@pytest.mark.parametrize(
    "place",
    ["bonn/scene/left.npy", "scene/left.npy", "scene_left.npy", "bonn/scene_left_depth.npy", "scene/left_pred.npy"],
)
def test_names_with_folders(place: str, tmp_path: Path) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, VALUES)
    assert SavedPredictions(tmp_path, "disparity").find(sequence("scene/left")) == path


def test_a_single_file_must_be_named_after_the_sequence(tmp_path: Path) -> None:
    np.save(tmp_path / "balloon_pred.npy", VALUES)
    method = SavedPredictions(tmp_path / "balloon_pred.npy", "disparity", name="RollingDepth")
    np.testing.assert_array_equal(predicted(method), VALUES)
    with pytest.raises(InputError, match=r"not named after the sequence 'crowd'; call it crowd\.npy"):
        predicted(method, name="crowd")


def test_the_most_exact_of_several_forms_is_taken(tmp_path: Path) -> None:
    save_video(tmp_path / "balloon_depth.mkv", (VALUES * 200).astype(np.uint8))
    np.savez(tmp_path / "balloon.npz", depth=VALUES)
    method = SavedPredictions(tmp_path, "disparity")
    np.testing.assert_array_equal(predicted(method), VALUES)
    np.savez(tmp_path / "balloon_depths.npz", depths=VALUES)
    with pytest.raises(InputError, match="both are predictions of 'balloon'; leave only one"):
        predicted(method)


def test_a_missing_prediction_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    np.save(tmp_path / "baloon.npy", VALUES)
    with pytest.raises(InputError, match="no prediction of 'balloon'; did you mean baloon"):
        predicted(SavedPredictions(tmp_path, "disparity"))


def test_ambiguous_keys_are_listed(tmp_path: Path) -> None:
    np.savez(tmp_path / "balloon.npz", depth=VALUES, disparity=1 / VALUES, pts=np.arange(T))
    with pytest.raises(InputError, match=r"name its key\. It holds depth \(5, 24, 32\), disparity \(5, 24, 32\), pts"):
        predicted(SavedPredictions(tmp_path, "depth"))
    np.testing.assert_array_equal(predicted(SavedPredictions(tmp_path, "depth", key="depth")), VALUES)
    with pytest.raises(InputError, match="has no 'depths'; it holds depth"):
        predicted(SavedPredictions(tmp_path, "depth", key="depths"))


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (np.zeros((T, H, W, 3), np.float32), r"has shape \(5, 24, 32, 3\); predictions are frames"),
        (np.zeros((T, H, W), bool), "is of type bool"),
        (np.asfortranarray(VALUES), "is stored column by column"),
    ],
    ids=["colour", "bool", "fortran"],
)
def test_arrays_of_no_depth_are_refused(stored: np.ndarray, why: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "balloon.npz", depth=stored)
    with pytest.raises(InputError, match=why):
        predicted(SavedPredictions(tmp_path, "depth"))


@pytest.mark.parametrize("ending", ["npz", "npy", "mp4"])
def test_damaged_files_are_named(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"balloon.{ending}"
    path.write_bytes(b"no such thing")
    with pytest.raises(InputError, match=rf"balloon\.{ending}"):
        predicted(SavedPredictions(tmp_path, "depth"))


def test_a_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "balloon.npy"
    np.save(path, VALUES)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"balloon\.npy: cannot be read"):
        predicted(SavedPredictions(tmp_path, "depth"))


def test_frames_of_several_sizes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "balloon").mkdir()
    for number in range(T):
        np.save(tmp_path / "balloon" / f"{number}.npy", VALUES[number, : H - (number == 3)])
    with pytest.raises(InputError, match=r"frames of \(24, 32\) and of \(23, 32\)"):
        predicted(SavedPredictions(tmp_path, "depth"))


def test_invalid_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="unknown space of predictions 'dispartiy'; did you mean disparity"):
        SavedPredictions(tmp_path, "dispartiy")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such file or folder of predictions"):
        SavedPredictions(tmp_path / "nowhere", "disparity")


@pytest.mark.slow
def test_a_long_archive_is_never_in_memory_at_once(tmp_path: Path) -> None:
    """300 frames are 59 MB; one frame is 0.2 MB."""
    frame = np.zeros((192, 256), np.float32)
    np.savez_compressed(tmp_path / "balloon.npz", depths=np.broadcast_to(frame, (300, *frame.shape)))
    frames = Archive(tmp_path / "balloon.npz").frames()
    tracemalloc.start()
    count = sum(1 for _ in frames)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 300
    assert peak < 10 * frame.nbytes


@pytest.mark.parametrize("line", DOCUMENTED)
def test_documented_commands_name_known_methods(line: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    evaluate.add_arguments(parser)
    asked = parser.parse_args(shlex.split(line)[2:])
    names = {model.partition(":")[0] for model in asked.model}
    assert all(name in (*METHODS, *models.names()) or "/" in name for name in names)
    assert (asked.predicted is not None) == (names == {"saved"})
    assert asked.protocol in PROTOCOLS
    for text in asked.datasets:
        assert text.partition("=")[0] in LAYOUTS


def test_every_row_of_the_papers_tables_is_documented() -> None:
    """Each method by the name under which its published numbers stand, and each data set of each table."""
    words = [shlex.split(line) for line in DOCUMENTED]
    named = {line[line.index("--name") + 1] for line in words if "--name" in line}
    assert {row.method for row in published.load()} <= named | {Marigold.name}
    measured = {word.partition("=")[0] for line in words for word in line if "=data/" in word}
    assert {row.dataset for row in published.load()} <= measured
