"""Masks, labels, experts' polygons and autosaved edits, intact and damaged, and checks of what is read from them."""

import io
import json
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import tifffile
import zarr
from hypothesis import strategies as st
from napari.layers import Layer

from fuzzing.damage import Field, Seed, damaged, hostile_json
from fuzzing.guard import BrokenPropertyError
from fuzzing.images import Files
from napari_darl._napari.mask_files import read_mask
from napari_darl._napari.ome_zarr import read_ome_zarr
from napari_darl._napari.segmenting.edits import About, Edits, EditStore, Frame
from napari_darl.batch.replay import segment_command, settings_of
from napari_darl.evaluation.coco import read_coco
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.zarr_results import is_result
from napari_darl.io.arrays import ImageData
from napari_darl.io.ome_zarr import OmeZarr
from napari_darl.io.output import write_mask
from napari_darl.io.zarr_labels import labels_of, list_label

RNG = np.random.default_rng(0)
MASK = RNG.integers(0, 2, (3, 40, 50), np.uint8)
MADE = {
    "model": "default",
    "sha256": "0" * 64,
    "settings": '{"bright": true, "resize": 0.5, "frames": "0-2"}',
    "source": "a.tif",
    **Cleaning().model_dump(),
}
"""What a mask of the command line says about its making."""

_NOT_SAVED = ("napari_darl._napari.mask_files.prefer_own_reader", "napari_darl._napari.ome_zarr.prefer_own_reader")


def _hostile(draw: st.DrawFn, document: Any) -> bytes:
    return draw(hostile_json(document)).encode("utf-8", "surrogatepass")


# Polygons of experts


@cache
def coco() -> dict[str, Any]:
    """Return a COCO file of two images."""
    square, corner = [4, 4, 30, 4, 30, 30, 4, 30], [0.5, 0.5, 20.5, 0.5, 0.5, 20.5]
    return {
        "images": [{"id": number, "file_name": f"{number}.png", "height": 40, "width": 50} for number in (1, 2)],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [square, corner]},
            {"id": 2, "image_id": 2, "category_id": 1, "segmentation": [corner]},
        ],
        "categories": [{"id": 1, "name": "1"}],
    }


@st.composite
def coco_cases(draw: st.DrawFn) -> Files:
    """Draw a damaged or hostile COCO file."""
    if draw(st.integers(0, 3)) == 0:
        return {"a.json": draw(damaged(Seed(json.dumps(coco()).encode())))}
    return {"a.json": _hostile(draw, coco())}


def draw_polygons(path: Path) -> None:
    """Read a COCO file, and draw its masks."""
    for stem, mask in read_coco(path).items():
        drawn = mask.drawn()
        if drawn.shape != mask.shape or drawn.dtype != np.bool_ or not isinstance(stem, str):
            raise BrokenPropertyError(f"a mask of {drawn.shape} {drawn.dtype}, not {mask.shape}")


# Masks that say how they were made and where they lie


@cache
def masks() -> list[Seed]:
    """Return masks as the command line writes them, as TIFF and OME-TIFF."""
    image = ImageData(MASK, axes="TYX", pixel_size=(0.3, 0.2), unit="mm", frame_time=66.7)
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"a_mask{suffix}" for suffix in (".tif", ".ome.tif")]
        for path in paths:
            write_mask(path, image, provenance=MADE)
        return [Seed(path.read_bytes()) for path in paths]


def _described(description: str, ome: bool) -> bytes:
    """Return a mask with a description as it is, whatever it says."""
    file = io.BytesIO()
    options: dict[str, Any] = {"photometric": "minisblack", "compression": "zlib"}
    if ome:
        comment = {"Namespace": "napari-darl", "Value": description}
        with tifffile.TiffWriter(file, ome=True) as writer:
            writer.write(MASK, metadata={"axes": "TYX", "CommentAnnotation": comment}, **options)
    else:
        tifffile.imwrite(file, MASK * np.uint8(255), description=description, metadata=None, **options)
    return file.getvalue()


@cache
def _description() -> dict[str, Any]:
    with tifffile.TiffFile(io.BytesIO(masks()[0].data)) as tiff:
        found: dict[str, Any] = json.loads(tiff.pages.first.description)
    return found


@st.composite
def mask_cases(draw: st.DrawFn) -> Files:
    """Draw a mask of the command line or of napari that is damaged, or says something hostile about itself."""
    name = draw(st.sampled_from(("a_mask.tif", "a.darl.tif", "a_mask.ome.tif")))
    ome = name.endswith(".ome.tif")
    if draw(st.integers(0, 4)) == 0:
        return {name: draw(damaged(masks()[ome]))}
    description = dict(_description())
    if draw(st.integers(0, 2)) == 0:
        settings = draw(hostile_json(json.loads(MADE["settings"])))
        description["provenance"] = description["provenance"] | {"settings": settings}
        text = json.dumps(description)
    else:
        text = draw(hostile_json(description))
    text = text.encode("ascii", "backslashreplace").decode().replace("\\u0000", "0").replace("\0", "0")
    return {name: _described(text, ome)}


