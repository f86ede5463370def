"""Videos for other people's code hold the frames that are evaluated."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from eval_tree import write_recording

from dvd.errors import OutputError
from dvd.evaluation.benchmark import chosen
from dvd.evaluation.inputs import Written, write_inputs
from dvd.evaluation.methods.saved import SavedPredictions
from dvd.evaluation.protocol import Protocol
from dvd.evaluation.sequences import open_sequences
from dvd.video import open_video


class Scene:
    name, dataset, size, fps, count = "alley_1/final", "sintel", (37, 51), 24, 7

    def frames(self) -> Iterator[SimpleNamespace]:
        rng = np.random.default_rng(0)
        return (SimpleNamespace(rgb=rng.integers(0, 256, (*self.size, 3)).astype(np.uint8)) for _ in range(self.count))


def test_the_video_holds_every_evaluated_frame(tmp_path: Path) -> None:
    """Noise in all channels is the worst case for 8-bit YCbCr; subsampled chroma would be off by some 60 levels."""
    [written] = write_inputs([Scene()], tmp_path)
    path = written.path
    assert path == tmp_path / "sintel" / "alley_1_final.mp4"
    with open_video(path) as video:
        assert video.info.frame_rate == 24
        read = [frame.rgb.astype(int) for frame in video]
    shown = [frame.rgb.astype(int) for frame in Scene().frames()]
    assert len(read) == len(shown)
    assert max(np.abs(a - b).max() for a, b in zip(read, shown, strict=True)) <= 4
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert (written.dataset, written.sequence, written.frames) == ("sintel", "alley_1/final", len(read))
    assert str(written) == f"{path}: 7 frames of 37x51, 24 a second"


def test_predictions_made_from_the_videos_are_found(tmp_path: Path) -> None:
    """A method appends to the video's name; the sequence's own name still leads there."""
    [written] = write_inputs([Scene()], tmp_path / "inputs")
    made = tmp_path / "made" / "sintel" / f"{written.path.stem}_depths.npz"
    made.parent.mkdir(parents=True)
    np.savez(made, depths=np.ones((Scene.count, *Scene.size), np.float32))
    method = SavedPredictions(tmp_path / "made", "disparity")
    assert method.find(Scene()) == made
    assert sum(len(chunk) for chunk in method.predict(Scene())) == Scene.count


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"alley_1_final\.mp4: its folder cannot be made"):
        write_inputs([Scene()], tmp_path / "file")


class Other(Scene):
    name = "alley_1_final"


class Dark(Scene):
    name = "cave_2/final"


def test_existing_files_are_not_overwritten(tmp_path: Path) -> None:
    """Told before anything is written: not even the files that are missing."""
    told: list[Written] = []
    [written] = write_inputs([Scene()], tmp_path, told.append)
    assert told == [written]
    before = written.path.read_bytes()
    with pytest.raises(OutputError, match=r"alley_1_final\.mp4 exists already, one of 1 such files; remove"):
        write_inputs([Scene(), Dark()], tmp_path)
    assert written.path.read_bytes() == before
    assert [entry.name for entry in written.path.parent.iterdir()] == [written.path.name]


def test_two_sequences_that_would_share_a_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="alley_1/final and alley_1_final would both be written there"):
        write_inputs([Scene(), Other()], tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_the_chosen_frames_are_written(tmp_path: Path) -> None:
    sequences = open_sequences("rgbd", write_recording(tmp_path / "data", frames=5))
    [written] = write_inputs(chosen(sequences, replace(Protocol("p"), frames=3)), tmp_path / "inputs")
    with open_video(written.path) as video:
        assert sum(1 for _ in video) == 3 == written.frames
