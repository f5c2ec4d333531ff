"""`napari-darl refine`: corrected masks in, a model file or the original out."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from napari_darl import load_model, segment
from napari_darl.cli.commands import main
from napari_darl.samples import sample_angiogram


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two images and their masks, drawn wider than the model does; a third image that nobody corrected."""
    frame = sample_angiogram()
    for number, (top, left) in enumerate(((60, 150), (180, 150), (180, 250))):
        part = frame[top : top + 128, left : left + 128]
        folder = tmp_path / ("others" if number == 2 else "images")
        folder.mkdir(exist_ok=True)
        iio.imwrite(folder / f"frame_{number}.png", part)
        if number < 2:
            (tmp_path / "masks").mkdir(exist_ok=True)
            mask = binary_dilation(segment(part, resize=1), iterations=2).astype(np.uint8) * np.uint8(255)
            mask[:20] = 128
            iio.imwrite(tmp_path / "masks" / f"frame_{number}_mask.png", mask)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["napari-darl", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def words(folders: Path) -> list[object]:
    return ["refine", "--images", folders / "images", "--masks", folders / "masks", "--resize", 1, "--device", "cpu"]


@pytest.mark.usefixtures("quick_refining")
def test_a_refined_model_is_written_and_used_with_its_threshold(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = folders / "refined.safetensors"
    assert run(monkeypatch, *words(folders), "--others", folders / "others", "--output", output) == 0
    assert "anchored" in capsys.readouterr().out
    model = load_model(output, "cpu")
    assert model.info["refined"]["labelled_pixels"] == 2 * 108 * 128
    assert run(monkeypatch, *words(folders), "--output", output) == 2  # never replaced unasked

    masks = folders / "new"
    image = folders / "others" / "frame_2.png"
    assert run(monkeypatch, "segment", image, "--output", masks, "--model", output, "--resize", 1) == 0
    written = iio.imread(masks / "frame_2_mask.tif") > 0
    assert (written == segment(iio.imread(image), model, resize=1)).all()


def test_masks_with_other_values_are_refused_by_name(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folders / "masks" / "frame_1_mask.png"
    iio.imwrite(path, np.full((128, 128), 77, np.uint8))
    assert run(monkeypatch, *words(folders), "--output", folders / "refined.safetensors") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert path.name in told
    assert "77" in told
    assert not (folders / "refined.safetensors").exists()
