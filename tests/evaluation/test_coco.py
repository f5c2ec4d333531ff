"""Experts' masks as polygons in COCO files."""

import json
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

from napari_darl import FileError, evaluate
from napari_darl.evaluation.coco import read_coco

SQUARE = [[10, 20, 30, 20, 30, 25, 10, 25]]
TRIANGLE = [[0, 0, 40, 0, 0, 40]]


def coco(path: Path, annotations: list[dict[str, Any]], names: tuple[str, ...] = ("1.png", "2.png")) -> Path:
    images = [{"id": number, "file_name": name, "height": 40, "width": 50} for number, name in enumerate(names)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    return path


def piece(image: int, segmentation: Any, category: int = 1) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "segmentation": segmentation}


def test_pixels_whose_centres_lie_inside_are_vessel(tmp_path: Path) -> None:
    masks = read_coco(coco(tmp_path / "all.json", [piece(0, SQUARE), piece(0, TRIANGLE, 26)]))
    square, triangle = np.zeros((2, 40, 50), bool)
    square[20:25, 10:30] = True
    y, x = np.mgrid[:40, :50] + 0.5
    triangle = x + y < 40
    edge = np.abs(x + y - 40) < 1e-9  # centres on the slanting side
    assert np.array_equal(masks["1"].drawn()[~edge], (square | triangle)[~edge])
    assert not masks["2"].drawn().any()
    assert masks["2"].drawn().shape == (40, 50)


def test_evaluate_pairs_by_name(tmp_path: Path) -> None:
    truth = coco(tmp_path / "truth.json", [piece(0, SQUARE), piece(1, SQUARE)])
    folder = tmp_path / "masks"
    folder.mkdir()
    mask = np.zeros((40, 50), np.uint8)
    mask[20:25, 10:30] = 255
    iio.imwrite(folder / "1_mask.png", mask)
    mask[20:25, 20:30] = 0
    iio.imwrite(folder / "2_mask.png", mask)
    report = evaluate(folder, truth)
    assert report.frames["1"].dice == 1
    assert report.frames["2"].recall == 0.5
    assert list(evaluate(folder / "2_mask.png", truth).frames) == ["2"]
    (folder / "2_mask.png").unlink()
    with pytest.raises(FileError, match="masks has no partner for 2"):
        evaluate(folder, truth)
    iio.imwrite(folder / "3_mask.png", mask)
    with pytest.raises(FileError, match=r"truth.json has no partner for 3"):
        evaluate(folder, truth)


def test_shapes_that_differ_are_refused_by_name(tmp_path: Path) -> None:
    truth = coco(tmp_path / "truth.json", [piece(0, SQUARE)])
    iio.imwrite(tmp_path / "1.png", np.zeros((50, 40), np.uint8))
    with pytest.raises(Exception, match=r"1.png in .*truth.json has 1 frame of 40 x 50"):
        evaluate(tmp_path / "1.png", truth)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "isn't a COCO file"),
        ("[]", "isn't a COCO file"),
        ('{"images": []}', "isn't a COCO file"),
        (json.dumps({"images": [], "annotations": [piece(0, SQUARE)]}), "an image 0 that it doesn't list"),
        (json.dumps({"images": [], "annotations": [piece(0, {"counts": "a", "size": [1, 1]})]}), "run lengths"),
        (json.dumps({"images": [], "annotations": [piece(0, [[1, 2, 3, 4]])]}), "isn't a COCO file"),
        (
            '{"images": [{"id": 0, "file_name": "a", "height": 1e400, "width": 9}], "annotations": []}',
            "isn't a COCO file",
        ),
        (
            '{"images": [{"id": [0], "file_name": "a", "height": 9, "width": 9}], "annotations": []}',
            "isn't a COCO file",
        ),
        (json.dumps({"images": [], "annotations": [piece(0, [[10**400] * 6])]}), "isn't a COCO file"),
        (
            json.dumps({"images": [{"id": 0, "file_name": "9" * 5000, "height": 9, "width": 9}], "annotations": []}),
            "isn't a COCO file",
        ),
        (
            json.dumps({"images": [{"id": 0, "file_name": "a", "height": 10**9, "width": 10**9}], "annotations": []}),
            "isn't a COCO file",
        ),
    ],
)
def test_what_is_no_coco_file_of_polygons(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(FileError, match=told):
        read_coco(tmp_path / "bad.json")


def test_two_images_of_one_name_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="two images for '1'"):
        read_coco(coco(tmp_path / "twice.json", [], ("a/1.png", "b/1.png")))
    with pytest.raises(FileError, match=r"none\.json can't be read"):
        read_coco(tmp_path / "none.json")
