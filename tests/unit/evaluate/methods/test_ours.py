"""What is measured is what is shipped: the same values as the Python interface gives, with the same settings."""

from pathlib import Path

import numpy as np
import pytest
from eval_tree import SIZE, write_recording

import dvd
from dvd.errors import OptionError
from dvd.evaluate.methods.ours import Ours
from dvd.evaluate.methods.registry import MethodOptions, open_method
from dvd.evaluate.sequences import open_sequences
from dvd.pipeline import load

GOLDEN = Path(__file__).resolve().parents[3] / "golden"
SMALL = MethodOptions(dtype="float32", device="cpu", size=(16, 16), window=5, overlap=2, tau=0.25, stitch="continuous")


@pytest.mark.filterwarnings("ignore")
def test_ours_is_the_shipped_stream(tmp_path: Path) -> None:
    sequence = open_sequences("rgbd", write_recording(tmp_path, frames=9))[0]
    method = open_method(str(GOLDEN), SMALL)
    assert isinstance(method, Ours)
    predicted = np.concatenate(list(method.predict(sequence)))
    assert predicted.shape == (9, *SIZE)
    rgb = np.stack([frame.rgb for frame in sequence.frames()])
    whole = dvd.load(GOLDEN, "cpu", "float32").predict(
        rgb, size=(16, 16), window=5, overlap=2, tau=0.25, stitch="continuous"
    )
    np.testing.assert_array_equal(predicted, whole)
    assert [(seam.start, seam.stop) for seam in method.seams] == [(3, 5), (4, 8)]
    assert method.cuts == []
    list(method.predict(open_sequences("rgbd", write_recording(tmp_path / "b", frames=3))[0]))
    assert method.seams == []


def test_it_states_what_it_ran_with() -> None:
    said = open_method(str(GOLDEN), SMALL).describe()
    wanted = {"kind": "dvd", "dtype": "float32", "size": [16, 16], "window": 5, "overlap": 2, "tau": 0.25}
    assert wanted.items() <= said.items()
    assert said["stitch"]["name"] == "continuous"
    assert said["device"].startswith("cpu (")


def test_an_option_outside_its_range_is_refused_before_anything_is_read() -> None:
    with pytest.raises(OptionError, match="tau is 2"):
        Ours(load(GOLDEN, "cpu", "float32"), tau=2)
