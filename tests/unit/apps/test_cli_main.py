"""Exit statuses and the one line that goes with them; `--help` costs nothing."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from dvd.apps import cli
from dvd.errors import InputError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """`failing(error)` makes `dvd models` raise it."""

    def arrange(error: BaseException) -> None:
        def run(_: argparse.Namespace) -> int:
            raise error

        monkeypatch.setattr("dvd.apps.models.run", run)

    monkeypatch.delenv("DVD_DEBUG", raising=False)
    return arrange


def test_a_users_mistake_is_one_line_and_status_2(failing, capsys) -> None:
    failing(InputError("clip.mp4: no such file;\ncheck the path"))
    assert cli.main(["models"]) == 2
    assert capsys.readouterr().err == "dvd: clip.mp4: no such file; check the path\n"


def test_a_fault_of_the_program_is_one_line_with_a_hint_and_status_1(failing, capsys) -> None:
    failing(ZeroDivisionError("division by zero"))
    assert cli.main(["models"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("dvd: unexpected ZeroDivisionError: division by zero; set DVD_DEBUG=1")
    assert told.count("\n") == 1


def test_debugging_shows_the_traceback(failing, monkeypatch) -> None:
    failing(ZeroDivisionError("division by zero"))
    monkeypatch.setenv("DVD_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["models"])


def test_ctrl_c_is_status_130(failing, capsys) -> None:
    failing(KeyboardInterrupt())
    assert cli.main(["models"]) == 130
    assert capsys.readouterr().err == "dvd: stopped\n"


def test_help_names_every_command(capsys) -> None:
    assert cli.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"\n    {name} " in told for name in ("predict", "models", "doctor", "demo", "bench", "train"))


def test_the_version_is_printed(capsys) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("dvd 0.")


@pytest.mark.parametrize("arguments", [[], ["predict"], ["predict", "clip.mp4"], ["models", "--all"]])
def test_missing_and_surplus_arguments_are_reported_in_one_line(arguments: list[str], capsys) -> None:
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "--help" in told


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["clip.mp4"], "dvd predict clip.mp4 -o OUT"),
        (["my clip.MOV", "--size", "96x128"], "dvd predict 'my clip.MOV' --size 96x128 -o OUT"),
        (["clips/a", "-o", "out"], "dvd predict clips/a -o out"),
        (["a.mkv", "b.mkv", "--output", "out"], "dvd predict a.mkv b.mkv --output out"),
    ],
)
def test_a_file_in_place_of_a_command_is_answered_with_predict(arguments: list[str], meant: str, capsys) -> None:
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err == f"dvd: '{arguments[0]}' is no command; did you mean: {meant}\n"


def test_a_file_without_an_ending_is_answered_with_predict_too(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "frames").mkdir()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["frames"]) == 2
    assert "did you mean: dvd predict frames -o OUT" in capsys.readouterr().err
    assert cli.main(["frame"]) == 2
    assert "unknown command 'frame'" in capsys.readouterr().err


def test_a_missing_output_is_named_with_an_example(capsys) -> None:
    assert cli.main(["predict", "clip.mp4"]) == 2
    assert "required: -o/--output, a folder for the results; see dvd predict --help" in capsys.readouterr().err


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_help_shows_every_default(command: str) -> None:
    (commands,) = (each for each in cli.build_parser()._actions if isinstance(each, argparse._SubParsersAction))
    parser = commands.choices[command]
    formatter = parser._get_formatter()
    silent = [
        action.dest
        for action in parser._actions
        if action.option_strings
        and not isinstance(action.default, bool)
        and action.default not in (None, "", [], argparse.SUPPRESS)
        and "default:" not in formatter._get_help_string(action)  # type: ignore[attr-defined]
    ]
    assert silent == []


def test_help_names_the_models_own_and_the_usual_values(capsys) -> None:
    assert cli.main(["predict", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "or a model folder (default: dvd-mini)" in told
    assert "auto, cpu, cuda, mps or cuda:N (default: auto, the best there is)" in told
    assert told.count("the model's own") == 4


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["--help", "predict --help"])
def test_help_answers_at_once(arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("dvd")), *arguments.split()]

    def seconds() -> float:
        """The processor's time, which other work on the machine does not lengthen."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.3


@pytest.mark.slow
def test_nothing_heavy_is_imported_to_read_the_command_line() -> None:
    code = (
        "import sys; from dvd.apps.cli import build_parser; build_parser();"
        "print(sorted({'torch', 'numpy', 'av', 'PIL', 'tqdm', 'safetensors'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.slow
def test_a_closed_reader_is_not_a_fault() -> None:
    """As after `| head`: nothing is said, and nothing is to be reported."""
    command = [sys.executable, "-m", "dvd", "models"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""


def test_a_pipe_of_the_programs_own_is_a_fault(failing, capsys) -> None:
    failing(BrokenPipeError(32, "Broken pipe"))
    assert cli.main(["models"]) == 1
    assert "unexpected BrokenPipeError" in capsys.readouterr().err
