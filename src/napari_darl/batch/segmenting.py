"""Segment one image of a batch into its files."""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_darl.batch.jobs import Job
from napari_darl.batch.recipe import Recipe
from napari_darl.errors import DarlWarning
from napari_darl.evaluation.metrics import above_half
from napari_darl.frames.arrays import as_image
from napari_darl.frames.channels import as_grey, colours_that_show, select_channel
from napari_darl.frames.regions import Region, field_of_view
from napari_darl.frames.smoothing import smooth_over_time
from napari_darl.frames.stacks import read_series
from napari_darl.inference.cleaning import clean_mask
from napari_darl.inference.orthogonal import windows_for
from napari_darl.inference.pipeline import Progress
from napari_darl.inference.zarr_output import write_zarr
from napari_darl.io.arrays import ImageArray, ImageData
from napari_darl.io.images import FileImage, open_image, read_image
from napari_darl.io.lazy import is_zarr
from napari_darl.io.output import write_frames, write_mask

if TYPE_CHECKING:
    from distributed import Client


def read_source(job: Job) -> FileImage:
    """Read the image of a job into memory: a file, zarr, or a folder of frames that are one series.

    Raises
    ------
    FileError, InputError
        As `read_image` and `read_series`.
    """
    whole = job.source.is_dir() and not is_zarr(job.source)
    return read_series(job.source) if whole else read_image(job.source)


def segment_whole(
    job: Job,
    recipe: Recipe,
    *,
    overwrite: bool,
    progress: Progress | None = None,
    interrupt: Callable[[], None] | None = None,
) -> bool:
    """Segment an image in memory into TIFFs; return whether it was smoothed over time, which single frames aren't.

    The mask is written last, so that it stands for all results. Results that are there are replaced if `overwrite`;
    else they are taken for those of an earlier call and left.
    """
    image = read_source(job)
    smooth = recipe.smooth_time and bool(image.leading_shape)
    if smooth:
        image = as_grey(image, recipe.options.channel)
        image = replace(image, data=smooth_over_time(image.data))
    region = _region(job, recipe, image)
    windows = windows_for(image, recipe.model, recipe.options, region=region, interrupt=interrupt)
    indices = list(np.ndindex(windows.shape[:-2]))
    chosen = [indices[number] for number in recipe.frames.of(len(indices))] if recipe.frames else None
    probability = windows.compute(chosen, progress)
    mask = clean_mask(probability, recipe.cleaning)
    if not mask.any():
        message = "No vessels were found. Try another model, channel or polarity, a lower threshold or another factor."
        warnings.warn(DarlWarning(message + colours_that_show(image), job.source), stacklevel=2)
    provenance = recipe.provenance(job, windows)
    results: dict[str, tuple[Callable[..., None], npt.NDArray[Any]]] = {
        "probability": (write_frames, probability),
        "mask": (write_mask, mask),
    }
    for kind, (write, pixels) in results.items():
        if (file := job.files.get(kind)) and (overwrite or not file.exists()):
            write(file, replace(windows.image, rgb=False, data=pixels), provenance=provenance, overwrite=overwrite)
    return smooth


def segment_chunks(
    job: Job, recipe: Recipe, *, overwrite: bool, client: "Client | None" = None, progress: Progress | None = None
) -> bool:
    """Segment an image chunk by chunk into zarr, here or on a cluster; return whether there was anything to do.

    Raises
    ------
    InputError
        If the recipe needs the whole image.
    """
    recipe.check_for_chunks()
    image = open_image(job.source, lazy=True)
    windows = windows_for(image, recipe.model, recipe.options, region=_region(job, recipe, image))
    provenance = recipe.model.provenance(
        bright=bool(windows.options.bright),
        resize=windows.resize,
        precision=windows.precision,
        source=job.source.name,
    )
    if windows.options.slice_distance:
        provenance["slice_distance"] = windows.options.slice_distance
    if image.pixel_size:
        provenance |= {"pixel_size": "{} x {}".format(*image.pixel_size), "unit": image.unit or ""}
    first: list[bool] = []

    def show(done: int, total: int) -> None:
        first.append(done == total)
        if progress:
            progress(done, total)

    write_zarr(
        windows,
        job.files["mask"],
        job.files.get("probability"),
        threshold=recipe.cleaning.threshold,
        provenance=provenance,
        overwrite=overwrite,
        client=client,
        progress=show,
    )
    return not first[0]


def _region(job: Job, recipe: Recipe, image: ImageData[ImageArray]) -> Region | npt.NDArray[np.bool_] | None:
    """Return the pixels that count; None for all of them."""
    if job.region is None:
        chosen = select_channel(as_image(image), recipe.options.channel)
        return field_of_view(chosen) if recipe.field_of_view else None
    masks = above_half(as_grey(read_image(job.region), "brightest").data)
    return masks.reshape(masks.shape[-2:]) if masks.size == math.prod(masks.shape[-2:]) else masks
