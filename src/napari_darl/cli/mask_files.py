"""Mask files: which there are, what belongs to them, and their tables."""

import json
import warnings
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_darl.cli.files import Failures
from napari_darl.cli.pixel_size import find_scale, for_axes, warn_of_comma
from napari_darl.cli.terminal import Show, image_bars
from napari_darl.errors import DarlWarning, FileError, InputError

if TYPE_CHECKING:
    from napari_darl.frames.channels import Channel
    from napari_darl.io.arrays import ImageData
    from napari_darl.measuring.morphometry import Morphometry

_NOT_MASKS = ("_probability", "_uncertainty")
_MASK = "_mask"
_TABLES = ("segments", "branch_points")
_NAMED = 3  # masks that a warning names


@dataclass(frozen=True)
class Job:
    """A mask to be measured, and the files that belong to it."""

    stem: str
    mask: Path
    image: Path | None = None
    view: Path | None = None


@dataclass(frozen=True)
class MeasureOptions:
    """How masks are measured.

    Attributes
    ----------
    pixel_size, unit
        Size of a pixel, as the user gave it.
    frame_time
        Time between frames, in ms.
    labels
        Whether each value of a mask is measured by itself.
    volume
        Whether stacks are volumes.
    channel
        The channel of the images to use.
    """

    pixel_size: str | None = None
    unit: str | None = None
    frame_time: float | None = None
    labels: bool = False
    volume: bool = False
    channel: str | None = None


def table_files(stems: Iterable[str], output: Path) -> list[Path]:
    """List the files that `measure_files` writes."""
    tables = [output / f"{stem}_{kind}.csv" for stem in stems for kind in _TABLES]
    return [output / "summary.csv", output / "measurements.json", *tables]


def own_tables(output: Path) -> set[Path]:
    """List the tables in a folder that `measure_files` wrote and nobody has changed since."""
    from napari_darl.io.identity import content_hash

    known = output / "measurements.json"
    try:
        made = json.loads(known.read_text(encoding="utf-8"))["tables"]
        same = {output / name for name, digest in made.items() if content_hash(output / Path(name).name) == digest}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
    return same | {known}


def measure_files(
    jobs: list[Job], output: Path, options: MeasureOptions, overwrite: bool, failures: Failures
) -> dict[str, dict[str, Any]]:
    """Measure mask files, write their tables, and return the summary of each by its stem.

    The file that lists the tables is written first, so that those of an interrupted call are known for this program's.
    """
    from hashlib import sha256

    from napari_darl.io.atomic import replacing
    from napari_darl.measuring.tables import csv_text, plain, with_unit, write_json

    if options.pixel_size is not None or options.unit is not None:
        find_scale(options.pixel_size, options.unit, [], output)  # an invalid one is told once, not for each file
        warn_of_comma(options.pixel_size)
    summaries: dict[str, dict[str, Any]] = {}
    told: dict[str, Any] = {}
    rows: list[dict[str, object]] = []
    tables: dict[str, bytes] = {}
    with image_bars("Measuring", len(jobs)) as bars:
        for job in jobs:
            with failures.of(job.mask), bars.of(job.mask) as show:
                found, provenance = _measure_file(job, options, show)
                for kind in _TABLES:
                    tables[f"{job.stem}_{kind}.csv"] = csv_text(with_unit(getattr(found, kind), found.unit))
                summaries[job.stem] = plain(found.summary) | {"unit": found.unit, "pixel_size": list(found.pixel_size)}
                told[job.stem] = provenance
                rows += _frame_rows(job.stem, found, provenance)
    if not summaries:
        return summaries
    names = list(dict.fromkeys(name for row in rows for name in row))
    tables["summary.csv"] = csv_text({name: [row.get(name, "") for row in rows] for name in names})
    hashes = {name: sha256(text).hexdigest() for name, text in tables.items()}
    known = {"files": told, "summaries": summaries, "tables": hashes}
    _warn_of_replaced(output, told)
    write_json(output / "measurements.json", known, overwrite=overwrite)
    for name, text in tables.items():
        with replacing(output / name, overwrite=overwrite) as file:
            file.write(text)
    return summaries


def _warn_of_replaced(output: Path, told: Container[str]) -> None:
    """Warn if the summary of a folder is about to lose the rows of masks that were measured earlier."""
    try:
        former = json.loads((output / "measurements.json").read_text(encoding="utf-8"))["files"]
        gone = [str(stem) for stem in former if stem not in told]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if gone:
        names = ", ".join(gone[:_NAMED]) + (f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else "")
        message = f"summary.csv and measurements.json hold the masks of this call, and no longer {names}."
        warnings.warn(
            DarlWarning(f"{message} Measure all masks in one call to have them in one table.", output), stacklevel=2
        )


