"""A file is there whole or not at all."""

from pathlib import Path

import pytest

from dvd.errors import OutputError
from dvd.evaluate.whole_file import replacing


def test_it_takes_the_place_of_what_was_there_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    for text in (b"one", b"two"):
        with replacing(path) as file:
            file.write(text)
        assert path.read_bytes() == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(28, "No space left on device"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_of_one_that_failed_nothing_is_left(error: BaseException, raised: type, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"one")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"tw")
            raise error

    with pytest.raises(raised, match=r"a\.json: cannot be written \(No space" if raised is OutputError else None):
        fail()
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]
