"""Every file format is read exactly, and a damaged file is refused by its name."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from eval_tree import write_tagged
from PIL import Image

from dvd.data import formats
from dvd.data.sources import BadSample

h5py = pytest.importorskip("h5py")
DEPTH_M = np.linspace(0.5, 40, 24 * 32, dtype=np.float32).reshape(24, 32)


def write_hdf5(path: Path, depth: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["dataset"] = depth


def write_exr(path: Path, depth: np.ndarray) -> None:
    library = pytest.importorskip("OpenEXR")
    header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
    library.File(header, {"Z": np.ascontiguousarray(depth)}).write(str(path))


FLOATS: dict[str, tuple[Callable, Callable]] = {
    "npy": (np.save, formats.read_npy),
    "npz": (lambda path, depth: np.savez_compressed(path, depth=depth), formats.read_npz),
    "hdf5": (write_hdf5, formats.read_hdf5),
    "dpt": (write_tagged, formats.read_dpt),
    "exr": (write_exr, formats.read_exr),
}
READERS = {**{name: reader for name, (_, reader) in FLOATS.items()}, "png": formats.read_png16}


@pytest.mark.parametrize("ending", FLOATS)
def test_depth_is_read_back_exactly(ending: str, tmp_path: Path) -> None:
    write, read = FLOATS[ending]
    path = tmp_path / f"depth.{ending}"
    write(path, DEPTH_M)
    read_back = read(path, 1)
    assert read_back.dtype == np.float32
    np.testing.assert_array_equal(read_back, DEPTH_M)
    np.testing.assert_array_equal(read(path, 4), DEPTH_M / 4)


@pytest.mark.parametrize("per_metre", [100, 256, 1000, 5000])
def test_16_bits_are_divided_exactly(per_metre: int, tmp_path: Path) -> None:
    stored = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(stored).save(tmp_path / "depth.png")
    expected = (stored.astype(np.float64) / per_metre).astype(np.float32)
    np.testing.assert_array_equal(formats.read_png16(tmp_path / "depth.png", per_metre), expected)


def test_16_bit_integers_and_a_channel_axis_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "depth.npz", millimetres=np.array([[500, 65535]], dtype=np.uint16))
    np.save(tmp_path / "depth.npy", DEPTH_M[..., None].astype(">f8"))
    np.testing.assert_array_equal(
        formats.read_npz(tmp_path / "depth.npz", 1000), np.array([[0.5, 65.535]], dtype=np.float32)
    )
    np.testing.assert_array_equal(formats.read_npy(tmp_path / "depth.npy", 1), DEPTH_M)


def test_unknown_flow_is_nan(tmp_path: Path) -> None:
    flow = np.random.default_rng(0).normal(0, 30, (3, 4, 2)).astype(np.float32)
    stored = flow.copy()
    for row, unknown in enumerate((1.6e9, np.nan, -2e9)):
        stored[row, row, row % 2] = unknown
        flow[row, row] = np.nan
    path = write_tagged(tmp_path / "frame_0001.flo", stored)
    read_back = formats.read_flo(path)
    assert read_back.dtype == np.float32
    np.testing.assert_array_equal(read_back, flow)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read"),
        (struct.pack("<fii", 1.5, 4, 3) + bytes(96), r"is not a \.flo file \(tag 1\.5, 4 × 3\)"),
        (struct.pack("<fii", 202021.25, 4, -3), r"is not a \.flo file"),
        (struct.pack("<fii", 202021.25, 4, 3) + bytes(48), "has 60 bytes; 4 × 3 need 108"),
    ],
)
def test_damaged_flow_is_named(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "a.flo").write_bytes(content)
    with pytest.raises(BadSample, match=rf"a\.flo: {why}"):
        formats.read_flo(tmp_path / "a.flo")


@pytest.mark.parametrize("ending", READERS)
def test_a_missing_an_empty_and_a_foreign_file_are_named(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"depth.{ending}"
    with pytest.raises(BadSample, match=rf"depth\.{ending}: is missing") as missing:
        READERS[ending](path, 1)
    assert missing.value.where == str(path)
    for content in (b"", b"<html>404 not found</html>"):
        path.write_bytes(content)
        with pytest.raises(BadSample, match=rf"depth\.{ending}: ") as refused:
            READERS[ending](path, 1)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("ending", READERS)
def test_a_truncated_file_is_named(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"depth.{ending}"
    noise = np.random.default_rng(0).integers(1, 65535, (24, 32)).astype(np.uint16)
    if ending == "png":
        Image.fromarray(noise).save(path)
    else:
        FLOATS[ending][0](path, noise.astype(np.float32))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(BadSample, match=rf"depth\.{ending}"):
        READERS[ending](path, 1)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.zeros((2, 3, 4), np.float32), "shape"),
        (np.zeros((0, 3), np.float32), "shape"),
        (np.zeros(5, np.float32), "shape"),
        (np.ones((2, 3), np.uint8), "type uint8"),
        (np.ones((2, 3), bool), "type bool"),
        (np.ones((2, 3), complex), "type complex"),
    ],
)
def test_arrays_that_are_not_depth_are_refused(values: np.ndarray, why: str, tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", values)
    with pytest.raises(BadSample, match=f"depth.npy: .*{why}"):
        formats.read_npy(tmp_path / "depth.npy", 1)


def test_code_in_an_array_is_never_run(tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BadSample, match=r"depth\.npy"):
        formats.read_npy(tmp_path / "depth.npy", 1)


def test_a_wrong_or_ambiguous_key_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", depth=DEPTH_M, mask=DEPTH_M)
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["position"] = DEPTH_M
        file.create_group("dataset_group")
    np.testing.assert_array_equal(formats.read_npz(tmp_path / "two.npz", 1, "depth"), DEPTH_M)
    with pytest.raises(BadSample, match="exactly one array; it holds depth, mask"):
        formats.read_npz(tmp_path / "two.npz", 1)
    with pytest.raises(BadSample, match="no 'dataset'; it holds dataset_group, position"):
        formats.read_hdf5(tmp_path / "other.hdf5", 1)
    with pytest.raises(BadSample, match=r"other\.hdf5"):
        formats.read_hdf5(tmp_path / "other.hdf5", 1, "dataset_group")


def test_archives_and_bare_arrays_are_distinguished(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", depth=DEPTH_M)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", DEPTH_M)
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    with pytest.raises(BadSample, match="is an archive"):
        formats.read_npy(tmp_path / "a.npy", 1)
    with pytest.raises(BadSample, match="is a bare array"):
        formats.read_npz(tmp_path / "b.npz", 1)


def test_8_bit_depth_and_16_bit_images_are_refused(tmp_path: Path) -> None:
    Image.new("L", (4, 3)).save(tmp_path / "gray.png")
    Image.fromarray(np.ones((3, 4), np.uint16)).save(tmp_path / "depth.png")
    with pytest.raises(BadSample, match="is L, not 16-bit gray"):
        formats.read_png16(tmp_path / "gray.png", 1000)
    with pytest.raises(BadSample, match="is it depth"):
        formats.read_rgb(tmp_path / "depth.png")


def test_a_mask_beside_an_array_makes_depth_unknown(tmp_path: Path) -> None:
    np.save(tmp_path / "a_depth.npy", DEPTH_M[..., None])
    np.save(tmp_path / "a_depth_mask.npy", (np.arange(24 * 32).reshape(24, 32) % 3 > 0).astype(np.float32))
    read_back = formats.read_masked_npy(tmp_path / "a_depth.npy", 1)
    np.testing.assert_array_equal(read_back, np.where(np.arange(24 * 32).reshape(24, 32) % 3 > 0, DEPTH_M, 0))
    np.save(tmp_path / "a_depth_mask.npy", np.ones((2, 2)))
    with pytest.raises(BadSample, match=r"a_depth_mask\.npy: has shape \(2, 2\), and its depth \(24, 32\)"):
        formats.read_masked_npy(tmp_path / "a_depth.npy", 1)


def test_floats_without_a_header_are_one_row(tmp_path: Path) -> None:
    path = tmp_path / "DSC_1.JPG"
    path.write_bytes(DEPTH_M.tobytes())
    np.testing.assert_array_equal(formats.read_bare(path, 1), DEPTH_M.reshape(1, -1))
    path.write_bytes(DEPTH_M.tobytes()[:-1])
    with pytest.raises(BadSample, match=r"DSC_1\.JPG: has 3071 bytes"):
        formats.read_bare(path, 1)


def test_the_ending_chooses_the_format(tmp_path: Path) -> None:
    stored = np.array([[500, 65535]], dtype=np.uint16)
    Image.fromarray(stored).save(tmp_path / "0.png")
    np.save(tmp_path / "0.npy", stored)
    np.savez(tmp_path / "0.npz", stored)
    for ending in ("png", "npy", "npz"):
        np.testing.assert_array_equal(
            formats.read_by_ending(tmp_path / f"0.{ending}", 1000), np.array([[0.5, 65.535]], np.float32)
        )


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_images_are_read_as_rgb(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 24), (204, 204, 204)).convert(mode)
    image.save(tmp_path / "image.png")
    rgb = formats.read_rgb(tmp_path / "image.png")
    assert rgb.shape == (24, 32, 3)
    assert rgb.dtype == np.uint8
    np.testing.assert_array_equal(rgb, 204)


def test_pixels_are_not_rotated_by_exif(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 24))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert formats.read_rgb(tmp_path / "turned.jpg").shape == (24, 32, 3)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "image.jpg")
    content = (tmp_path / "image.jpg").read_bytes()
    (tmp_path / "image.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadSample, match=r"image\.jpg: cannot be read"):
        formats.read_rgb(tmp_path / "image.jpg")
