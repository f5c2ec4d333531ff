"""Files to figures: pairing, stacks, fields of view, and the sentences on what can't be compared."""

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_darl.errors import DarlError, FileError, InputError
from napari_darl.evaluation.metrics import MEASURES, Scores
from napari_darl.evaluation.pairing import pair_files
from napari_darl.evaluation.report import evaluate, markdown_table

LINE = np.zeros((40, 40), np.uint8)
LINE[20, 5:35] = 255
OTHER = LINE.T.copy()
PERFECT = Scores(1, 1, 1, 1, 1)


def write(folder, **images):
    folder.mkdir(exist_ok=True)
    for stem, image in images.items():
        iio.imwrite(folder / f"{stem}.png", image)
    return folder


@pytest.fixture
def truth(tmp_path):
    return write(tmp_path / "truth", frame_2=LINE, frame_10=OTHER)


def test_folders_pair_by_stem_without_endings(tmp_path, truth):
    masks = write(tmp_path / "masks", frame_10_mask=OTHER // 255, frame_2_mask=LINE)
    report = evaluate(masks, truth)
    assert list(report.frames) == ["frame_2", "frame_10"]
    assert report.mean == PERFECT


def test_probability_beside_a_mask_gives_areas_and_is_no_prediction(tmp_path, truth):
    masks = write(tmp_path / "masks", frame_2_mask=LINE, frame_10_mask=LINE)
    tifffile.imwrite(masks / "frame_2_probability.tif", LINE.astype(np.float32) / 300)
    report = evaluate(masks, truth)
    assert (report.frames["frame_2"].dice, report.frames["frame_2"].roc_auc) == (1, 1)
    assert report.frames["frame_10"].roc_auc is None
    assert report.mean.pr_auc == 1
    assert evaluate(masks / "frame_2_mask.png", truth / "frame_2.png").mean.roc_auc == 1


def test_lone_probability_is_thresholded_at_a_half(tmp_path, truth):
    path = tmp_path / "frame_2_probability.tif"
    tifffile.imwrite(path, np.where(OTHER, 0.4, 0.1).astype(np.float32))  # above half its maximum, yet no vessel
    assert evaluate(path, truth / "frame_2.png").mean.recall == 0
    tifffile.imwrite(path, np.where(LINE, 0.6, 0.4).astype(np.float32))
    scores = evaluate(path, truth / "frame_2.png").frames["frame_2"]
    assert (scores.dice, scores.roc_auc) == (1, 1)


def test_probability_out_of_range_is_refused(tmp_path, truth):
    tifffile.imwrite(tmp_path / "frame_2_probability.tif", LINE)
    with pytest.raises(InputError, match="values from 0 to 255"):
        evaluate(tmp_path / "frame_2_probability.tif", truth / "frame_2.png")


def test_by_order_pairs_in_natural_order(tmp_path, truth):
    masks = write(tmp_path / "masks", b2=LINE, b10=OTHER)
    assert evaluate(masks, truth, by_order=True).mean == PERFECT
    with pytest.raises(FileError, match=r"no partner for b2\.png, b10\.png\. .* by order"):
        evaluate(masks, truth)


def test_stacks_pair_page_by_page_with_the_maximum_of_the_file(tmp_path):
    prediction, truth = tmp_path / "run_mask.tif", tmp_path / "expert.tif"
    tifffile.imwrite(truth, np.stack([LINE, OTHER, 0 * LINE]), photometric="minisblack")
    tifffile.imwrite(prediction, np.stack([LINE, LINE, 0 * LINE + 1]), photometric="minisblack")
    report = evaluate(prediction, truth)
    assert list(report.frames) == ["run[0]", "run[1]", "run[2]"]
    assert report.frames["run[0]"] == report.frames["run[2]"] == PERFECT
    assert report.frames["run[1]"].dice < 0.1


def test_colour_masks_are_read(tmp_path, truth):
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = LINE
    masks = write(tmp_path / "masks", frame_2=red)
    assert evaluate(masks / "frame_2.png", truth / "frame_2.png").mean == PERFECT


def test_field_of_view_of_a_folder_and_of_one_page_for_all(tmp_path, truth):
    wrong = OTHER.copy()
    wrong[:, 30:] = 255
    masks = write(tmp_path / "masks", frame_2=LINE | wrong, frame_10=wrong)
    left = np.full((40, 40), 255, np.uint8)
    left[:, 30:] = 0
    views = write(tmp_path / "views", frame_2=left, frame_10_mask=left)
    assert evaluate(masks, truth).frames["frame_10"].precision < 0.5
    assert evaluate(masks, truth, fov=views).frames["frame_10"] == PERFECT
    assert evaluate(masks, truth, fov=views / "frame_2.png") == evaluate(masks, truth, fov=views)
    stack = tmp_path / "stack.tif"
    tifffile.imwrite(stack, np.stack([wrong, wrong]), photometric="minisblack")
    expert = tmp_path / "expert.tif"
    tifffile.imwrite(expert, np.stack([OTHER, OTHER]), photometric="minisblack")
    assert evaluate(stack, expert, fov=views / "frame_2.png").mean == PERFECT


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"frame_2": LINE}, "masks has no partner for frame_10.png"),
        ({"frame_2": LINE, "frame_10": LINE, "frame_11": LINE}, "truth has no partner for frame_11.png"),
        ({f"a{i}": LINE for i in range(5)}, r"partner for a0\.png, a1\.png, a2\.png and 2 more"),
        ({"frame_2": LINE, "frame_2_mask": LINE}, r"frame_2: frame_2\.png and frame_2_mask\.png"),
        ({"frame_2": LINE[1:], "frame_10": LINE}, r"1 frame of 39 x 40 pixels, .*1 frame of 40 x 40"),
        ({}, "holds no image"),
    ],
)
def test_says_what_does_not_pair(tmp_path, truth, files, message):
    masks = write(tmp_path / "masks", **files)
    with pytest.raises(DarlError, match=message) as caught:
        evaluate(masks, truth)
    assert "\n" not in str(caught.value)


