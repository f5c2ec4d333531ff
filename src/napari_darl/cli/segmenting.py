"""Files segmented: whole ones to TIFF, those larger than memory to zarr, here or on a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_darl.cli.files import naming
from napari_darl.cli.terminal import messages, progress_bar, stop_on_interrupt
from napari_darl.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

    from napari_darl.inference.cleaning import Cleaning
    from napari_darl.inference.loading import Model
    from napari_darl.inference.options import SegmentOptions


def segment_file(
    path: Path,
    files: dict[str, Path],
    model: "Model",
    options: "SegmentOptions",
    cleaning: "Cleaning",
    *,
    smooth_time: bool,
    overwrite: bool,
) -> bool:
    """Segment an image, and write its mask and, where a file for it is given, its probability.

    Returns
    -------
    bool
        Whether it was smoothed over time, which single frames aren't.
    """
    from napari_darl.frames.arrays import as_grey
    from napari_darl.frames.smoothing import smooth_over_time
    from napari_darl.inference.cleaning import clean_mask
    from napari_darl.inference.windows import Windows
    from napari_darl.io.images import read_image
    from napari_darl.io.output import write_frames, write_mask

    image = read_image(path)
    with naming(path):
        smooth_time &= bool(image.leading_shape)
        if smooth_time:
            image = as_grey(image, options.channel)
            image = replace(image, data=smooth_over_time(image.data))
        windows = Windows(image, model, options)
        probability = windows.compute()
    provenance = model.provenance(
        **cleaning.model_dump(),
        smooth_time=smooth_time,
        bright=options.bright,
        resize=windows.resize,
        source=path.name,
    )
    mask = replace(image, data=clean_mask(probability, cleaning))
    write_mask(files["mask"], mask, provenance=provenance, overwrite=overwrite)
    if "probability" in files:
        write_frames(files["probability"], replace(image, data=probability), provenance=provenance, overwrite=overwrite)
    return smooth_time


def segment_zarr(
    path: Path,
    files: dict[str, Path],
    model: "Model",
    options: "SegmentOptions",
    threshold: float,
    *,
    overwrite: bool,
    client: "Client | None",
) -> None:
    """Segment an image chunk by chunk into zarr arrays; Ctrl-C stops after the chunk at hand."""
    from napari_darl.inference.windows import Windows
    from napari_darl.inference.zarr_output import write_zarr
    from napari_darl.io.images import open_image

    image = open_image(path, lazy=True)
    with naming(path), stop_on_interrupt() as stop, progress_bar() as progress:
        windows = Windows(image, model, options)
        provenance = model.provenance(bright=options.bright, resize=windows.resize, source=path.name)
        if image.pixel_size:
            provenance |= {"pixel_size": "{} x {}".format(*image.pixel_size), "unit": image.unit or ""}
        task = progress.add_task(f"Segmenting {path.name}")

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)
            if stop.is_set() and done < total:
                raise InputError(f"Stopped after {done} of {total} parts. The same command resumes from there.")

        write_zarr(
            windows,
            files["mask"],
            files.get("probability"),
            threshold=threshold,
            provenance=provenance,
            overwrite=overwrite,
            client=client,
            progress=show,
        )


@contextmanager
def connected(address: str | None) -> "Iterator[Client | None]":
    """Connect to a cluster, or make one of this machine's cores; none without an address."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError('dask.distributed isn\'t installed: pip install "napari-darl[large]".') from error
    if address == "local":
        with LocalCluster(threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(f"No Dask scheduler answers at {address}: check the address, or say local.") from error
    with client:
        if not client.nthreads():
            messages.print(f"Waiting for the first worker of {address}")
            client.wait_for_workers(1)
        yield client
