"""All readers, each with its test cases and a function that reads one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from fuzzing import arrays, dicoms, images, models, results, second
from fuzzing.guard import MOST, accepts
from fuzzing.images import Files

Read = Callable[[Any, Path], Any]


class Reader(NamedTuple):
    """A reader: an intact case, damaged and hostile cases, and a function that reads a case in an empty folder.

    `second` compares what was read with the reading of another library.
    """

    intact: Callable[[], Any]
    cases: st.SearchStrategy[Any]
    read: Read
    secrets: tuple[str, ...] = ()
    asked: int = MOST
    second: Callable[[Any], None] | None = None

    def accepts(self, case: Any, folder: Path) -> bool:
        """Return whether the reader accepts a case; see `guard.accepts` for what it must not do."""
        found: list[Any] = []
        accepted = accepts(lambda: found.append(self.read(case, folder)), secrets=self.secrets, asked=self.asked)
        if accepted and self.second:
            self.second(found[0])
        return accepted


def _of_files(open_path: Callable[[Path], Any]) -> Read:
    def read(files: Files, folder: Path) -> Any:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return open_path(folder / next(iter(files)).split("/")[0])

    return read


def _in(folder: str, files: Files) -> Files:
    return {f"{folder}/{name}": content for name, content in files.items()}


READERS = {
    "TIFF": Reader(
        lambda: {"a.tif": images.tiffs()[1].data},
        images.tiff_cases(),
        _of_files(images.read),
        second=second.check_tiff,
    ),
    "TIFF, lazily": Reader(
        lambda: {"a.tif": images.tiffs()[0].data},
        images.tiff_cases(),
        _of_files(images.read_lazily),
        second=second.check_lazy_tiff,
    ),
    "pictures": Reader(
        lambda: {"a.png": images.pictures()[0][1].data},
        images.picture_cases(),
        _of_files(images.read),
        second=second.check_picture,
    ),
    "npy": Reader(
        lambda: {"a.npy": images.npy(images.DEEP)},
        images.npy_cases(),
        _of_files(images.read),
        second=second.check_npy,
    ),
    "zarr": Reader(
        lambda: _in("a.zarr", images.zarrs()[0]),
        images.zarr_cases(),
        _of_files(images.read_lazily),
        second=second.check_zarr,
    ),
    "DICOM": Reader(
        lambda: {"a.dcm": dicoms.seeds()[0].data},
        dicoms.dicom_cases(),
        _of_files(dicoms.read),
        dicoms.SECRETS,
        second=second.check_dicom,
    ),
    "arrays": Reader(
        lambda: arrays.Frames(models.FRAME, arrays.PLAIN), arrays.array_cases(), lambda case, _: arrays.use(case)
    ),
    "model files": Reader(
        lambda: {"a.safetensors": models.run()["model.safetensors"]},
        models.model_cases(),
        _of_files(models.load_and_use),
    ),
    "refined models": Reader(
        lambda: {"refined.safetensors": models.refined()}, models.refined_cases(), _of_files(models.use_refined)
    ),
    "released checkpoints": Reader(
        models.published_checkpoint, models.pickle_cases(), _of_files(models.import_checkpoint)
    ),
    "run folders": Reader(lambda: _in("run", models.run()), models.run_cases(), _of_files(models.resume)),
    "configurations": Reader(
        lambda: {"run/config.json": models.run()["config.json"]}, models.config_cases(), _of_files(models.configure)
    ),
    "masks": Reader(lambda: {"a_mask.tif": results.masks()[0].data}, results.mask_cases(), _of_files(results.take_up)),
    "labels in OME-Zarr": Reader(
        lambda: _in("a.ome.zarr", results.labelled()[1]), results.label_cases(), _of_files(results.open_with_labels)
    ),
    "COCO": Reader(
        lambda: {"a.json": json.dumps(results.coco()).encode()}, results.coco_cases(), _of_files(results.draw_polygons)
    ),
    "edits": Reader(lambda: {"edits/a.npz": results.edits()}, results.edit_cases(), _of_files(results.restore)),
}
