"""SIGTERM and SIGHUP stop the program like Ctrl-C; the imported library does not touch signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dvd.apps import cli, signals
from dvd.apps.signals import Stopped, stopped_by_signals

NUMBERS = [getattr(signal, name) for name in signals.STOPPING if hasattr(signal, name)]

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals to oneself need a POSIX system")


@pytest.fixture(autouse=True)
def default_handlers():
    """Undo a shell that starts the tests in the background with Ctrl-C ignored."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS, ids=str)
def test_a_signal_stops_like_ctrl_c(number: int) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, stopped_by_signals():
        signal.raise_signal(number)
    assert isinstance(caught.value, Stopped)
    assert caught.value.number == number


def test_earlier_handlers_are_restored() -> None:
    def own(*_: object) -> None:
        pass

    signal.signal(signal.SIGTERM, own)
    with stopped_by_signals():
        assert signal.getsignal(signal.SIGTERM) is not own
    assert signal.getsignal(signal.SIGTERM) is own
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_ignored_signals_stay_ignored() -> None:
    """As with `nohup dvd predict …`."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stopped_by_signals():
        signal.raise_signal(signal.SIGHUP)


def test_other_threads_change_nothing() -> None:
    seen = []

    def look() -> None:
        with stopped_by_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


def test_signals_that_the_system_lacks_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "STOPPING", ("SIGINT", "SIGNOWHERE"))
    with pytest.raises(Stopped), stopped_by_signals():
        signal.raise_signal(signal.SIGINT)


def test_a_signal_that_a_library_turns_into_an_error_still_stops() -> None:
    def imports() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise ImportError("partially initialised") from None

    with pytest.raises(Stopped), stopped_by_signals():
        imports()
    with pytest.raises(ImportError), stopped_by_signals():
        raise ImportError("without any signal")


CLEANING = """
import signal, sys, time
from dvd.apps import signals
signals.ONE_REQUEST_S = 0.2
with signals.stopped_by_signals():
    try:
        print("ready", flush=True)
        time.sleep(30)
    except KeyboardInterrupt as stop:
        print("cleaning", flush=True)
        time.sleep(float(sys.argv[1]))
        print("clean", flush=True)
"""


def program(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CLEANING, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_a_second_signal_stops_at_once() -> None:
    with program("30") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "cleaning\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (143, "")
    assert err == "dvd: stopped at once; unfinished files may be left\n"


def test_a_signal_sent_twice_in_a_row_counts_once() -> None:
    """`timeout` signals the command and its group; a closing terminal and its shell both send SIGHUP."""
    with program("0.1") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGHUP)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "clean\n", "")


def test_a_forked_worker_does_not_clean_up() -> None:
    with stopped_by_signals():
        worker = os.fork()
        if not worker:
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                os._exit(0)
        _, status = os.waitpid(worker, 0)
    assert os.waitstatus_to_exitcode(status) == 143


@pytest.mark.parametrize(("number", "status", "said"), [(2, 130, ""), (15, 143, " by SIGTERM"), (1, 129, " by SIGHUP")])
def test_the_exit_status_names_the_signal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, status: int, said: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["dvd", "models"])
    monkeypatch.setattr("dvd.apps.models.run", lambda _: signal.raise_signal(number))
    assert cli.main() == status
    assert capsys.readouterr().err == f"dvd: stopped{said}\n"


def test_calls_from_python_do_not_touch_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("dvd.apps.models.run", lambda _: seen.append(signal.getsignal(signal.SIGTERM)) or 0)
    assert cli.main(["models"]) == 0
    assert seen == [signal.SIG_DFL]


SLOW_IMPORT = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("importing", flush=True)
            time.sleep(30)
sys.meta_path.insert(0, Slow())
sys.argv = ["dvd", "doctor"]
from dvd.apps.cli import main
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_during_the_import_of_torch_gives_one_line(number: int, status: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_IMPORT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "importing\n":
            assert process.poll() is None
        process.send_signal(number)
        _, err = process.communicate(timeout=10)
    assert process.returncode == status
    assert err.count("\n") == 1
    assert err.startswith("dvd: stopped")


@pytest.mark.slow
def test_a_closed_terminal_does_not_change_the_exit_status() -> None:
    """The last line cannot be written; the status is still the signal's."""
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_IMPORT], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while process.stdout.readline() != b"importing\n":
            assert process.poll() is None
        process.stdout.close()
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
        assert process.wait(10) == 129