def take_up(path: Path) -> None:
    """Open a mask as napari does, and read with which settings it was made."""
    _open(read_mask, path)
    with_settings = settings_of(path)
    with_settings.options.model_dump_json()
    segment_command(with_settings, "a.tif", "masks")


def _open(reader: Any, path: Path) -> None:
    with patch(_NOT_SAVED[0]), patch(_NOT_SAVED[1]):
        opened = reader(str(path))
        ours = opened is not None and opened.__module__.startswith("napari_darl")
        for layer in opened(str(path)) if ours else ():  # the others are read by napari itself
            made = Layer.create(*layer)
            for level in made.data if made.multiscale else [made.data]:
                np.asarray(level[..., :40, :40])


# OME-Zarr images with labels


@cache
def labelled() -> list[Files]:
    """Return OME-Zarr images with a label, in both versions of the format."""
    found = []
    versions: tuple[Literal[2, 3], ...] = (2, 3)
    for version in versions:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "a.ome.zarr"
            for place, pixels in ((path, MASK * np.uint8(90)), (path / "labels" / "vessels", MASK)):
                image = ImageData(pixels, axes="TYX", pixel_size=(0.3, 0.2), unit="mm")
                layout = OmeZarr.of(image, pixels.shape, (1, 40, 50), "u1", place)
                layout = replace(layout, zarr_format=version, count=2)
                layout.create(place, {} if place == path else {"napari-darl": MADE})
                zarr.open_array(place / "0", mode="r+")[:] = pixels
                layout.build(place)
            list_label(path / "labels" / "vessels")
            names = sorted(name for name in path.rglob("*") if name.is_file())
            found.append({name.relative_to(path).as_posix(): name.read_bytes() for name in names})
    return found


@st.composite
def label_cases(draw: st.DrawFn) -> Files:
    """Draw an OME-Zarr image with labels and with hostile or damaged metadata."""
    files = dict(draw(st.sampled_from(labelled())))
    texts = [name for name in files if name.rsplit("/")[-1] in ("zarr.json", ".zarray", ".zattrs", ".zgroup")]
    for name in draw(st.lists(st.sampled_from(texts), min_size=1, max_size=2, unique=True)):
        document = json.loads(files[name])
        files[name] = _hostile(draw, document) if draw(st.integers(0, 4)) else draw(damaged(Seed(files[name])))
    if draw(st.integers(0, 9)) == 0:
        del files[draw(st.sampled_from(sorted(files)))]
    return {f"a.ome.zarr/{name}": content for name, content in files.items()}


def open_with_labels(path: Path) -> None:
    """Open an image with its labels as napari does, and list another label."""
    is_result(path)
    _open(read_ome_zarr, path)
    before = labels_of(path)
    list_label(path / "labels" / "added")
    if labels_of(path) != [*before, "added"]:
        raise BrokenPropertyError(f"{labels_of(path)} after {before}")


# Autosaved edits


@cache
def edits() -> bytes:
    """Return a file of edits of two frames."""
    frames = {(number,): Frame(MASK[number], MASK[number] > 0, "0" * 64, number == 0) for number in (0, 2)}
    about = About(
        image="a",
        saved="2026-11-26 08:10",
        shape=(3, 40, 50),
        model="default",
        segment=SegmentOptions(),
        cleaning=Cleaning(),
        region="everything",
        provenance={"model": "default"},
    )
    with TemporaryDirectory() as folder:
        store = EditStore(Path(folder))
        store.write("a", Edits(about, frames))
        return store.path("a").read_bytes()


@st.composite
def edit_cases(draw: st.DrawFn) -> Files:
    """Draw edits that are damaged, or whose members are."""
    if draw(st.booleans()):
        return {"edits/a.npz": draw(damaged(Seed(edits())))}
    with zipfile.ZipFile(io.BytesIO(edits())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name in draw(st.lists(st.sampled_from(sorted(members)), min_size=1, max_size=2, unique=True)):
        text = name.startswith(("about", "frame")) and draw(st.booleans())
        if text:
            document = json.loads(np.load(io.BytesIO(members[name])).tobytes())
            file = io.BytesIO()
            np.save(file, np.frombuffer(_hostile(draw, document), np.uint8))
            members[name] = file.getvalue()
        else:
            members[name] = draw(damaged(Seed(members[name], (Field(6, 1), Field(8, 2)))))
        if draw(st.integers(0, 9)) == 0:
            del members[name]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return {"edits/a.npz": file.getvalue()}


def restore(folder: Path) -> None:
    """Look for the edits of an image, and read them."""
    store = EditStore(folder)
    store.find((3, 40, 50), lambda _: "0" * 64)
    restored = store.read("a")
    for index, frame in restored.frames.items():
        if frame.labels.shape != restored.about.shape[-2:] or frame.own.shape != frame.labels.shape:
            raise BrokenPropertyError(f"frame {index} of {frame.labels.shape}")
