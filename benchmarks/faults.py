"""Inject faults, and check that each ends with a clear message and that nothing is lost.

    python benchmarks/faults.py [--only TEXT]

The faults are a full disk (a small file system in memory; needs root on Linux, else it is skipped), files that are
truncated, replaced or removed, two runs with the same output, and memory that runs out in the network. Each is injected
into processes of the command line. A fault passes if the command exits with status 2 (or 0 if it can continue) with one
"error:" line and no traceback, and if the same command gives the result of an undisturbed run after the fault is
removed. `kills.py` kills processes at random moments, and `scale.py` kills workers.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
import zarr
from fault_parts.common import FaultError, command, enlarge, refused, same, small_disk, works
from fault_parts.results import RESULTS

from napari_darl.evaluation.report import markdown_table
from napari_darl.models import DEFAULT, model_path
from napari_darl.samples import sample_angiogram
from napari_darl.training.run_folder import RunFolder

FORGETFUL = """
import torch
from napari_darl.inference import predictor
path_a, calls = predictor.path_a, []
def forgetful(*options):
    run = path_a(*options)
    def fails(tiles, t):
        calls.append(1)
        if len(tiles) > 1 or len(calls) == {fatal}:
            raise torch.OutOfMemoryError("out of memory")
        return run(tiles, t)
    return fails
predictor.path_a = forgetful
from napari_darl.cli import main
main()
"""


def full_disk_while_segmenting(folder: Path, segment: list[object], plain: Path) -> str:
    with small_disk(folder / "disk", 0.75):
        out = folder / "disk" / "out"
        said = refused(*segment, "--probability", "--output", out)
        enlarge(folder / "disk")
        works(*segment, "--probability", "--output", out)
        same(out / "in_mask.ome.zarr", plain / "in_mask.ome.zarr")
    return said


def full_disk_while_training(folder: Path, segment: list[object], plain: Path) -> str:
    with small_disk(folder / "disk", 100):
        run = folder / "disk" / "run"
        train = ["train", "--angiograms", folder / "frame.tif", "--output", run, "--device", "cpu"]
        works(*train, "--steps", 2)
        saved = RunFolder(run).saved_step()
        used = shutil.disk_usage(folder / "disk").free
        (folder / "disk" / "others").write_bytes(bytes(used - 2**20))
        said = refused(*train, "--steps", 4, "--resume")
        if RunFolder(run).saved_step() != saved:
            raise FaultError("what was saved is lost")
        (folder / "disk" / "others").unlink()
        works(*train, "--steps", 4, "--resume")
    return said


def truncated_image(folder: Path, segment: list[object], plain: Path) -> str:
    whole = (folder / "frame.tif").read_bytes()
    (folder / "cut.tif").write_bytes(whole[: len(whole) // 2])
    refused("segment", folder / "cut.tif", "--zarr", "--output", folder / "out")
    return refused("segment", folder / "cut.tif", "--output", folder / "out")


def swapped_model(folder: Path, segment: list[object], plain: Path) -> str:
    model = bytearray(model_path(DEFAULT).read_bytes())
    (folder / "cut.safetensors").write_bytes(model[: len(model) // 2])
    refused("segment", folder / "frame.tif", "--model", folder / "cut.safetensors", "--output", folder / "out")
    (folder / "other.safetensors").write_bytes((folder / "frame.tif").read_bytes())
    return refused("segment", folder / "frame.tif", "--model", folder / "other.safetensors", "--output", folder / "out")


def changed_source(folder: Path, segment: list[object], plain: Path) -> str:
    """Replace an image that is half segmented."""
    out = folder / "out"
    command(*segment, "--output", out, program=FORGETFUL.format(fatal=5))
    shutil.move(folder / "in.zarr", folder / "kept.zarr")
    zarr.create_array(folder / "in.zarr", shape=(700, 900), chunks=(256, 256), dtype="u1")[:] = sample_angiogram()[0, 0]
    said = refused(*segment, "--output", out)
    shutil.rmtree(folder / "in.zarr")
    shutil.move(folder / "kept.zarr", folder / "in.zarr")
    works(*segment, "--output", out)
    same(out / "in_mask.ome.zarr", plain / "in_mask.ome.zarr")
    return said


def two_runs(folder: Path, segment: list[object], plain: Path) -> str:
    out = folder / "out"
    first = subprocess.Popen(
        [sys.executable, "-c", "from napari_darl.cli import main; main()", *map(str, segment), "--output", str(out)],
        stderr=subprocess.DEVNULL,
    )
    while not (out / ".in_mask.ome.zarr.lock").exists():
        if first.poll() is not None:
            raise FaultError("the first run ended at once")
    said = refused(*segment, "--output", out)
    if first.wait():
        raise FaultError("the first run failed")
    same(out / "in_mask.ome.zarr", plain / "in_mask.ome.zarr")
    return said


def out_of_memory(folder: Path, segment: list[object], plain: Path) -> str:
    """Let memory run out: batches are halved; a single tile that doesn't fit ends the run, which can be resumed."""
    out = folder / "out"
    said = refused(*segment, "--output", out, program=FORGETFUL.format(fatal=7))
    works(*segment, "--output", out)
    same(out / "in_mask.ome.zarr", plain / "in_mask.ome.zarr")
    return said


def output_taken_away(folder: Path, segment: list[object], plain: Path) -> str:
    (folder / "out").write_text("a file where a folder should be")
    return refused(*segment, "--output", folder / "out")


FAULTS: dict[str, Callable[[Path, list[object], Path], str]] = {
    "full disk while segmenting": full_disk_while_segmenting,
    "full disk while training": full_disk_while_training,
    "image cut short": truncated_image,
    "model cut short, or swapped": swapped_model,
    "another image in its place": changed_source,
    "two runs in one output": two_runs,
    "out of memory": out_of_memory,
    "a file where the folder should be": output_taken_away,
}


def _with_zarr(name: str, folder: Path, frame: np.ndarray) -> str:
    """Inject a fault into the segmentation of a zarr image, of which there is an undisturbed result."""
    zarr.create_array(folder / "in.zarr", shape=frame.shape, chunks=(256, 256), dtype=frame.dtype)[:] = frame
    segment: list[object] = ["segment", folder / "in.zarr", "--device", "cpu", "--resize", "4"]
    works(*segment, "--output", folder / "plain")
    return FAULTS[name](folder, segment, folder / "plain")


def main() -> None:
    """Inject all faults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="inject only the faults whose names contain this text")
    only = parser.parse_args().only
    rows, failed = [], False
    root = hasattr(os, "geteuid") and os.geteuid() == 0 and sys.platform == "linux"
    for name in (name for name in (*RESULTS, *FAULTS) if only in name):
        if "full disk" in name and not root:
            rows.append((name, "left out: needs root", ""))
            continue
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            frame = np.tile(sample_angiogram(), (2, 2))[:700, :900]
            tifffile.imwrite(folder / "frame.tif", frame)
            try:
                said = RESULTS[name](folder) if name in RESULTS else _with_zarr(name, folder, frame)
                rows.append((name, "as expected", said.replace(place, "")))
            except FaultError as failure:
                failed = True
                rows.append((name, "FAILED", str(failure).replace(place, "")))
        print(rows[-1], file=sys.stderr, flush=True)
    print(markdown_table(("fault", "result", "message"), rows))
    sys.exit(failed)


if __name__ == "__main__":
    main()