def test_says_what_cannot_be_read(tmp_path, truth):
    masks = write(tmp_path / "masks", frame_2=LINE, frame_10=LINE)
    with pytest.raises(FileError, match="can't be paired"):
        evaluate(masks, truth / "frame_2.png")
    with pytest.raises(FileError, match="can't be paired"):
        evaluate(tmp_path / "missing", truth)
    with pytest.raises(FileError, match=r"missing\.png doesn't exist"):
        evaluate(tmp_path / "missing.png", truth / "frame_2.png")
    (masks / "frame_2.png").write_bytes(b"no image")
    with pytest.raises(FileError, match=r"frame_2\.png is damaged"):
        evaluate(masks, truth)
    write(masks, frame_3=LINE, frame_2=LINE)
    with pytest.raises(FileError, match=r"has 3 images and .* has 2\."):
        pair_files(masks, truth, by_order=True)


def test_says_which_mask_or_field_of_view_is_of_no_use(tmp_path, truth):
    blind = write(tmp_path, blind=0 * LINE) / "blind.png"
    with pytest.raises(InputError, match=r"frame_2: The field of view is empty\."):
        evaluate(truth, truth, fov=blind)
    tifffile.imwrite(tmp_path / "broken.tif", np.full((40, 40), np.nan, np.float32))
    with pytest.raises(InputError, match=r"broken\.tif: The mask holds NaN"):
        evaluate(tmp_path / "broken.tif", truth / "frame_2.png")


def test_report_as_table_and_as_json(tmp_path, truth):
    masks = write(tmp_path / "masks", frame_2=LINE, frame_10=0 * LINE)
    report = evaluate(masks, truth)
    lines = report.to_table().splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == ["frame", *MEASURES]
    assert [cell.strip() for cell in lines[-1].split("|")[1:-1]] == ["mean", *["0.500"] * 5, "-", "-"]
    data = json.loads(report.to_json())
    assert data["mean"]["dice"] == 0.5
    assert data["frames"]["frame_10"] == dict(zip(MEASURES, [0.0] * 5 + [None] * 2, strict=True))


def test_markdown_table_escapes_its_own_bars():
    assert markdown_table(("a", "b"), [("x|y", 1.0)]).splitlines()[-1] == "| x\\|y | 1.000 |"


def test_folders_that_arent_there_are_named(tmp_path):
    with pytest.raises(FileError, match="nowhere doesn't exist"):
        pair_files(tmp_path / "nowhere", tmp_path / "nor here")


def test_names_pair_however_their_accents_are_stored(tmp_path: Path) -> None:
    composed, decomposed = "L\u00e9sion", "Le\u0301sion"
    truth, masks = tmp_path / "truth", tmp_path / "masks"
    for folder, name in ((truth, decomposed), (masks, f"{composed}_mask")):
        folder.mkdir()
        iio.imwrite(folder / f"{name}.png", LINE)
    assert evaluate(masks, truth).mean.dice == 1
