"""The configurations for `accelerate launch`: every key is one that Accelerate knows, and what they do to a training.

There is no GPU here. FSDP runs on the CPU over gloo, which Accelerate does not offer: its state is told so. DeepSpeed
runs there too where it is installed.
"""

from __future__ import annotations

import json
import os
import pickle
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("accelerate", reason="the train extra is not installed")

from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.state import AcceleratorState
from accelerate.utils import DeepSpeedPlugin, DistributedType, FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from golden_run import CLIPS, golden_recipe
from train_runs import run_on_two

from dvd.errors import OptionError
from dvd.train.loop import train
from dvd.train.recipes import PAPER, RECIPES, SMOKE
from dvd.train.settings import ModelSettings, Recipe, Validation
from dvd.train.split import configure_splitting, refuse_unsplittable
from dvd.train.tracking import read_history

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / "configs"
GOLDEN = ROOT / "tests" / "golden"
NAMES = ("multi_gpu", "fsdp", "deepspeed_zero2")


def launch(name: str) -> tuple[Any, dict[str, str]]:
    """What `accelerate launch` makes of the configuration: its arguments, and the environment of a process."""
    parser = launch_command_parser()
    args = parser.parse_args(["--config_file", str(CONFIGS / f"{name}.yaml"), "-m", "dvd", "train", "dvd-wan-1.3b"])
    args, defaults, _ = _validate_launch_command(args)
    args.deepspeed_fields_from_accelerate_config = ",".join(defaults.deepspeed_config)
    environment = prepare_deepspeed_cmd_env(args)[1] if args.use_deepspeed else prepare_multi_gpu_env(args)
    return args, environment


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts this process into the environment of a configuration."""

    def enter(name: str) -> dict[str, str]:
        _, environment = launch(name)
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        return environment

    before = dict(os.environ)
    yield enter
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize("name", NAMES)
def test_accelerate_knows_every_key(name: str) -> None:
    path = CONFIGS / f"{name}.yaml"
    config = load_config_from_file(str(path))
    assert isinstance(config, ClusterConfig)
    assert (config.num_processes, config.num_machines, config.mixed_precision) == (8, 1, "bf16")
    known = {action.dest for action in launch_command_parser()._actions}
    assert set(config.fsdp_config) | set(config.deepspeed_config) <= known


@pytest.mark.parametrize("name", NAMES)
def test_the_command_in_its_comment_is_one_that_dvd_takes(name: str) -> None:
    when, command = (CONFIGS / f"{name}.yaml").read_text().splitlines()[:2]
    assert when.startswith("# When: ")
    words = shlex.split(command.removeprefix("# "))
    assert words[:4] == ["accelerate", "launch", "--config_file", f"configs/{name}.yaml"]
    args = launch_command_parser().parse_args(words[2:])
    assert args.module
    assert [args.training_script, args.training_script_args[0]] == ["dvd", "train"]
    recipe, *fields = args.training_script_args[1:]
    assert recipe in RECIPES
    assert fields == ["--data", "/datasets", "-o", "runs/paper"]


def test_fsdp_splits_by_blocks_and_keeps_every_parameter_by_itself(launched: Any) -> None:
    launched("fsdp")
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.transformer_cls_names_to_wrap == ["Block"]
    assert plugin.reshard_after_forward is True
    assert plugin.state_dict_type.name == "SHARDED_STATE_DICT"
    assert not plugin.cpu_ram_efficient_loading
    assert not plugin.activation_checkpointing
    plugin.set_mixed_precision("bf16")  # as Accelerate does: the residual stream would be cast at every block
    configure_splitting(Pretence(DistributedType.FSDP, fsdp_plugin=plugin), PAPER.phases[0], "bf16")  # type: ignore[arg-type]
    assert plugin.mixed_precision_policy is None


def test_deepspeed_takes_accumulation_and_clipping_from_the_recipe(launched: Any) -> None:
    """Left out, they are "auto"; written as such, Accelerate 1.15 stops at int("auto")."""
    environment = launched("deepspeed_zero2")
    assert "ACCELERATE_GRADIENT_ACCUMULATION_STEPS" not in environment
    plugin = DeepSpeedPlugin()
    assert plugin.zero_stage == 2
    accelerator = Pretence(DistributedType.DEEPSPEED, deepspeed_plugin=plugin)
    assert plugin.deepspeed_config["gradient_accumulation_steps"] == "auto"
    phase = replace(PAPER.phases[0], clip_norm=0.5)
    configure_splitting(accelerator, phase, "bf16")  # type: ignore[arg-type]
    config = plugin.deepspeed_config
    assert config["gradient_accumulation_steps"] == accelerator.gradient_accumulation_steps == 4
    assert config["gradient_clipping"] == 0.5
    assert config["torch_autocast"]["enabled"]
    assert not config["bf16"]["enabled"]


class Pretence:
    """As much of an Accelerator as `split` looks at."""

    def __init__(self, kind: DistributedType, **plugins: Any) -> None:
        self.distributed_type, self.gradient_accumulation_steps = kind, 1
        self.state = type("State", (), plugins)


ONE = replace(PAPER, phases=(replace(PAPER.phases[0], average=0.0),))
STAGE_2, STAGE_3 = (type("Plugin", (), {"zero_stage": stage}) for stage in (2, 3))
VERSION_1, VERSION_2 = (type("Plugin", (), {"fsdp_version": version}) for version in (1, 2))


@pytest.mark.parametrize(
    ("kind", "plugins", "recipe", "wanted"),
    [
        ("FSDP", {"fsdp_plugin": VERSION_2}, SMOKE, "from one phase to the next; start smoke with configs/multi_gpu"),
        ("FSDP", {"fsdp_plugin": VERSION_2}, replace(ONE, phases=(replace(ONE.phases[0], average=0.9),)), "no average"),
        ("FSDP", {"fsdp_plugin": VERSION_2}, replace(ONE, phases=(replace(ONE.phases[0], muon=True),)), "adapt.muon"),  # type: ignore[call-arg]
        ("FSDP", {"fsdp_plugin": VERSION_1}, ONE, "set fsdp_version to 2"),
        ("DEEPSPEED", {"deepspeed_plugin": STAGE_3}, ONE, "set zero_stage to 2"),
        ("DEEPSPEED", {"deepspeed_plugin": STAGE_2}, replace(ONE, precision="fp16"), "set precision"),
    ],
)
def test_recipes_that_cannot_be_split_are_refused(
    kind: str, plugins: dict[str, Any], recipe: Recipe, wanted: str
) -> None:
    with pytest.raises(OptionError, match=wanted):
        refuse_unsplittable(Pretence(DistributedType(kind), **plugins), recipe)  # type: ignore[arg-type]


def test_the_papers_recipes_can_be_split() -> None:
    for name in ("dvd-wan-1.3b", "dvd-wan-1.3b-release"):
        refuse_unsplittable(Pretence(DistributedType.FSDP, fsdp_plugin=VERSION_2), RECIPES[name])  # type: ignore[arg-type]
        refuse_unsplittable(Pretence(DistributedType.DEEPSPEED, deepspeed_plugin=STAGE_2), RECIPES[name])  # type: ignore[arg-type]


@pytest.fixture
def fresh() -> Iterator[None]:
    """Accelerate keeps its first precision for as long as a process lives; here it is let go."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """The paper's form on the golden weights and a folder of seven frames, validated on the same."""
    return golden_recipe(
        tmp_path,
        {"steps": 6, "accumulate": 2, "clip_norm": 0.5},
        4,
        8,
        model=ModelSettings("wan", weights=str(GOLDEN), gradient_checkpointing=True),
        validation=Validation(CLIPS, every=3, clips=2, frames=5, size=(32, 48), samples=0),
        precision="bf16",
        save_every=2,
        keep=3,
    )


