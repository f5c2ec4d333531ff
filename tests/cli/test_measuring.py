"""The commands measure and stenosis, and segment --measure."""

import csv
import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr
from command_line import run

from napari_darl.io.arrays import ImageData
from napari_darl.io.identity import content_hash
from napari_darl.io.images import read_image
from napari_darl.io.output import write_mask
from napari_darl.samples import sample_angiogram
from napari_darl.synthetic.raster import Segments, rasterise


def vessel(radius: float = 4.0, length: float = 100.0, outline: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Mask and thickness of a straight vessel that slants."""
    end = np.array([[20.3, 14.2], [20.3 + 0.3 * length, 14.2 + 0.954 * length]])
    one = np.ones(1)
    drawn = rasterise(
        (80, 140), Segments(end[:1], end[1:], np.full((1, 2), radius), np.zeros(1, int), one, one), outline
    )
    return drawn.mask, drawn.thickness


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    folder = tmp_path / "masks"
    for name, radius in (("a_mask.tif", 4.0), ("b_mask.tif", 6.0)):
        write_mask(folder / name, ImageData(vessel(radius)[0], pixel_size=(0.5, 0.5), unit="mm"), provenance={})
    (folder / "a_probability.tif").write_bytes(b"left alone")
    return folder


def test_measure_writes_tables_in_the_unit_of_the_file(
    masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("measure", masks, "--output", out, "--json") == 0
    told = capsys.readouterr()
    assert {path.name for path in out.iterdir()} == {
        *(f"{stem}_{kind}.csv" for stem in "ab" for kind in ("segments", "branch_points")),
        "summary.csv",
        "measurements.json",
    }
    (row,) = rows(out / "b_segments.csv")
    assert float(row["length"]) == pytest.approx(0.5 * 112, rel=0.015)
    assert float(row["diameter"]) == pytest.approx(6, abs=0.1)
    assert (row["unit"], row["start"], row["end"]) == ("mm", "-1", "-1")
    assert rows(out / "a_branch_points.csv") == []
    summary = rows(out / "summary.csv")
    assert [line["file"] for line in summary] == ["a", "b"]
    assert {line["pixel_size_from"] for line in summary} == {"file a_mask.tif", "file b_mask.tif"}
    assert json.loads(told.out)["b"]["length"] == pytest.approx(float(row["length"]), rel=1e-5)
    source = json.loads((out / "measurements.json").read_text(encoding="utf-8"))["files"]["a"]
    assert source["mask"]["name"] == "a_mask.tif"
    assert len(source["mask"]["sha256"]) == 64
    assert "PIXELS" not in told.err
    assert run("measure", masks, "--output", out) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run("measure", masks, "--output", out, "--overwrite", "--pixel-size", "2,1", "--unit", "µm") == 0
    assert capsys.readouterr().err.count("sides of 2 and 1. If it is one number, pass 2.1.") == 1
    assert {line["pixel_size_y"] for line in rows(out / "summary.csv")} == {"2"}


def test_a_detectors_pixel_size_isnt_the_patients(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ImageData(vessel()[0], pixel_size=(0.3, 0.3), unit="mm", at_detector=True)
    write_mask(tmp_path / "xa_mask.tif", told, provenance={})
    assert run("measure", tmp_path / "xa_mask.tif", "--output", tmp_path / "out") == 0
    assert "Measured in PIXELS. The file's pixel size is the detector's" in capsys.readouterr().err
    (row,) = rows(tmp_path / "out" / "xa_segments.csv")
    assert row["unit"] == "px"
    assert float(row["length"]) == pytest.approx(108, rel=0.015)


def test_measure_movies_labels_volumes_images_and_fields_of_view(tmp_path: Path) -> None:
    mask, thickness = vessel()
    movie = np.stack([np.zeros_like(mask), mask, mask])
    write_mask(tmp_path / "run_mask.tif", ImageData(movie, frame_time=40), provenance={})
    tifffile.imwrite(
        tmp_path / "run.tif", np.stack([200 - 5 * thickness] * 3).astype(np.uint8), photometric="minisblack"
    )
    iio.imwrite(tmp_path / "fov.png", np.where(np.arange(140) < 70, 255, 0)[None].repeat(80, 0).astype(np.uint8))
    options = ("--images", tmp_path / "run.tif", "--fov", tmp_path / "fov.png")
    assert run("measure", tmp_path / "run_mask.tif", "--output", tmp_path / "movie", *options) == 0
    summary = rows(tmp_path / "movie" / "summary.csv")
    assert [line["time"] for line in summary] == ["0", "40", "80"]
    assert float(summary[1]["area_density"]) == pytest.approx(100 * mask[:, :70].mean(), rel=1e-4)
    found = rows(tmp_path / "movie" / "run_segments.csv")
    assert [row["frame"] for row in found] == ["1", "2"]
    assert float(found[0]["diameter_profile"]) == pytest.approx(8 * 0.75**0.5, abs=0.5)
    assert run("measure", tmp_path / "run_mask.tif", "--output", tmp_path / "volume", "--volume") == 0
    assert "volume_density" in rows(tmp_path / "volume" / "summary.csv")[0]
    tifffile.imwrite(tmp_path / "labels.tif", np.where(mask, 3, 0).astype(np.uint8))
    assert run("measure", tmp_path / "labels.tif", "--output", tmp_path / "labels", "--labels") == 0
    assert rows(tmp_path / "labels" / "labels_segments.csv")[0]["label"] == "3"


def test_segment_and_measure_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    iio.imwrite(tmp_path / "frame.png", sample_angiogram()[128:288, 128:288])
    command = ("segment", tmp_path / "frame.png", "--output", tmp_path / "out", "--measure")
    assert run(*command) == 0
    assert len(rows(tmp_path / "out" / "frame_segments.csv")) > 3
    assert "diameter_profile" in rows(tmp_path / "out" / "frame_segments.csv")[0]
    mask, summary = tmp_path / "out" / "frame_mask.tif", tmp_path / "out" / "summary.csv"
    iio.imwrite(tmp_path / "second.png", sample_angiogram()[:160, :160])
    assert run(*command, tmp_path / "second.png") == 0  # tables that nobody has changed are written again
    assert [row["file"] for row in rows(summary)] == ["frame", "second"]
    mask.unlink()
    summary.write_text(summary.read_text() + "a note\n")
    capsys.readouterr()
    assert run(*command) == 2
    assert "summary.csv" in capsys.readouterr().err
    assert not mask.exists()


def test_a_summary_that_loses_masks_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "abcde":
        iio.imwrite(tmp_path / f"{name}.png", sample_angiogram()[200:296, 200:312])
    command = ("segment", "--output", tmp_path / "out", "--measure")
    assert run(*command, *(tmp_path / f"{name}.png" for name in "abcd")) == 0
    assert run(*command, tmp_path / "a.png", *(tmp_path / f"{name}.png" for name in "bcde")) == 0
    assert "no longer" not in capsys.readouterr().err
    assert run(*command, tmp_path / "a.png") == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "hold the masks of this call, and no longer b, c, d and 1 more." in told
    assert [row["file"] for row in rows(tmp_path / "out" / "summary.csv")] == ["a"]
    assert len(rows(tmp_path / "out" / "b_segments.csv")) > 0


def test_a_bad_mask_is_reported_and_the_others_are_measured(
    masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (masks / "bad_mask.tif").write_bytes((masks / "a_mask.tif").read_bytes()[:200])
    assert run("measure", masks, "--output", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert "2 measured, 1 failed" in told
    assert told.splitlines()[-1].startswith(f"error: {masks / 'bad_mask.tif'}")
    assert [row["file"] for row in rows(tmp_path / "out" / "summary.csv")] == ["a", "b"]


def test_stenosis_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask, thickness = vessel(8.0)
    mask[:, 58:70] &= vessel(4.0)[0][:, 58:70]
    write_mask(tmp_path / "m_mask.tif", mask, provenance={})
    command = ("stenosis", tmp_path / "m_mask.tif", "--from", "24,26", "--to", "46,98")
    assert run(*command, "--output", tmp_path / "path.csv") == 0
    told = capsys.readouterr()
    assert "percent_diameter" in told.out
    assert "PIXELS" in told.err
    path = rows(tmp_path / "path.csv")
    assert min(float(row["diameter"]) for row in path) == pytest.approx(8, abs=1)
    assert run(*command, "--pixel-size", "0.2", "--unit", "mm", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["percent_diameter"] == pytest.approx(50, abs=5)
    assert values["reference_diameter"] == pytest.approx(3.2, abs=0.1)
    np.save(tmp_path / "i.npy", 100 - 3 * thickness.astype(np.float32))
    by_catheter = ("--image", tmp_path / "i.npy", "--catheter", "26,32,44,90", "--french", "6", "--json")
    assert run(*command, *by_catheter) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["unit"], values["pixel_size_from"], values["diameters_from"]) == ("mm", "catheter of 6 F", "image")
    assert values["reference_diameter"] == pytest.approx(2 * 0.75**0.5, abs=0.15)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("measure", "nosuch", "--output", "out"), "nosuch"),
        (("measure", "masks", "--output", "out", "--pixel-size", "2"), "--unit"),
        (("measure", "masks", "--output", "out", "--unit", "mm"), "--pixel-size"),
        (("measure", "masks", "--output", "out", "--pixel-size", "wide", "--unit", "mm"), "wide"),
        (("measure", "masks", "--output", "out", "--pixel-size", "1,2,3", "--unit", "mm"), "2 axes"),
        (("measure", "masks", "--output", "out", "--pixel-size", "-1", "--unit", "mm"), "-1"),
        (("measure", "masks", "--output", "out", "--images", "masks/a_mask.tif"), "2 masks"),
        (("measure", "masks", "masks", "--output", "out"), "both become"),
        (("measure", "masks", "--output", "out", "--fov", "empty"), "empty"),
        (("stenosis", "masks/a_mask.tif", "--from", "24", "--to", "46,98"), "--from"),
        (("stenosis", "masks/a_mask.tif", "--from", "0,130", "--to", "46,98"), "no vessel at"),
        (("stenosis", "masks/a_mask.tif", "--from", "24,26", "--to", "46,98", "--frame", "4"), "no frame 4"),
        (("stenosis", "masks/a_mask.tif", "--from", "24,26", "--to", "46,98", "--catheter", "1,2,3,4"), "--french"),
    ],
)
def test_one_line_says_what_is_wrong(
    masks: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.chdir(masks.parent)
    Path("empty").mkdir()
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.splitlines()[-1].startswith("error: ")
    assert not Path("out").exists()


def test_masks_in_zarr_are_measured_and_evaluated_like_tiff(
    masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_darl.io.ome_zarr import OmeZarr

    folder, out = tmp_path / "zarr", tmp_path / "out"
    folder.mkdir()
    for name in "ab":
        image = read_image(masks / f"{name}_mask.tif")
        path = folder / f"{name}_mask.ome.zarr"
        OmeZarr.of(image, image.data.shape, (64, 64), np.uint8, path).create(path, {})
        zarr.open_array(path / "0", mode="r+")[:] = image.data > 0
    assert run("measure", folder, "--output", out, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["a"]["unit"] == "mm"
    assert found["a"]["length"] == pytest.approx(0.5 * 108, rel=0.015)
    assert run("measure", folder / "b_mask.ome.zarr", "--output", tmp_path / "one") == 0
    assert (tmp_path / "one" / "b_segments.csv").is_file()
    known = json.loads((out / "measurements.json").read_text())["files"]["a"]["mask"]
    assert known == {"name": "a_mask.ome.zarr", "sha256": content_hash(folder / "a_mask.ome.zarr")}
    (masks / "a_probability.tif").unlink()
    assert run("evaluate", folder, masks, "--json") == 0
    assert json.loads(capsys.readouterr().out)["mean"]["dice"] == 1
