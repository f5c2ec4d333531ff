"""Segmenting files: whole images into TIFF, images of any size into zarr, here or on a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Segmentation:
    """How `napari-darl segment` segments its images.

    Attributes
    ----------
    model : Model
        The loaded model.
    options : SegmentOptions
        How it is applied.
    cleaning : Cleaning
        How probability becomes a mask; in zarr by the threshold alone.
    smooth_time : bool
        Whether movies are averaged over neighbouring frames first.
    overwrite : bool
        Whether results may be replaced.
    """

    model: "Model"
    options: "SegmentOptions"
    cleaning: "Cleaning"
    smooth_time: bool = False
    overwrite: bool = False

    def to_tiff(self, path: Path, files: dict[str, Path]) -> bool:
        """Segment an image as a whole; return whether it was smoothed over time, which single frames aren't.

        Parameters
        ----------
        path : Path
            The image.
        files : dict of str to Path
            Where the `mask` goes and, if it is wanted, the `probability`.
        """
        from napari_darl.frames.arrays import as_grey
        from napari_darl.frames.smoothing import smooth_over_time
        from napari_darl.inference.cleaning import clean_mask
        from napari_darl.inference.windows import Windows
        from napari_darl.io.images import read_image
        from napari_darl.io.output import write_frames, write_mask

        image = read_image(path)
        smooth = self.smooth_time and bool(image.leading_shape)
        with naming(path):
            if smooth:
                image = as_grey(image, self.options.channel)
                image = replace(image, data=smooth_over_time(image.data))
            windows = Windows(image, self.model, self.options)
            probability = windows.compute()
        provenance = self.model.provenance(
            **self.cleaning.model_dump(),
            smooth_time=smooth,
            bright=self.options.bright,
            resize=windows.resize,
            source=path.name,
        )
        mask = replace(image, data=clean_mask(probability, self.cleaning))
        write_mask(files["mask"], mask, provenance=provenance, overwrite=self.overwrite)
        if "probability" in files:
            image = replace(image, data=probability)
            write_frames(files["probability"], image, provenance=provenance, overwrite=self.overwrite)
        return smooth

    def to_zarr(self, path: Path, files: dict[str, Path], client: "Client | None") -> None:
        """Segment an image chunk by chunk, here or on a cluster; Ctrl-C stops after the chunk at hand."""
        from napari_darl.inference.windows import Windows
        from napari_darl.inference.zarr_output import write_zarr
        from napari_darl.io.images import open_image

        image = open_image(path, lazy=True)
        with naming(path), stop_on_interrupt() as stop, progress_bar() as progress:
            windows = Windows(image, self.model, self.options)
            provenance = self.model.provenance(bright=self.options.bright, resize=windows.resize, source=path.name)
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
                threshold=self.cleaning.threshold,
                provenance=provenance,
                overwrite=self.overwrite,
                client=client,
                progress=show,
            )


@contextmanager
def connected(address: str | None) -> "Iterator[Client | None]":
    """Connect to a Dask cluster, or start one on this machine's cores for `local`; yield None without an address."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(
            'dask.distributed isn\'t installed. Install it by: pip install "napari-darl[large]".'
        ) from error
    if address == "local":
        with LocalCluster(threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(f"No Dask scheduler answers at {address}. Check the address, or pass local.") from error
    with client:
        if not client.nthreads():
            messages.print(f"Waiting for the first worker of {address}")
            client.wait_for_workers(1)
        yield client
