import numpy as np
import pytest

from napari_darl.errors import InputError
from napari_darl.samples import sample_angiogram, sample_fundus, sample_path


@pytest.mark.parametrize("name", ["angiogram", "angiogram_2"])
def test_samples_are_grey_frames_with_contrast(name: str) -> None:
    frame = sample_angiogram(name)
    assert frame.shape == (512, 512)
    assert frame.dtype == np.uint8
    dark, bright = np.percentile(frame, [1, 99])
    assert bright - dark > 80


def test_the_samples_are_two_different_frames() -> None:
    assert not np.array_equal(sample_angiogram(), sample_angiogram("angiogram_2"))


def test_the_fundus_is_a_colour_photograph_with_a_dark_surround() -> None:
    photograph = sample_fundus()
    assert photograph.shape == (960, 999, 3)
    assert photograph.dtype == np.uint8
    assert photograph[:20, :20].max() < 20
    red, green, blue = photograph[430:530, 600:700].mean(axis=(0, 1))
    assert red > green > blue
    assert sample_path("fundus").stat().st_size <= 200_000


def test_every_picture_in_the_folder_is_attributed() -> None:
    folder = sample_path().parent
    pictures = {path.name for path in folder.iterdir() if path.suffix not in (".md", ".py", "")}
    attribution = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert sample_path("angiogram_2").name in pictures
    assert all(f"`{name}`" in attribution for name in pictures)


def test_an_unknown_sample_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"no sample named 'retina'\. Choose one of angiogram, angiogram_2, fundus"):
        sample_path("retina")
    with pytest.raises(InputError, match=r"no sample named 'fundus'\. Choose one of angiogram, angiogram_2\."):
        sample_angiogram("fundus")
