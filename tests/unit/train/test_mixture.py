"""Joint batches: what they hold, and that they do not depend on who draws them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate", reason="the train extra is not installed")

from dvd.data.sources import BadSample, RawClip
from dvd.errors import InputError, OptionError
from dvd.train.mixture import Feed, Mixer, Share, Skipped, samples_per_step
from dvd.train.settings import Mixture, Phase, SourceSettings


class Numbered:
    """A source whose clips are told apart by their gray value."""

    def __init__(self, name: str, clips: int, bad: frozenset[int] = frozenset()) -> None:
        self.name, self.clips, self.bad = name, clips, bad

    def count(self, frames: int) -> int:
        return self.clips

    def clip(self, index: int, frames: int) -> RawClip:
        if index in self.bad:
            raise BadSample(f"{self.name}/{index}.png", "is damaged")
        ramp = np.linspace(0, 1, 16 * 16, dtype=np.float32).reshape(1, 16, 16).repeat(frames, 0)
        return RawClip(np.full((frames, 16, 16, 3), index, np.uint8), ramp)


def feeds(bad: frozenset[int] = frozenset()) -> list[Feed]:
    named = (("stills", "image", 9.0), ("drives", "image", 1.0), ("flights", "video", 40.0), ("tours", "video", 10.0))
    return [
        Feed(SourceSettings(name, name, kind, weight), Numbered(name, 200, bad))  # type: ignore[arg-type]
        for name, kind, weight in named
    ]


def phase(**changes: object) -> Phase:
    mixture = Mixture(video_batch=4, image_batch=8, frames=5, sizes=((16, 16), (16, 32)))
    return Phase(name="adapt", steps=10, accumulate=2, mixture=replace(mixture, **changes))  # type: ignore[arg-type]


def mixer(share: Share | None = None, bad: frozenset[int] = frozenset(), path: Path | None = None, **changes) -> Mixer:
    return Mixer(phase(**changes), feeds(bad), 7, share or Share(), Skipped(0.05, path))


def test_a_paired_step_is_the_sum_of_eq_10() -> None:
    batches = mixer(image_weight=0.5).batches(3)
    assert [batch.kind for batch in batches] == ["video", "image", "video", "image"]
    assert [tuple(batch.rgb.shape[:3]) for batch in batches[:2]] == [(2, 3, 5), (4, 3, 1)]
    assert batches[0].disparity.shape[:2] == (2, 1)
    weights: Counter[str] = Counter()
    for batch in batches:
        weights[batch.kind] += batch.weight  # type: ignore[assignment]
    assert weights == {"video": 1.0, "image": 0.5}


def test_two_processes_draw_the_two_halves_of_what_one_draws() -> None:
    for mode in ("paired", "weighted", "sequential"):
        whole = mixer(mode=mode).batches(4)
        halves = [mixer(Share(rank, 2), mode=mode).batches(4) for rank in (0, 1)]
        for one, first, second in zip(whole, *halves, strict=True):
            assert torch.equal(one.rgb, torch.cat([first.rgb, second.rgb]))
            assert torch.equal(one.disparity, torch.cat([first.disparity, second.disparity]))
            assert one.seeds == first.seeds + second.seeds
            assert one.source == first.source == second.source


def test_a_step_depends_on_its_index_alone() -> None:
    one, other = mixer(), mixer()
    other.batches(0)
    assert torch.equal(one.batches(5)[0].rgb, other.batches(5)[0].rgb)
    assert not torch.equal(one.batches(5)[0].rgb, one.batches(6)[0].rgb)


@pytest.mark.slow
def test_weighted_micro_batches_follow_the_release_s_shares() -> None:
    drawn = Counter(mixer(mode="weighted").parts(step, 0)[0].feed.settings.name for step in range(3000))
    share = {name: drawn[name] / 3000 for name in ("stills", "drives", "flights", "tours")}
    wanted = {"stills": 9 / 60, "drives": 1 / 60, "flights": 40 / 60, "tours": 10 / 60}
    assert share == pytest.approx(wanted, abs=0.03)


def test_modes_of_one_kind_and_in_sequence() -> None:
    assert {batch.kind for batch in mixer(mode="video").batches(0)} == {"video"}
    assert {batch.kind for batch in mixer(mode="image").batches(9)} == {"image"}
    sequence = mixer(mode="sequential", sequential=0.3)
    assert [sequence.batches(step)[0].kind for step in (0, 2, 3, 9)] == ["image", "image", "video", "video"]


def test_a_sources_own_size_overrides_the_phases() -> None:
    own = [replace(feed, settings=replace(feed.settings, size=(32, 48))) for feed in feeds()]
    drawn = Mixer(phase(mode="image"), own, 0, Share(), Skipped(0.05)).batches(0)
    assert drawn[0].rgb.shape[-2:] == (32, 48)


@pytest.mark.slow
def test_bad_samples_are_skipped_counted_and_reported(tmp_path: Path) -> None:
    several = mixer(bad=frozenset({3}), path=tmp_path / "skipped.txt")
    for step in range(60):
        for batch in several.batches(step):
            gray = ((batch.rgb[:, 0, 0, 0, 0] + 1) * 127.5).round()
            assert 3 not in gray.tolist()
    assert several.skipped.bad.total() > 0
    assert "3.png: is damaged" in (tmp_path / "skipped.txt").read_text()


def test_too_many_bad_samples_are_an_error() -> None:
    several = mixer(bad=frozenset(range(40)))
    with pytest.raises(InputError, match=r"samples could not be read.*is damaged"):
        list(map(several.batches, range(200)))


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(OptionError, match="does not divide over 3 processes × 2 micro-batches"):
        mixer(Share(0, 3))


def test_a_source_without_clips_is_refused() -> None:
    empty = [Feed(feeds()[2].settings, Numbered("flights", 0))]
    with pytest.raises(InputError, match="flights holds no clip of 5 frames"):
        Mixer(phase(mode="video"), empty, 0, Share(), Skipped(0.05))


def test_a_phase_without_any_source_is_refused() -> None:
    silent = [replace(feed, settings=replace(feed.settings, weight=0.0)) for feed in feeds()]
    with pytest.raises(OptionError, match="adapt has no source to draw from; give one a weight above 0"):
        Mixer(phase(mode="weighted"), silent, 0, Share(), Skipped(0.05))


@pytest.mark.parametrize("mode", ["paired", "weighted", "video", "image", "sequential"])
def test_a_step_s_samples_are_counted_as_they_are_drawn(mode: str) -> None:
    drawing = mixer(mode=mode, sequential=0.3)
    drawn = [sum(part.batch for micro in (0, 1) for part in drawing.parts(step, micro)) for step in range(10)]
    sources = [feed.settings for feed in feeds()]
    wanted = {"weighted": 5}.get(mode, round(float(np.mean(drawn))))  # 4 or 8, drawn 50 : 10
    assert samples_per_step(drawing.phase, sources) == wanted