def train_in_pieces(words: list[str]) -> None:
    """Train a pickled recipe in a folder, on CPUs as Accelerate would on GPUs."""
    import accelerate
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import InitProcessGroupKwargs

    from dvd.train import engine

    class OnCPU(accelerate.Accelerator):
        def __init__(self, **options: Any) -> None:
            if "ACCELERATE_USE_DEEPSPEED" in os.environ:
                options["cpu"] = False
                options["kwargs_handlers"] = [InitProcessGroupKwargs(backend="gloo")]
            super().__init__(**options)
            if "ACCELERATE_USE_FSDP" in os.environ:
                for shared in (AcceleratorState._shared_state, PartialState._shared_state):
                    shared["distributed_type"] = DistributedType.FSDP
                AcceleratorState._shared_state["fsdp_plugin"] = plugin = FullyShardedDataParallelPlugin()
                if self.mixed_precision != "no":
                    plugin.set_mixed_precision(self.mixed_precision)

    engine.Accelerator = OnCPU  # type: ignore[misc]
    recipe, folder = map(Path, words)
    train(pickle.loads(recipe.read_bytes()), folder)


def train_split(recipe: Recipe, folder: Path, name: str) -> None:
    """Train on two processes under the configuration `name`."""
    pickled = folder.parent / "recipe.pickle"
    pickled.write_bytes(pickle.dumps(recipe))
    _, environment = launch(name)
    wanted = {key: value for key, value in environment.items() if key.startswith(("ACCELERATE_", "FSDP_"))}
    run_on_two(train_in_pieces, [str(pickled), str(folder)], folder, DS_ACCELERATOR="cpu", **wanted)


