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


def segment_file(
    path: Path,
    files: dict[str, Path],
    model: "Model",
    cleaning: "Cleaning",
    *,
    smooth_time: bool,
    bright: bool,
    resize: float | None,
    overwrite: bool,
) -> bool:
    """Segment an image, and write its mask and, where a file for it is given, its probability.

    Returns
    -------
    bool
        Whether it was smoothed over time: a single frame isn't.
    """
    from napari_darl.frames.arrays import as_grey
    from napari_darl.frames.smoothing import smooth_over_time
    from napari_darl.inference.cleaning import clean_mask
    from napari_darl.inference.scale import guess_resize
    from napari_darl.inference.segment import segment_probability
    from napari_darl.io.images import read_image
    from napari_darl.io.output import write_frames, write_mask

    image = as_grey(read_image(path))
    if resize is None:
        resize = guess_resize(*image.frame_shape, model.network.config.side)
    with naming(path):
        pixels = image.data
        smooth_time &= pixels.ndim > 2
        if smooth_time:
            pixels = smooth_over_time(pixels)
        result = segment_probability(pixels, model, bright=bright, bits=image.bits, resize=resize)
    told: dict[str, str | float] = {"smooth_time": smooth_time, "bright": bright, "resize": resize}
    provenance = model.provenance(**cleaning.model_dump(), **told, source=path.name)
    mask = replace(image, data=clean_mask(result, cleaning))
    write_mask(files["mask"], mask, provenance=provenance, overwrite=overwrite)
    if "probability" in files:
        write_frames(files["probability"], replace(image, data=result), provenance=provenance, overwrite=overwrite)
    return smooth_time


def segment_zarr(
    path: Path,
    files: dict[str, Path],
    model: "Model",
    threshold: float,
    client: "Client | None",
    *,
    bright: bool,
    resize: float | None,
    overwrite: bool,
) -> None:
    """Segment an image part by part into zarr arrays; Ctrl-C stops after the part under way."""
    from napari_darl.inference.windows import Windows
    from napari_darl.inference.zarr_output import ZarrOutput
    from napari_darl.io.images import open_image

    image = open_image(path, lazy=True)
    with naming(path):
        windows = Windows(image.data, model, rgb=image.rgb, bright=bright, bits=image.bits, resize=resize)
        settings = model.provenance(bright=bright, resize=windows.resize, source=path.name)
        if image.pixel_size:
            settings |= {"pixel_size": "{} x {}".format(*image.pixel_size), "unit": image.unit or ""}
        output = ZarrOutput(files["mask"], files.get("probability"), threshold)
        total = len(windows.chunks())
        with stop_on_interrupt() as stop, progress_bar() as progress:
            task = progress.add_task(f"Segmenting {path.name}", total=total)
            for done in output.write(windows, settings, overwrite=overwrite, client=client):
                progress.update(task, completed=done)
                if stop.is_set() and done < total:
                    raise InputError(f"Stopped after {done} of {total} parts: the same command goes on from there.")


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
