"""Pictures: depth is kept, masks of older data sets are read, animations are refused."""

import builtins
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from napari_darl.errors import DarlWarning, FileError
from napari_darl.io.images import read_image

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 4096, (40, 50, 3), np.uint16)
COLOURS = RNG.integers(0, 256, (40, 50, 3), np.uint8)
GREY = COLOURS[..., 0]
MASK = np.zeros((40, 50), np.uint8)
MASK[10:20] = 255


@pytest.mark.parametrize("kind", ["rgb", "rgba", "grey and alpha"])
def test_16_bits_of_png_are_kept(tmp_path: Path, kind: str) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    alpha = np.full((40, 50, 1), 65535, np.uint16)
    pixels = {"rgb": DEEP, "rgba": np.dstack([DEEP, alpha]), "grey and alpha": np.dstack([DEEP[..., :1], alpha])}[kind]
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    image = read_image(tmp_path / "a.png")
    assert image.rgb == (kind != "grey and alpha")
    assert image.data.dtype == np.uint16
    np.testing.assert_array_equal(image.data, DEEP if image.rgb else DEEP[..., 0])


def test_lost_depth_gives_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(DEEP))
    usual = builtins.__import__

    def without(name: str, *args: Any) -> Any:
        if name == "imagecodecs":
            raise ImportError(name)
        return usual(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.warns(DarlWarning, match=r"a\.png: Of 16 bits, 8 were read"):
        image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.data, DEEP >> 8)


@pytest.mark.parametrize("suffix", ["gif", "pgm", "pbm", "pnm"])
def test_masks_of_older_data_sets_are_read(tmp_path: Path, suffix: str) -> None:
    picture = Image.fromarray(MASK)
    (picture.convert("1") if suffix == "pbm" else picture).save(tmp_path / f"a.{suffix}")
    image = read_image(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(image.data.max(axis=-1) if image.rgb else image.data, MASK)


def test_an_animation_is_refused(tmp_path: Path) -> None:
    for name in ("a.gif", "a.png"):
        frames = [Image.fromarray(np.roll(MASK, shift, 0)) for shift in (0, 5, 9)]
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(FileError, match="an animation of 3 frames"):
            read_image(tmp_path / name)


def test_orientation_in_exif_data_is_ignored(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(MASK).save(tmp_path / "a.jpg", exif=turned)
    assert read_image(tmp_path / "a.jpg").data.shape == MASK.shape
    assert iio.imread(tmp_path / "a.jpg").shape == MASK.shape  # as napari shows it


@pytest.mark.parametrize("suffix", ["png", "bmp", "PNG"])
def test_lossless_pictures(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    for data in (GREY, COLOURS):
        iio.imwrite(path, data)
        image = read_image(path)
        assert image.rgb == (data.ndim == 3)
        np.testing.assert_array_equal(image.data, data)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "PA"])
def test_pictures_of_other_modes(tmp_path, mode):
    picture = Image.fromarray(COLOURS).convert(mode if mode != "PA" else "P")
    options = {"transparency": 0} if mode == "PA" else {}
    picture.save(tmp_path / "a.png", **options)
    image = read_image(tmp_path / "a.png")
    grey = mode in ("1", "LA")
    assert image.rgb != grey
    assert image.data.dtype == np.uint8
    np.testing.assert_array_equal(image.data, picture.convert("L" if grey else "RGB"))


def test_16_bit_png_and_jpeg(tmp_path):
    iio.imwrite(tmp_path / "a.png", DEEP[..., 0])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").data, DEEP[..., 0])
    smooth = np.add.outer(np.arange(40), np.arange(50)).astype(np.uint8)
    iio.imwrite(tmp_path / "a.jpeg", smooth, quality=95)
    np.testing.assert_allclose(read_image(tmp_path / "a.jpeg").data, smooth, atol=3)
    iio.imwrite(tmp_path / "a.jpg", COLOURS)
    assert read_image(tmp_path / "a.jpg").rgb
    Image.fromarray(np.stack([smooth, smooth, 255 - smooth], -1)).convert("CMYK").save(tmp_path / "b.jpg", quality=95)
    colours = read_image(tmp_path / "b.jpg")
    np.testing.assert_allclose(colours.data[..., 1], smooth, atol=6)  # as RGB, not as CMYK
