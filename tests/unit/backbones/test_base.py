"""What a backbone inherits: the traits of a model that regresses depth in one pass."""

import pytest

from dvd.backbones.base import Backbone, ModelCard
from dvd.errors import OptionError


class OnePass(Backbone):
    card = ModelCard("plain", "none")


def test_a_backbone_regresses_in_one_pass_by_default() -> None:
    backbone = OnePass()
    assert not backbone.samples
    assert backbone.conditioning(0.25) == {"tau": 0.25}
    assert backbone.resampled() is backbone


@pytest.mark.parametrize(("options", "name"), [({"steps": 2}, "steps"), ({"seed": 1}, "seed")])
def test_steps_and_seed_are_refused_in_one_pass(options: dict[str, int], name: str) -> None:
    with pytest.raises(OptionError, match=f"'plain' predicts in one pass and reads no {name}"):
        OnePass().resampled(**options)
