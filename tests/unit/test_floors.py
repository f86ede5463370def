"""Imports go down only, and what is light stays light."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dvd

ROOT = Path(dvd.__file__).parent

FLOORS = (
    {"types", "errors", "names", "arguments", "plugins", "files", "media", "memory", "plots", "threads", "processes"}
    | {"shots", "windows", "align", "losses", "metrics"},
    {"video", "export", "backbones", "hardware", "resize", "record", "frames"},
    {"regressor", "stitch", "outputs", "data", "scenes"},
    {"stream", "pipeline", "train", "evaluation"},
    {"study"},
    {"apps", "__main__"},
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
INFERENCE = {
    *("windows", "shots", "align", "threads", "media", "files", "video", "export", "backbones", "hardware", "resize"),
    *(
        "record",
        "regressor",
        "stitch",
        "outputs",
        "stream",
        "pipeline",
        "arguments",
        "frames",
        "names",
        "plugins",
        "memory",
    ),
}


def modules() -> Iterator[tuple[str, str, Path]]:
    """(dotted name, room, file) of every module below the package's own."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts != ("__init__",):
            yield ".".join(("dvd", *parts)), parts[0], path


def imported(path: Path, name: str) -> Iterator[str]:
    """The dotted name of everything that a module imports anywhere in it."""
    package = name.removesuffix(".__init__") if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join((*above, *([node.module] if node.module else [])))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def rooms_imported(path: Path, name: str) -> set[str]:
    return {full.split(".")[1] for full in imported(path, name) if full.startswith("dvd.")}


MODULES = list(modules())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "room", "path"), MODULES, ids=[name for name, *_ in MODULES])
def test_imports_go_down_only(name: str, room: str, path: Path) -> None:
    assert room in FLOOR, f"{room} has no floor; give it one in FLOORS and in the design"
    below = rooms_imported(path, name) & FLOOR.keys()
    up = sorted(other for other in below if FLOOR[other] > FLOOR[room])
    assert not up, f"{name} on floor {FLOOR[room]} imports {up} from above"


@pytest.mark.slow
def test_rooms_of_one_floor_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {room: set() for room in FLOOR}
    for name, room, path in MODULES:
        graph[room] |= (rooms_imported(path, name) & FLOOR.keys()) - {room}
    while leaves := {room for room, below in graph.items() if not below}:
        graph = {room: below - leaves for room, below in graph.items() if room not in leaves}
    assert not graph, f"a circle among {sorted(graph)}"


def test_inference_knows_nothing_of_training() -> None:
    training = ("dvd.train.", "dvd.data.", "dvd.scenes.", "dvd.evaluation.", "dvd.study.", "accelerate.", "peft.")
    known = [
        f"{name}: {full}"
        for name, room, path in MODULES
        if room in INFERENCE
        for full in imported(path, name)
        if f"{full}.".startswith(training)
    ]
    assert known == []


@pytest.mark.slow
def test_only_the_roof_knows_web_and_cluster() -> None:
    libraries = {"gradio", "fastapi", "flask", "ray", "viser"}
    known = [
        name
        for name, room, path in MODULES
        if room not in FLOORS[-1] and libraries & {full.split(".")[0] for full in imported(path, name)}
    ]
    assert known == []


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_dvd_is_fast_and_does_not_import_torch() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import dvd; took = time.perf_counter() - start;"
        "assert not {'torch', 'numpy', 'av', 'dvd.pipeline'} & set(sys.modules); print(took)"
    )
    assert min(float(python(code)) for _ in range(3)) < 0.3


@pytest.mark.slow
def test_predicting_imports_nothing_of_training() -> None:
    code = (
        "import sys, dvd; dvd.load; dvd.predict; dvd.open_video;"
        "unwanted = {'accelerate', 'peft', 'diffusers', 'transformers'};"
        "above = ('dvd.train', 'dvd.data', 'dvd.scenes', 'dvd.evaluation', 'dvd.study');"
        "print([name for name in sys.modules if name.split('.')[0] in unwanted or name.startswith(above)])"
    )
    assert python(code).strip() == "[]"


def test_the_public_face_shows_what_it_has() -> None:
    assert set(dvd.__all__) <= set(dir(dvd))
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        dvd.lod  # noqa: B018


ALIASES = {"CameraReader", "DepthReader", "FlowReader"} | {
    *("Fit", "FitName", "Last", "Moment", "Progress", "RangeMode", "Scope", "Size", "Skip", "Space", "ValuesAt"),
}
"""Names of unions and literals."""
OUTSIDE = {"Any", "Callable", "Fraction", "Iterable", "Iterator", "Literal", "Mapping", "NDArray", "None", "Path"} | {
    *(
        "ClassVar",
        "ForwardRef",
        "Tensor",
        "Self",
        "Sequence",
        "TracebackType",
        "BaseException",
        "True",
        "False",
        "Generator",
    ),
}


@pytest.mark.parametrize("name", dvd.__all__)
def test_classes_in_public_signatures_are_public(name: str) -> None:
    thing = getattr(dvd, name)
    methods = [
        getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        for key, member in vars(thing).items()
        if not key.startswith("_") or key in ("__call__", "__next__")
    ]
    annotated = [thing, *methods] if inspect.isclass(thing) else [thing]
    text = " ".join(str(note) for each in annotated for note in getattr(each, "__annotations__", {}).values())
    assert set(re.findall(r"\b[A-Z]\w+", text)) <= {*dvd.__all__, *ALIASES, *OUTSIDE}
