"""Videos for other people's code hold the frames that are evaluated."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dvd.errors import OutputError
from dvd.evaluate.inputs import write_inputs
from dvd.evaluate.saved import SavedPredictions
from dvd.video import open_video


class Scene:
    name, dataset, size, fps, count = "alley_1/final", "sintel", (37, 51), 24, 7

    def frames(self) -> Iterator[SimpleNamespace]:
        rng = np.random.default_rng(0)
        return (SimpleNamespace(rgb=rng.integers(0, 256, (*self.size, 3)).astype(np.uint8)) for _ in range(self.count))


def test_every_frame_is_there_as_it_is_evaluated(tmp_path: Path) -> None:
    """Noise in all channels is the worst case for 8-bit YCbCr; subsampled chroma would be off by some 60 levels."""
    [path] = write_inputs([Scene()], tmp_path)
    assert path == tmp_path / "sintel" / "alley_1_final.mp4"
    with open_video(path) as video:
        assert video.info.frame_rate == 24
        read = [frame.rgb.astype(int) for frame in video]
    written = [frame.rgb.astype(int) for frame in Scene().frames()]
    assert len(read) == len(written)
    assert max(np.abs(a - b).max() for a, b in zip(read, written, strict=True)) <= 4
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_what_is_made_of_them_is_found(tmp_path: Path) -> None:
    """A method appends to the video's name; the sequence's own name still leads there."""
    [path] = write_inputs([Scene()], tmp_path / "inputs")
    made = tmp_path / "made" / "sintel" / f"{path.stem}_depths.npz"
    made.parent.mkdir(parents=True)
    np.savez(made, depths=np.ones((Scene.count, *Scene.size), np.float32))
    method = SavedPredictions(tmp_path / "made", "disparity")
    assert method.find(Scene()) == made
    assert sum(len(chunk) for chunk in method.predict(Scene())) == Scene.count


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"alley_1_final\.mp4: cannot be written"):
        write_inputs([Scene()], tmp_path / "file")
