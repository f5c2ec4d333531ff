"""The command `segment`: whole images into TIFF, images of any size into zarr, here or on a cluster."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_darl.cli import mask_files
from napari_darl.cli.files import Failures, refuse_existing
from napari_darl.cli.options import (
    Bits,
    Bright,
    Channel,
    Device,
    Frames,
    Images,
    ModelName,
    Overwrite,
    Resize,
    frame_numbers,
)
from napari_darl.cli.terminal import Show, image_bars, messages, stop_on_interrupt
from napari_darl.errors import DarlWarning, InputError

if TYPE_CHECKING:
    from distributed import Client

    from napari_darl.batch.jobs import Job
    from napari_darl.batch.replay import Settings
    from napari_darl.batch.run import Batch, Outcome


DECIDED = (
    *("threshold", "hysteresis", "peak", "smallest_piece", "largest_hole", "smooth_time"),
    *("bright", "resize", "channel", "frames", "bits", "orthogonal", "slice_distance"),
)
"""Parameters of `segment` that `--like` takes from a mask."""


def segment(
    context: typer.Context,
    inputs: Images,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the results; created if missing. Not needed with --labels.")
    ] = None,
    model: ModelName = "default",
    threshold: Annotated[
        float | None, typer.Option(help="Pixels of a greater probability are vessel; 0.5, or a refined model's own.")
    ] = None,
    hysteresis: Annotated[
        float | None,
        typer.Option(
            help="Follow vessels below the threshold, down by this share of it. This option and the next three are "
            "0, which switches them off, or the model's own: see its card."
        ),
    ] = None,
    peak: Annotated[
        float | None, typer.Option(help="Drop pieces without a pixel of a greater probability than this.")
    ] = None,
    smallest_piece: Annotated[int | None, typer.Option(help="Drop pieces of fewer pixels.")] = None,
    largest_hole: Annotated[int | None, typer.Option(help="Fill holes of at most this many pixels.")] = None,
    smooth_time: Annotated[
        bool, typer.Option("--smooth-time", help="Average movies over neighbouring frames where nothing moves.")
    ] = False,
    probability: Annotated[bool, typer.Option("--probability", help="Also write the probability.")] = False,
    bright: Bright = None,
    resize: Resize = None,
    channel: Channel = None,
    frames: Frames = None,
    bits: Bits = None,
    region: Annotated[
        Path | None, typer.Option(help="Mask of the pixels that count, or a folder of masks named as the images.")
    ] = None,
    fov: Annotated[
        str | None,
        typer.Option(metavar="auto|PATH", help="Field of view: found in each frame, or a mask or a folder of masks."),
    ] = None,
    orthogonal: Annotated[
        bool, typer.Option("--orthogonal", help="Segment volumes (Z, Y, X) along all three axes, and average.")
    ] = False,
    slice_distance: Annotated[
        float | None,
        typer.Option(help="Distance of two slices, in pixels, for --orthogonal; by default the file's, else 1."),
    ] = None,
    to_zarr: Annotated[
        bool,
        typer.Option("--zarr", help="Write OME-Zarr chunk by chunk, for images of any size; interrupted work resumes."),
    ] = False,
    ome_tiff: Annotated[
        bool,
        typer.Option("--ome-tiff", help="Write OME-TIFF, <stem>_mask.ome.tif, for ImageJ, QuPath and others."),
    ] = False,
    labels: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Write masks of OME-Zarr images into their own labels/, under this name."),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to compute on, as tcp://host:8786, or local.")
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Also measure the masks: see measure --help.")] = False,
    like: Annotated[
        Path | None,
        typer.Option(help="A mask of napari-darl: segment as it was made, with the same model and settings."),
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Segment vessels. Writes <stem>_mask.tif (0 and 255) and, if asked for, <stem>_probability.tif.

    An image that can't be segmented is reported at the end, and the exit status is 2. The same command resumes: results
    of the same image, model and settings are left. Masks that were edited in napari are never replaced.

    Of a folder of folders, each is a series of frames and becomes one mask. With --frames, other frames have empty
    masks.

    Zarr images, and TIFFs with --zarr or --cluster, are never whole in memory. They become <stem>_mask.ome.zarr, whose
    finest level holds 0 and 1. With --ome-tiff, zarr images are read whole, too.
    """
    from napari_darl.batch.jobs import Form, find_images, plan
    from napari_darl.batch.recipe import Recipe
    from napari_darl.batch.replay import Settings
    from napari_darl.batch.results import State
    from napari_darl.batch.run import Batch
    from napari_darl.inference.cleaning import Cleaning
    from napari_darl.inference.loading import load_model
    from napari_darl.inference.options import SegmentOptions
    from napari_darl.io.identity import stem_of

    if region and fov:
        raise InputError("--region and --fov both say which pixels count. Pass one of them.")
    if output is None and labels is None:
        raise InputError("--output is missing. Pass a folder for the results.")
    in_chunks = to_zarr or cluster is not None or labels is not None
    if ome_tiff and in_chunks:
        raise InputError(
            "--ome-tiff writes whole images; --zarr, --labels and --cluster write chunks. Pass one of them."
        )
    given = {
        "threshold": threshold,
        "hysteresis": hysteresis,
        "peak": peak,
        "smallest_piece": smallest_piece,
        "largest_hole": largest_hole,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    if like is None:
        if slice_distance is not None and not orthogonal:
            raise InputError("--slice-distance needs --orthogonal. Pass both, or neither.")
        options = SegmentOptions(
            bright=bright,
            resize=resize,
            channel=channel,
            bits=bits,
            device=device,
            orthogonal=orthogonal,
            slice_distance=slice_distance,
        )
        asked = Cleaning().updated(**chosen)
        settings = Settings(model, options, asked, smooth_time, frame_numbers(frames), field_of_view=fov == "auto")
    else:
        settings = settings_like(like, context, device)
        if settings.in_region and not (region or fov):
            raise InputError(f"{like} was made within a region. Pass it again by --region.")
    kinds = ("mask", "probability") if probability else ("mask",)
    images = find_images(inputs, zarr=True, series=True)
    regions = Path(fov) if fov and fov != "auto" else region
    form = Form.OME_TIFF if ome_tiff else Form.OME_ZARR if in_chunks else Form.TIFF
    jobs = plan(images, output, kinds, form=form, label=labels, regions=regions)
    if measure and (output is None or any(job.in_chunks for job in jobs)):
        raise InputError("Zarr is segmented chunk by chunk. It can't be measured: leave --measure out.")
    loaded = load_model(settings.model, device)
    settings.check(loaded)
    cleaning = loaded.cleaning.updated(**chosen) if like is None else settings.cleaning
    found = settings.field_of_view or fov == "auto"
    recipe = Recipe(loaded, settings.options, cleaning, settings.smooth_time, settings.frames, found)
    if jobs and all(job.in_chunks for job in jobs):
        recipe.check_for_chunks()
    if any(job.in_chunks for job in jobs) and not cleaning.is_threshold_alone:
        warnings.warn(
            f"Zarr is segmented chunk by chunk, by the threshold alone. The cleaning that the file of {loaded.name} "
            "asks for is left out.",
            DarlWarning,
            stacklevel=1,
        )
    if measure and output is not None:
        tables = set(mask_files.table_files([stem_of(job.source) for job in jobs], output))
        refuse_existing(sorted(tables - mask_files.own_tables(output)), overwrite)
    failures = Failures()
    with connected(cluster) as client:
        outcomes = process(jobs, Batch(recipe, overwrite, client))
    if recipe.smooth_time and not any(outcome.smoothed for outcome in outcomes if outcome.new):
        warnings.warn("Nothing was smoothed over time. No file has more than one frame.", DarlWarning, stacklevel=1)
    if measure and output is not None:
        masks = [outcome.job for outcome in outcomes if outcome.state in (State.DONE, State.EDITED)]
        measured = [mask_files.Job(stem_of(job.source), job.files["mask"], job.source) for job in masks]
        used = recipe.options.channel
        how = mask_files.MeasureOptions(channel=None if used is None else str(used))
        mask_files.measure_files(measured, output, how, overwrite=True, failures=failures)
    report(outcomes, output or f"labels/{labels}", failures)


def settings_like(mask: Path, context: typer.Context, device: str) -> "Settings":
    """Return the settings of a mask, of which `--model` may name the file.

    Raises
    ------
    InputError
        If an option is given that the mask decides.
    """
    from napari_darl.batch.replay import settings_of

    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
    if beside := next((name for name in DECIDED if name in given), None):
        option = "--bright or --dark" if beside == "bright" else f"--{beside.replace('_', '-')}"
        raise InputError(f"--like takes all settings from {mask}. Leave {option} out, or give all options yourself.")
    settings = settings_of(mask)
    model = context.params["model"] if "model" in given else settings.model
    return replace(settings, model=model, options=settings.options.updated(device=device))


def process(jobs: "list[Job]", batch: "Batch") -> "list[Outcome]":
    """Go through a batch, with progress bars; Ctrl-C stops after the tile or chunk at hand."""
    from napari_darl.batch.run import StoppedError

    outcomes: list[Outcome] = []
    with stop_on_interrupt() as stop, image_bars("Segmenting", len(jobs)) as bars:

        def interrupt() -> None:
            if stop.is_set():
                done = f"Stopped after {len(outcomes)} of {len(jobs)} images."
                raise StoppedError(f"{done} The same command resumes from there.")

        def show_chunks(show: Show, done: int, total: int) -> None:
            show(done, total)
            if stop.is_set() and done < total:
                raise StoppedError(f"Stopped after {done} of {total} chunks. The same command resumes from there.")

        for job in jobs:
            interrupt()
            with bars.of(job.source) as show:
                outcomes.append(batch.process(job, partial(show_chunks, show) if job.in_chunks else show, interrupt))
    return outcomes


def report(outcomes: "list[Outcome]", place: Path | str, failures: Failures) -> None:
    """Print what became of the images; if any isn't done, why, and end with status 2."""
    from napari_darl.batch.results import State
    from napari_darl.batch.run import summary

    messages.print(f"{summary(outcomes)}: {place}")
    if any(outcome.state is State.FOREIGN for outcome in outcomes):
        messages.print("Results of anything else were left. Choose another folder, or pass --overwrite.")
    failures[:0] = [outcome.sentence for outcome in outcomes if outcome.state in (State.FAILED, State.FOREIGN)]
    failures.report()


@contextmanager
def connected(address: str | None) -> "Iterator[Client | None]":
    """Connect to a Dask cluster, or start one on this machine's cores for `local`; yield None without an address."""
    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            'dask.distributed isn\'t installed. Install it by: pip install "napari-darl[large]".'
        ) from error
    if address == "local":
        from napari_darl.inference.cluster import local_cluster

        with local_cluster() as cluster, Client(cluster) as client:
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