def curve(folder: Path) -> list[list[float]]:
    rows = read_history(folder / "history.jsonl")
    return [[row["video_loss"], row["image_loss"], row["grad_norm"]] for row in rows if "video_loss" in row]


@pytest.mark.slow
@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 2e-3)])
@pytest.mark.parametrize("name", ["fsdp", "deepspeed_zero2"])
def test_a_network_split_over_two_processes_learns_as_one_does(
    name: str, precision: Any, tolerance: float, recipe: Recipe, tmp_path: Path
) -> None:
    if name == "deepspeed_zero2":
        pytest.importorskip("deepspeed", reason="DeepSpeed is not installed")
    recipe = replace(recipe, precision=precision)
    train(recipe, tmp_path / "one")
    train_split(recipe, tmp_path / "two", name)
    np.testing.assert_allclose(curve(tmp_path / "two"), curve(tmp_path / "one"), rtol=tolerance)

    # What is exported is whole, and the base in it is the one that was loaded, not one rounded to bfloat16.
    one, two = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("one", "two"))
    assert {n: (v.shape, v.dtype) for n, v in one.items()} == {n: (v.shape, v.dtype) for n, v in two.items()}
    for key, value in one.items():
        if ".lora_" not in key:
            assert torch.equal(two[key], value), key
        elif precision == "fp32":
            torch.testing.assert_close(two[key], value, rtol=1e-3, atol=1e-5)
    kept = json.loads((tmp_path / "two" / "best" / "adapt.json").read_text())
    assert kept["step"] in (3, 6)
    assert set(load_file(tmp_path / "two" / "best" / "adapt.safetensors")) == set(
        load_file(tmp_path / "one" / "best" / "adapt.safetensors")
    )

    if precision == "fp32":
        return
    # Resumed from the checkpoint before the last, it does the same again.
    before, result = curve(tmp_path / "two"), tmp_path / "two" / "adapt" / "result.safetensors"
    trained = load_file(result)
    result.unlink()
    shutil.rmtree(tmp_path / "two" / "adapt" / "step_00000006")
    train_split(recipe, tmp_path / "two", name)
    again = curve(tmp_path / "two")
    assert len(again) == len(before) == 6
    np.testing.assert_allclose(again, before, rtol=1e-5)
    for key, value in load_file(result).items():
        torch.testing.assert_close(value, trained[key], rtol=1e-4, atol=1e-6)
