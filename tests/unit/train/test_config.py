"""A recipe changes field by field, from text and from files; whatever does not fit is refused in one line."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvd.errors import InputError, OptionError
from dvd.train.config import (
    describe,
    differences,
    flat,
    overlay,
    override,
    parse_fields,
    read_config,
)


@dataclass(frozen=True)
class Part:
    tag: str
    steps: int = 10
    sizes: tuple[tuple[int, int], ...] = ((48, 64),)


@dataclass(frozen=True)
class Adapt:
    steps: int = 100
    rate: float = 1e-4
    anchor: Literal["fixed", "learned", "none"] = "fixed"
    tau: float | None = 0.5
    warm_up: int = 10

    def __post_init__(self) -> None:
        if self.warm_up > self.steps:
            raise OptionError(f"warm_up {self.warm_up} is longer than steps {self.steps}; lower it")


@dataclass(frozen=True, kw_only=True)
class Phase:
    name: str
    length: int = 10


@dataclass(frozen=True, kw_only=True)
class Flow(Phase):
    shift: float = 1.0


@dataclass(frozen=True)
class Recipe:
    adapt: Adapt = field(default_factory=Adapt)
    again: Adapt | None = None
    parts: tuple[Part, ...] = (Part("same"), Part("same", 20))
    phases: tuple[Phase, ...] = (Flow(name="pre-train"), Phase(name="after"))
    seed: int = 0
    save: bool = True
    average: bool | None = None
    root: Path = Path("data")
    label: str = ""
    note: str | None = None
    layers: tuple[int, ...] = (1, 2)
    size: tuple[int, int] = (96, 128)
    targets: tuple[str, ...] = ("q", "k")
    mixture: tuple[tuple[str, float], ...] = (("tartanair", 40.0), ("hypersim", 9.0))
    sizes: tuple[tuple[int, int], ...] = ((48, 64),)
    limit: int | Literal["all"] = "all"


RECIPE = Recipe()


def test_fields_are_found_by_path_or_by_its_end() -> None:
    changed = override(RECIPE, {"adapt.steps": "200", "seed": "1", "warm-up": "20"})
    assert changed == replace(RECIPE, adapt=Adapt(steps=200, warm_up=20), seed=1)
    assert Recipe() == RECIPE


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rate", "3e-4", 3e-4),
        ("rate", "1", 1.0),
        ("tau", "none", None),
        ("tau", "0.25", 0.25),
        ("anchor", "none", "none"),
        ("save", "False", False),
        ("save", None, True),
        ("average", None, True),
        ("average", "none", None),
        ("root", "some/where", Path("some/where")),
        ("label", "none", "none"),
        ("note", "none", None),
        ("note", "12", "12"),
        ("layers", "3", (3,)),
        ("layers", "1, 2,3", (1, 2, 3)),
        ("layers", "", ()),
        ("layers", "none", ()),
        ("size", "48x64", (48, 64)),
        ("size", "48,64", (48, 64)),
        ("targets", "xq,o", ("xq", "o")),
        ("mixture", '[["vkitti", 1], ["max", 2.5]]', (("vkitti", 1.0), ("max", 2.5))),
        ("sizes", "144x192,192x256", ((144, 192), (192, 256))),
        ("sizes", "144x192", ((144, 192),)),
        ("limit", "12", 12),
        ("limit", "all", "all"),
        ("parts", '[{"tag": "one", "sizes": [[1, 2], [3, 4]]}]', (Part("one", sizes=((1, 2), (3, 4))),)),
        ("again", '{"steps": 50}', Adapt(steps=50)),
        ("again", "none", None),
        ("adapt", '{"tau": null}', Adapt(tau=None)),
    ],
)
def test_text_is_read_by_the_field_s_type(name: str, text: str | None, value: object) -> None:
    changed = override(RECIPE, {name: text})
    holder = changed.adapt if name in ("rate", "tau", "anchor") else changed
    got = getattr(holder, name)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("adapt.steps", "many", "adapt.steps is 'many'; expected a valid integer$"),
        ("steps", "1.5", "adapt.steps is '1.5'; expected a valid integer"),
        ("rate", "nan", "adapt.rate is 'nan'; expected a finite number"),
        ("tau", "half", "adapt.tau is 'half'; expected a valid number or none"),
        ("anchor", "fixt", "adapt.anchor is 'fixt'; expected 'fixed', 'learned' or 'none'"),
        ("save", "maybe", "save is 'maybe'; expected a valid boolean"),
        ("root", "", "root is ''; expected a path"),
        ("layers", "1,b", "layers.1 is 'b'; expected a valid integer"),
        ("size", "1,2,3", "size is '1,2,3'; expected 2 values"),
        ("size", "48", "size is '48'; expected 2 values"),
        ("sizes", "48x64,48", r"sizes\.1 is 48; expected 2 values"),
        ("mixture", "vkitti", "mixture.0 is vkitti; expected 2 values"),
        ("limit", "few", "limit is 'few'; expected a valid integer or 'all'"),
        ("parts", "3", "parts is '3'; expected a list of tables of tag, steps, sizes"),
        ("parts", "[3]", r"parts\.0 is 3; expected a table of tag, steps, sizes"),
        ("parts", '[{"steps": 3}]', "parts.0 lacks tag"),
        ("parts", '[{"tag": "a", "sizes": [[1, 2], [3]]}]', "parts.0.sizes.1 is 3; expected 2 values"),
        ("again", "twice", "again is 'twice'; expected a table of .* or none"),
        ("again", '{"stepz": 3}', "unknown field 'again.stepz'; did you mean again.steps"),
        ("seed", None, "--seed has no value"),
        ("sead", "1", "unknown field 'sead'; did you mean seed"),
        ("adapt.rte", "1", "unknown field 'adapt.rte'; did you mean adapt.rate"),
        ("seed", "true", "seed is 'true'; expected a valid integer"),
        ("adapt.steps", "5", "warm_up 10 is longer than steps 5"),
    ],
)
def test_wrong_fields_and_values_are_refused_in_one_line(name: str, text: str | None, said: str) -> None:
    with pytest.raises(OptionError, match=said) as refused:
        override(RECIPE, {name: text})
    assert "\n" not in str(refused.value)


def test_an_ambiguous_name_is_answered_with_the_full_names() -> None:
    both = replace(RECIPE, again=Adapt())
    with pytest.raises(OptionError, match=r"adapt\.steps, again\.steps"):
        override(both, {"steps": "20"})
    assert override(both, {"again.steps": "20"}).again == Adapt(steps=20)


def test_fields_that_only_fit_together_change_together() -> None:
    assert override(RECIPE, {"adapt.warm_up": "150", "adapt.steps": "200"}).adapt == Adapt(steps=200, warm_up=150)


@pytest.mark.parametrize("names", [("steps", "adapt.steps"), ("adapt", "adapt.steps"), ("adapt.steps", "adapt")])
def test_a_field_given_twice_is_refused(names: tuple[str, str]) -> None:
    with pytest.raises(OptionError, match="set the same field; give one of them"):
        override(RECIPE, dict(zip(names, ("{}", "20"), strict=True)))


def test_members_of_a_tuple_are_found_by_their_names(tmp_path: Path) -> None:
    expected = replace(RECIPE, phases=(Flow(name="pre-train", shift=3.0), Phase(name="after", length=5)))
    assert override(RECIPE, {"pre_train.shift": "3", "phases.after.length": "5"}) == expected
    assert override(RECIPE, {"shift": "3", "after": '{"length": 5}'}) == expected
    assert overlay(RECIPE, {"phases": {"pre-train": {"shift": 3}, "after": {"length": 5}}}) == expected
    with pytest.raises(OptionError, match=r"phases\.pre-train\.length, phases\.after\.length"):
        override(RECIPE, {"length": "3"})
    with pytest.raises(OptionError, match=r"did you mean pre-train\.shift"):
        override(RECIPE, {"pre-train.shft": "3"})
    with pytest.raises(OptionError, match=r"did you mean phases\.after"):
        overlay(RECIPE, {"phases": {"aftr": {}}})
    assert differences(RECIPE, expected) == [
        "phases.pre-train.shift: 1.0 there, 3.0 now",
        "phases.after.length: 10 there, 5 now",
    ]


def test_a_table_chooses_a_derived_class_by_name() -> None:
    table = {"phases": [{"type": "Flow", "name": "only", "shift": 2}, {"name": "plain"}]}
    assert overlay(RECIPE, table).phases == (Flow(name="only", shift=2.0), Phase(name="plain"))
    same = overlay(RECIPE, {"phases": {"pre-train": {"type": "Flow", "length": 3}}}).phases[0]
    assert same == Flow(name="pre-train", length=3)
    with pytest.raises(OptionError, match="unknown type 'Flw'; did you mean Flow"):
        overlay(RECIPE, {"phases": [{"type": "Flw", "name": "only"}]})
    assert describe(RECIPE)["phases"][0]["type"] == "Flow"


def test_toml_and_json_files_are_nested_tables(tmp_path: Path) -> None:
    toml, plain = tmp_path / "run.toml", tmp_path / "run.json"
    toml.write_text('seed = 3\nnote = "none"\n[adapt]\nwarm-up = 2\n[[parts]]\ntag = "only"\nsizes = [[8, 16]]\n')
    plain.write_text(json.dumps({"seed": 3, "adapt": {"warm_up": 2}, "parts": [{"tag": "only", "sizes": [[8, 16]]}]}))
    expected = replace(RECIPE, seed=3, adapt=Adapt(warm_up=2), parts=(Part("only", sizes=((8, 16),)),))
    assert overlay(RECIPE, read_config(toml)) == overlay(RECIPE, read_config(plain)) == expected


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("run.toml", "seed = ", "is not valid TOML"),
        ("run.json", '{"seed": }', "is not valid JSON"),
        ("run.json", "[1]", "holds no table"),
        ("run.yaml", "seed: 1", r"a \.toml or a \.json"),
        ("run.toml", None, "cannot be read"),
    ],
)
def test_an_unreadable_file_is_refused_in_one_line(name: str, text: str | None, said: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said) as refused:
        read_config(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"adapt": {"stepz": 1}}, r"did you mean adapt\.steps"),
        ({"adapt": 3}, "adapt is 3; expected a table of steps, rate"),
        ({"seed": "3"}, "seed is '3'; expected a valid integer"),
        ({"seed": True}, "seed is true; expected a valid integer"),
        ({"size": 3}, "size is 3; expected a valid array"),
        ({"size": [3]}, "size is 3; expected 2 values"),
        ({"adapt": {"rate": math.inf}}, "adapt.rate is Infinity; expected a finite number"),
        ({"sizes": [[1, 2], 3]}, r"sizes\.1 is 3; expected a valid array"),
        ({"size": [[1, 2], 3]}, r"size\.0 is 1,2; expected a valid integer"),
        ({"adapt": [[1, 2], 3]}, r"adapt is \[\[1, 2\], 3\]; expected a table"),
        ({"root": 3}, "root is 3; expected a valid string"),
        ({"phases": {"after": 3}}, "phases.after is 3; expected a table of name, length"),
        ({"phases": [{"type": ["Flow"]}]}, "unknown type"),
        ({"parts": None}, "parts is none; expected a list of tables of tag, steps, sizes"),
        ({"seed": date(2026, 1, 1)}, "seed is .*2026-01-01.*; expected a valid integer"),
    ],
)
def test_values_of_the_wrong_type_in_a_file_are_refused(table: dict, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        overlay(RECIPE, table)


recipes = st.builds(
    Recipe,
    adapt=st.builds(
        Adapt,
        steps=st.integers(10, 1000),
        rate=st.floats(allow_nan=False, allow_infinity=False),
        tau=st.none() | st.floats(0, 1),
        anchor=st.sampled_from(["fixed", "learned", "none"]),
    ),
    again=st.none() | st.just(Adapt(tau=None)),
    seed=st.integers(),
    save=st.booleans(),
    average=st.none() | st.booleans(),
    layers=st.lists(st.integers()).map(tuple),
    mixture=st.lists(st.tuples(st.sampled_from(["vkitti", "max"]), st.floats(0, 50))).map(tuple),
    limit=st.just("all") | st.integers(),
    parts=st.lists(st.builds(Part, tag=st.text(), steps=st.integers())).map(tuple),
)


@pytest.mark.slow
@given(recipes)
def test_a_recipe_survives_json_and_text(recipe: Recipe) -> None:
    assert overlay(RECIPE, json.loads(json.dumps(describe(recipe)))) == recipe
    assert differences(recipe, json.loads(json.dumps(describe(recipe)))) == []
    start = replace(RECIPE, again=Adapt()) if recipe.again else RECIPE
    assert override(start, flat(recipe)) == recipe


def test_differences_name_every_field() -> None:
    other = replace(RECIPE, adapt=Adapt(steps=200, tau=None), again=Adapt(), parts=(Part("same", 11),), size=(48, 64))
    assert differences(RECIPE, other) == [
        "adapt.steps: 100 there, 200 now",
        "adapt.tau: 0.5 there, none now",
        "again: none there, given now",
        'parts: [{"tag": "same", "steps": 10, "sizes": [[48, 64]]}, {"tag": "same", "steps": 20, "sizes": [[48, 64]]}]'
        ' there, [{"tag": "same", "steps": 11, "sizes": [[48, 64]]}] now',
        "size: 96,128 there, 48,64 now",
    ]


def test_words_of_a_command_line_become_fields() -> None:
    rest = ["--adapt.warm-up", "5", "--seed=-3", "--shift", "-0.5", "--save", "--label=a=b", "--average"]
    assert parse_fields(rest) == {
        "adapt.warm_up": "5",
        "seed": "-3",
        "shift": "-0.5",
        "save": None,
        "label": "a=b",
        "average": None,
    }


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (["steps", "3"], "unexpected 'steps'"),
        (["--steps", "3", "4"], "unexpected '4'"),
        (["-s", "3"], "unexpected '-s'"),
        (["--"], "unexpected '--'"),
        (["--warm-up", "3", "--warm_up=4"], "--warm_up is given twice"),
    ],
)
def test_a_stray_word_is_refused(rest: list[str], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_fields(rest)


def test_an_empty_tuple_is_shown_as_none() -> None:
    empty = replace(RECIPE, targets=())
    assert flat(empty)["targets"] == "none"
    assert override(RECIPE, {"targets": flat(empty)["targets"]}) == empty