def mask_files(inputs: Iterable[Path]) -> list[Path]:
    """List masks: files as they are; of folders those named `_mask`, or else all but probabilities and the like.

    Raises
    ------
    FileError
        If a file or folder is missing, or a folder holds none.
    """
    from napari_darl.io.identity import stem_of
    from napari_darl.io.images import image_paths
    from napari_darl.io.lazy import is_zarr

    found: list[Path] = []
    for entry in inputs:
        if not entry.exists():
            raise FileError(f"{entry} doesn't exist. Check its name and its folder.")
        if not entry.is_dir() or is_zarr(entry):
            found.append(entry)
            continue
        paths = [path for path in image_paths(entry, zarr=True) if not stem_of(path).endswith(_NOT_MASKS)]
        named = [path for path in paths if stem_of(path).endswith(_MASK)]
        if not paths:
            raise FileError(f"{entry} holds no mask. Give a folder of masks.")
        found += named or paths
    return found


def stems_of(paths: Iterable[Path]) -> dict[str, Path]:
    """Name masks by their stems, without `_mask`.

    Raises
    ------
    InputError
        If two have the same name.
    """
    from napari_darl.io.identity import stem_of

    stems: dict[str, Path] = {}
    for path in paths:
        stem = stem_of(path).removesuffix(_MASK) or stem_of(path)
        if stem in stems:
            raise InputError(f"{stems[stem]} and {path} would both become {stem}_segments.csv. Use two folders.")
        stems[stem] = path
    return stems


def paired(stems: dict[str, Path], source: Path | None, name: str) -> dict[str, Path]:
    """Pair masks with the files of a folder by their stems; a single file belongs to all of them."""
    from napari_darl.io.identity import stem_of
    from napari_darl.io.images import image_paths
    from napari_darl.io.lazy import is_zarr

    if source is None:
        return {}
    if not source.is_dir() or is_zarr(source):
        if name == "image" and len(stems) > 1:
            raise InputError(f"{source} is one image and there are {len(stems)} masks. Give a folder of images.")
        return dict.fromkeys(stems, source)
    # An image beats a mask of the same stem in its folder, as segment writes them side by side.
    paths = sorted(image_paths(source, zarr=True), key=lambda path: not stem_of(path).endswith(_MASK))
    files = {stem_of(path).removesuffix(_MASK): path for path in paths}
    if lacking := next((stem for stem in stems if stem not in files), None):
        raise FileError(f"{source} has no {name} named {lacking}. Give it the name of the mask.")
    return {stem: files[stem] for stem in stems}


def _measure_file(job: Job, options: MeasureOptions, show: Show) -> "tuple[Morphometry, dict[str, Any]]":
    """Measure one file; return what was found and where it comes from."""
    from napari_darl.evaluation.metrics import above_half
    from napari_darl.measuring.morphometry import measure as measured
    from napari_darl.version import VERSION

    mask = read_grey(job.mask, "brightest")
    image = None if job.image is None else read_grey(job.image, options.channel)
    if image is not None and image.data.shape != mask.data.shape:
        raise InputError(f"{job.image} has the shape {image.data.shape}, not {mask.data.shape}. Give the mask's image.")
    known = [one for one in (mask, image) if one is not None]
    movie = mask.data.ndim > 2 and not options.volume
    frame_time = options.frame_time
    if movie and frame_time is None:
        frame_time = next((one.frame_time for one in known if one.frame_time), None)
    shape = (-1, *mask.data.shape[-2:]) if movie else mask.data.shape
    scale = find_scale(options.pixel_size, options.unit, known, job.mask)
    found = measured(
        (mask.data if options.labels else above_half(mask.data)).reshape(shape),
        None if image is None else image.data.reshape(shape),
        pixel_size=for_axes(scale, 2 if movie else mask.data.ndim),
        unit=scale.unit,
        field_of_view=None if job.view is None else above_half(read_grey(job.view, "brightest").data),
        separate_labels=options.labels,
        time_axis=0 if movie else None,
        frame_time=frame_time,
        progress=show,
    )
    files = {"mask": job.mask, "image": job.image, "field_of_view": job.view}
    return found, {
        "version": VERSION,
        **{name: None if path is None else _identity(path) for name, path in files.items()},
        "pixel_size": list(found.pixel_size),
        "unit": scale.unit,
        "pixel_size_from": scale.source,
        "frame_time_ms": frame_time,
        "separate_labels": options.labels,
    }


def _frame_rows(stem: str, found: "Morphometry", provenance: dict[str, Any]) -> list[dict[str, object]]:
    """Return one row of summary.csv for each frame."""
    size = dict(zip((f"pixel_size_{axis}" for axis in "zyx"[-len(found.pixel_size) :]), found.pixel_size, strict=True))
    known = {"unit": found.unit, **size, "pixel_size_from": provenance["pixel_size_from"]}
    return [
        {"file": stem, **dict(zip(found.frames, values, strict=True)), **known}
        for values in zip(*found.frames.values(), strict=True)
    ]


def read_grey(path: Path, channel: "Channel" = None) -> "ImageData[Any]":
    """Read an image as grey."""
    from napari_darl.frames.channels import as_grey
    from napari_darl.io.images import read_image

    return as_grey(read_image(path), channel)


def _identity(path: Path) -> dict[str, str]:
    """Return a file's name, unless it may be a patient's, and the hash of its content."""
    from napari_darl.io.identity import content_hash, source_name

    name = source_name(path)
    return ({"name": name} if name else {}) | {"sha256": content_hash(path)}
