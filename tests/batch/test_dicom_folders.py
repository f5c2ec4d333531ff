"""`napari-darl segment` on DICOM as media and exports have it: a folder of slices, a DICOMDIR, and several series."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")

import pydicom
from command_line import run
from dicom_files import dataset, saved

from napari_darl import segment
from napari_darl.inference.loading import load_model
from napari_darl.io.images import read_image
from napari_darl.io.output import read_description
from napari_darl.samples import sample_angiogram

SLICES = np.stack([sample_angiogram()[8 * n : 8 * n + 96, :112] for n in range(3)])


def write(folder: Path, series: str) -> Path:
    """Write slices, the last one first."""
    folder.mkdir(exist_ok=True)
    for at in range(3):
        place = {"ImagePositionPatient": ["0", "0", str(2 * at)], "ImageOrientationPatient": list("100010")}
        made = dataset(SLICES[at], SeriesInstanceUID=series, SeriesNumber=3, PixelSpacing=["0.5", "0.4"], **place)
        saved(folder / f"IM{series[-1]}{9 - at}", made)
    return folder


def test_a_folder_of_slices_becomes_one_mask(tmp_path: Path, untrained_path: Path) -> None:
    folder, out = write(tmp_path / "heart", "1.2.3"), tmp_path / "out"
    command = ("segment", folder, "--output", out, "--model", untrained_path, "--device", "cpu")
    assert run(*command) == 0
    [mask] = out.iterdir()
    assert mask.name == "heart_mask.tif"
    expected = segment(SLICES, load_model(untrained_path, "cpu"))
    np.testing.assert_array_equal(read_image(mask).data > 0, expected)
    description = read_description(mask)
    assert description is not None
    assert description["notes"]["geometry"] == {
        "scale": [2.0, 0.5, 0.4],
        "units": ["mm", "mm", "mm"],
        "axis_labels": ["z", "y", "x"],
    }
    assert "source" not in description["provenance"]
    before = mask.stat().st_mtime_ns
    assert run(*command) == 0
    assert mask.stat().st_mtime_ns == before


def test_several_series_in_a_folder_are_told(
    tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "export", "1.2.3")
    folder = write(tmp_path / "export", "1.2.4")
    assert run("segment", folder, "--output", tmp_path / "out", "--model", untrained_path) == 2
    assert "holds several series (series 3 (XA): 3 files of 96 x 112; series 3 (XA)" in capsys.readouterr().err


def test_a_dicomdir_becomes_one_mask(tmp_path: Path, untrained_path: Path) -> None:
    write(tmp_path / "S1", "1.2.3")
    index = dataset(SLICES[0])
    index.file_meta.MediaStorageSOPClassUID = index.SOPClassUID = "1.2.840.10008.1.3.10"
    del index.PixelData
    index.DirectoryRecordSequence = [pydicom.Dataset() for _ in range(3)]
    for at, record in enumerate(index.DirectoryRecordSequence):
        record.ReferencedFileID = ["S1", f"IM3{9 - at}"]
    path = saved(tmp_path / "DICOMDIR", index)
    assert run("segment", path, "--output", tmp_path / "out", "--model", untrained_path, "--device", "cpu") == 0
    [mask] = (tmp_path / "out").iterdir()
    expected = segment(SLICES, load_model(untrained_path, "cpu"))
    np.testing.assert_array_equal(read_image(mask).data > 0, expected)
