"""The command `segment`: whole images into TIFF, images of any size into zarr, here or on a cluster."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_darl.cli import mask_files
from napari_darl.cli.files import image_files, naming, refuse_existing, targets
from napari_darl.cli.options import Bright, Device, Images, ModelName, Output, Overwrite
from napari_darl.cli.terminal import messages, progress_bar, stop_on_interrupt, tracked
from napari_darl.errors import DarlWarning, InputError

if TYPE_CHECKING:
    from distributed import Client

    from napari_darl.inference.cleaning import Cleaning
    from napari_darl.inference.loading import Model
    from napari_darl.inference.options import SegmentOptions


def segment(
    inputs: Images,
    output: Output,
    model: ModelName = "default",
    threshold: Annotated[
        float | None, typer.Option(help="Pixels of a greater probability are vessel; 0.5, or a refined model's own.")
    ] = None,
    hysteresis: Annotated[
        float, typer.Option(help="Also keep pixels this far below the threshold that are connected to vessels.")
    ] = 0.0,
    smallest_piece: Annotated[int, typer.Option(help="Drop pieces of fewer pixels.")] = 0,
    largest_hole: Annotated[int, typer.Option(help="Fill holes of at most this many pixels.")] = 0,
    smooth_time: Annotated[
        bool, typer.Option("--smooth-time", help="Average movies over neighbouring frames where nothing moves.")
    ] = False,
    probability: Annotated[bool, typer.Option("--probability", help="Also write the probability.")] = False,
    bright: Bright = None,
    resize: Annotated[
        float | None,
        typer.Option(help="Factor by which frames are resized first; by default estimated from their shape."),
    ] = None,
    to_zarr: Annotated[
        bool,
        typer.Option("--zarr", help="Write zarr chunk by chunk, for images of any size; interrupted work resumes."),
    ] = False,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to compute on, as tcp://host:8786, or local.")
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Also measure the masks: see measure --help.")] = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Segment vessels. Writes <stem>_mask.tif (0 and 255) and, if asked for, <stem>_probability.tif.

    Zarr images, and TIFFs with --zarr or --cluster, are never whole in memory. They become <stem>_mask.zarr (0 and 1).
    """
    from napari_darl.inference.cleaning import Cleaning
    from napari_darl.inference.loading import load_model
    from napari_darl.inference.options import SegmentOptions
    from napari_darl.io.lazy import opens_lazily

    options = SegmentOptions(bright=bright, resize=resize, device=device)
    cleaning = Cleaning(
        threshold=0.5 if threshold is None else threshold,
        hysteresis=hysteresis,
        smallest_piece=smallest_piece,
        largest_hole=largest_hole,
    )
    paths = image_files(inputs, zarr=True)
    kinds = ("mask", "probability") if probability else ("mask",)
    large = [path for path in paths if to_zarr or cluster or path.is_dir()]
    if large and (smooth_time or cleaning != Cleaning(threshold=cleaning.threshold)):
        raise InputError("Zarr is segmented chunk by chunk. It can't be smoothed, or cleaned but by --threshold.")
    if large and measure:
        raise InputError("Zarr is segmented chunk by chunk. It can't be measured: leave --measure out.")
    if other := next((path for path in large if not opens_lazily(path)), None):
        raise InputError(
            f"{other} is neither zarr nor TIFF, which alone are read chunk by chunk. Leave --zarr and --cluster out."
        )
    whole = targets([path for path in paths if path not in large], output, kinds, overwrite)
    zarrs = targets(large, output, kinds, overwrite=True, suffix=".zarr")  # unfinished ones resume
    if measure:
        refuse_existing(mask_files.table_files([path.stem for path in whole], output), overwrite)
    loaded = load_model(model, device)
    if threshold is None:
        cleaning = cleaning.updated(threshold=loaded.threshold)
    segmentation = Segmentation(loaded, options, cleaning, smooth_time, overwrite)
    smoothed = False
    for path, files in tracked(list(whole.items()), "Segmenting") if whole else ():
        smoothed |= segmentation.to_tiff(path, files)
    if smooth_time and not smoothed:
        warnings.warn("Nothing was smoothed over time. No file has more than one frame.", DarlWarning, stacklevel=1)
    if measure:
        jobs = [mask_files.Job(path.stem, files["mask"], path) for path, files in whole.items()]
        mask_files.measure_files(jobs, output, mask_files.MeasureOptions(), overwrite)
    with connected(cluster) as client:
        for path, files in zarrs.items():
            segmentation.to_zarr(path, files, client)
    messages.print(f"{len(paths)} segmented by {model} into {output}.")


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
            bright=bool(windows.options.bright),
            resize=windows.resize,
            precision=windows.precision,
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
            provenance = self.model.provenance(
                bright=bool(windows.options.bright),
                resize=windows.resize,
                precision=windows.precision,
                source=path.name,
            )
            if image.pixel_size:
                provenance |= {"pixel_size": "{} x {}".format(*image.pixel_size), "unit": image.unit or ""}
            task = progress.add_task(f"Segmenting {path.name}")

            def show(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)
                if stop.is_set() and done < total:
                    raise InputError(f"Stopped after {done} of {total} chunks. The same command resumes from there.")

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
