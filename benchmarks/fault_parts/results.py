"""Faults in what other programs get: exported models, tables, refined models, folders of results, labels."""

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
import zarr

from fault_parts.common import MAIN, FaultError, command, enlarge, refused, small_disk, works
from napari_darl.io.arrays import ImageData
from napari_darl.io.ome_zarr import OmeZarr
from napari_darl.io.zarr_labels import labels_of
from napari_darl.models import DEFAULT, model_path
from napari_darl.samples import sample_angiogram

SAVE = """
import sys
from napari_darl import DarlError, Refinement, load_model
from napari_darl.cli.terminal import fail
try:
    Refinement(load_model(), 0.5, "free").save(sys.argv[1])
except DarlError as error:
    sys.exit(fail(str(error)))
"""

Arguments = list[object]

_KILLS = 4  # at even parts of the time that an undisturbed run takes


def files(folder: Path) -> dict[str, str]:
    """Return the hashes of all visible files in a folder."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def killed_while_labelling(folder: Path) -> str:
    """Kill a segmentation into the labels of an image, beside a label of somebody else."""
    image = folder / "slide.ome.zarr"
    frame = np.tile(sample_angiogram(), (2, 2))[:700, :900]
    layout = OmeZarr.of(ImageData(frame), frame.shape, (256, 256), "u1", image)
    layout.create(image, {})
    zarr.open_array(image / "0", mode="r+")[:] = frame
    zarr.create_group(image / "labels", attributes={"ome": {"version": "0.5", "labels": ["cells"]}})
    zarr.create_array(image / "labels" / "cells", shape=(4, 4), chunks=(4, 4), dtype="u1")[:] = 7
    before = files(image)
    arguments: Arguments = ["segment", image, "--labels", "vessels", "--device", "cpu", "--resize", "1.5"]
    start = time.monotonic()
    works(*arguments)
    took = time.monotonic() - start
    wanted = files(image / "labels" / "vessels")
    for number in range(1, _KILLS + 1):
        shutil.rmtree(image / "labels" / "vessels")
        (image / "labels" / "zarr.json").write_text(
            '{"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", "labels": ["cells"]}}}'
        )
        process = subprocess.Popen([sys.executable, "-c", MAIN, *map(str, arguments)], stderr=subprocess.DEVNULL)
        time.sleep(took * number / (_KILLS + 1))
        process.kill()
        process.wait()
        unfinished = (image / "labels" / "vessels" / ".darl-done").exists()
        if unfinished and labels_of(image) != ["cells"]:
            raise FaultError("an unfinished label is listed")
        works(*arguments)
        if files(image / "labels" / "vessels") != wanted or labels_of(image) != ["cells", "vessels"]:
            raise FaultError(f"another label after kill {number}")
    now = files(image)
    if any(now[name] != content for name, content in before.items() if name != "labels/zarr.json"):
        raise FaultError("something else was changed in the image")
    return f"{_KILLS} kills"


def full_disk_while_exporting(folder: Path) -> str:
    said = ""
    for form, suffix in (("onnx", ".onnx"), ("bioimageio", ".zip")):
        with small_disk(folder / f"disk{suffix}", 1):
            out = folder / f"disk{suffix}" / f"model{suffix}"
            said = refused("export", "default", "--format", form, "--output", out)
            if out.exists():
                raise FaultError("half a model was written")
            enlarge(out.parent)
            works("export", "default", "--format", form, "--output", out, "--overwrite")
    return said


def full_disk_while_measuring(folder: Path) -> str:
    works("segment", folder / "frame.tif", "--output", folder / "masks")
    works("measure", folder / "masks", "--output", folder / "whole")
    with small_disk(folder / "disk", 0.02):
        said = refused("measure", folder / "masks", "--output", folder / "disk")
        enlarge(folder / "disk")
        works("measure", folder / "masks", "--output", folder / "disk", "--overwrite")
        if files(folder / "disk") != files(folder / "whole"):
            raise FaultError("other tables than undisturbed")
    return said


def full_disk_while_saving_a_refined_model(folder: Path) -> str:
    with small_disk(folder / "disk", 1):
        said = refused(folder / "disk" / "refined.safetensors", program=SAVE)
        if list((folder / "disk").iterdir()):
            raise FaultError("half a model was written")
    return said


def damaged_refined_model(folder: Path) -> str:
    whole = model_path(DEFAULT).read_bytes()
    (folder / "refined.safetensors").write_bytes(whole[:-100])
    refused("export", folder / "refined.safetensors", "--output", folder / "out.onnx")
    return refused(
        "segment", folder / "frame.tif", "--model", folder / "refined.safetensors", "--output", folder / "out"
    )


def damaged_recipe(folder: Path) -> str:
    works("segment", folder / "frame.tif", "--output", folder / "masks", "--ome-tiff")
    mask = folder / "masks" / "frame_mask.ome.tif"
    content = mask.read_bytes()
    said = ""
    for damaged in (content[: len(content) // 2], content.replace(b"settings", b"sett?ngs"), b"", bytes(100)):
        mask.write_bytes(damaged)
        said = refused("segment", folder / "frame.tif", "--output", folder / "out", "--like", mask)
    return said


def damaged_corrections(folder: Path) -> str:
    works("segment", folder / "frame.tif", "--output", folder / "masks")
    mask = folder / "masks" / "frame_mask.tif"
    mask.write_bytes(mask.read_bytes()[:-200])
    inputs = ["--images", folder / "frame.tif", "--masks", mask]
    return refused("refine", *inputs, "--output", folder / "refined.safetensors")


def damaged_folder_of_results(folder: Path) -> str:
    """Damage one of two masks: neither it nor the other is replaced, and the other is measured all the same."""
    tifffile.imwrite(folder / "other.tif", sample_angiogram())
    batch: Arguments = ["segment", folder / "frame.tif", folder / "other.tif", "--output", folder / "out"]
    works(*batch)
    mask = folder / "out" / "frame_mask.tif"
    mask.write_bytes(mask.read_bytes()[:300])
    before = files(folder / "out")
    said = refused(*batch)
    if files(folder / "out") != before:
        raise FaultError("a result was replaced unasked")
    status, _ = command("measure", folder / "out", "--output", folder / "tables")
    if status != 2 or not (folder / "tables" / "other_segments.csv").exists():
        raise FaultError("the whole mask wasn't measured")
    works(*batch, "--overwrite")
    return said


RESULTS: dict[str, Callable[[Path], str]] = {
    "killed while writing labels into an image": killed_while_labelling,
    "full disk while exporting": full_disk_while_exporting,
    "full disk while measuring": full_disk_while_measuring,
    "full disk while saving a refined model": full_disk_while_saving_a_refined_model,
    "refined model cut short": damaged_refined_model,
    "recipe (mask for --like) damaged": damaged_recipe,
    "corrections cut short": damaged_corrections,
    "a mask of a folder of results cut short": damaged_folder_of_results,
}
