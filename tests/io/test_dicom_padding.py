"""DICOM padding: values that stand for nothing are masked, whether they are rescaled, inverted or signed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import COLOURS, DEEP, SIGNED, dataset, reread, saved

from napari_darl import segment, segment_probability
from napari_darl.errors import DarlWarning
from napari_darl.inference.loading import Model
from napari_darl.io.images import read_image
from napari_darl.samples import sample_angiogram


def masked(folder: Path, made: Any) -> Any:
    data = read_image(saved(folder / "a.dcm", made)).data
    return np.ma.getmaskarray(data)


def padded(values: np.ndarray, value: int) -> np.ndarray:
    made = values.copy()
    made[..., :7, :] = value
    made[..., 20, 30] = value
    return made


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    "elements", [{}, {"PhotometricInterpretation": "MONOCHROME1"}, {"RescaleSlope": "-0.5", "RescaleIntercept": "3"}]
)
def test_padding_is_masked_however_values_are_shown(tmp_path: Path, implicit: bool, elements: dict[str, str]) -> None:
    data = padded(DEEP, 4095)
    made = dataset(data, 12, PixelPaddingValue=4095, **elements)
    if implicit:
        made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    np.testing.assert_array_equal(masked(tmp_path, made), data == 4095)


@pytest.mark.parametrize("kind", ["SS", "US"])
def test_padding_of_signed_values(tmp_path: Path, kind: str) -> None:
    data = padded(np.maximum(SIGNED, -1999), -2000)
    made = dataset(data, 16)
    made.add_new(0x00280120, kind, -2000 if kind == "SS" else 2**16 - 2000)
    np.testing.assert_array_equal(masked(tmp_path, made), data == -2000)


def test_a_range_of_padding(tmp_path: Path) -> None:
    made = dataset(DEEP, 12, PixelPaddingValue=0, PixelPaddingRangeLimit=1000)
    np.testing.assert_array_equal(masked(tmp_path, made), DEEP <= 1000)
    assert reread(tmp_path, made).padding == (0, 1000)
    turned = reread(tmp_path, dataset(DEEP, 12, PixelPaddingValue=0, PhotometricInterpretation="MONOCHROME1"))
    assert turned.padding == (4095, 4095)
    assert turned.inverted


def test_padding_that_means_nothing_is_ignored(tmp_path: Path) -> None:
    made = dataset(COLOURS, modality="OP", PixelPaddingValue=0)
    assert not masked(tmp_path, made).any()
    made = dataset(DEEP, 12)
    made.add_new(0x00280120, "US", [3, 4])
    assert not masked(tmp_path, made).any()
    assert not masked(tmp_path, dataset(DEEP, 12, PixelPaddingRangeLimit=7)).any()


def test_padding_changes_nothing_in_the_rest_of_the_mask(tmp_path: Path, untrained: Model) -> None:
    frame = sample_angiogram()[100:228, 60:220].astype(np.uint16) * 4
    data = frame.copy()
    data[:20] = 4095
    image = read_image(saved(tmp_path / "a.dcm", dataset(data, 12, PixelPaddingValue=4095)))
    with pytest.warns(DarlWarning, match=r"a\.dcm has 3,200 of 20,480 pixels without a value"):
        mask = segment(image, untrained, resize=1)
    assert not mask[:20].any()
    floats = frame.astype(np.float64)
    floats[:20] = np.nan
    with pytest.warns(DarlWarning):
        wanted = segment_probability(floats, untrained, resize=1)
    np.testing.assert_array_equal(mask, wanted > 0.5)
