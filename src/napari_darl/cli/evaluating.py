"""The commands that say how good masks are: `assess`, `noise` and `evaluate`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_darl.cli.files import Failures, named_frames, numbers, with_experts
from napari_darl.cli.options import (
    AsJson,
    Bits,
    Bright,
    ByOrder,
    Channel,
    Device,
    Frames,
    Images,
    ModelName,
    Overwrite,
    Resize,
    decided,
    frame_numbers,
)
from napari_darl.cli.terminal import tracked
from napari_darl.errors import InputError


def assess(
    inputs: Images,
    model: ModelName = "default",
    output: Annotated[Path | None, typer.Option(help="Folder for <stem>_uncertainty.tif.")] = None,
    bright: Bright = None,
    resize: Resize = None,
    channel: Channel = None,
    frames: Frames = None,
    bits: Bits = None,
    as_json: AsJson = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Estimate without labels how reliable a model is on frames: a score each, 0 to 1, and uncertainty maps."""
    from statistics import mean

    from napari_darl.batch.jobs import find_images
    from napari_darl.evaluation.report import markdown_table
    from napari_darl.inference.loading import load_model
    from napari_darl.inference.options import SegmentOptions
    from napari_darl.inference.trust import assess as assess_frame
    from napari_darl.io.output import write_frames

    paths = find_images(inputs, zarr=True)
    options = SegmentOptions(bright=bright, resize=resize, bits=bits)
    chosen = frame_numbers(frames)
    loaded = load_model(model, device)
    scores: dict[str, float] = {}
    failures = Failures()
    for name, frame in named_frames(paths, failures, "Assessing", channel, chosen):
        trust = None
        with failures.of(name):
            trust = assess_frame(frame, loaded, options)
        if trust is None:
            continue
        scores[name] = trust.score
        if output:
            target = output / f"{name}_uncertainty.tif"
            write_frames(
                target,
                trust.uncertainty,
                provenance=loaded.provenance(bright=decided(bright, loaded)),
                overwrite=overwrite,
            )
    if scores:
        average = mean(scores.values())
        if as_json:
            typer.echo(json.dumps({"mean": average, "frames": scores}, indent=2))
        else:
            typer.echo(markdown_table(("frame", "score"), [*scores.items(), ("mean", average)]))
    failures.report()


def noise(
    frames: Annotated[Path, typer.Argument(metavar="INPUT", help="An image, or a folder of images.")],
    model: ModelName = "default",
    noise_levels: Annotated[
        str, typer.Option(metavar="T,T...", help="Timesteps at which path A sees the frames.")
    ] = "50,100,200,400",
    sigmas: Annotated[
        str, typer.Option(metavar="S,S...", help="Standard deviations of Gaussian noise, in 1/255 of the range.")
    ] = "10,25,50",
    truth: Annotated[Path | None, typer.Option(help="The experts' masks, if there are any.")] = None,
    by_order: ByOrder = False,
    output: Annotated[Path | None, typer.Option(help="Folder for the masks under each noise.")] = None,
    bright: Bright = None,
    resize: Resize = None,
    channel: Channel = None,
    bits: Bits = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Show how a model's masks change with noise: at other timesteps of the diffusion, and in the frames.

    Files that can't be used are left out of the means and reported at the end, and the exit status is 2.
    """
    from napari_darl.batch.jobs import find_images
    from napari_darl.evaluation.pairing import pair_files
    from napari_darl.evaluation.robustness import mean_robustness, robustness, robustness_table
    from napari_darl.inference.loading import load_model
    from napari_darl.inference.noise import noisy_views
    from napari_darl.inference.options import SegmentOptions
    from napari_darl.io.output import write_mask

    levels, deviations = numbers(noise_levels, int, "--noise-levels"), numbers(sigmas, float, "--sigmas")
    pairs: dict[Path, Path | None] = dict.fromkeys([] if truth else find_images([frames], zarr=True))
    if truth:
        pairs.update(pair_files(frames, truth, by_order=by_order))
    options = SegmentOptions(bright=bright, resize=resize, bits=bits)
    loaded = load_model(model, device)
    rows = []
    failures = Failures()
    for name, frame, expert in with_experts(pairs, failures, "Segmenting", channel):
        masks = {}
        with failures.of(name):
            views = noisy_views(frame, loaded, options, noise_levels=levels, sigmas=deviations)
            masks = {view.noise: view.probability > 0.5 for view in views}
            rows.append(robustness(masks, expert))
        if output:
            for kind, mask in masks.items():
                target = output / f"{name}_{kind.replace('=', '')}_mask.tif"
                write_mask(
                    target,
                    mask,
                    provenance=loaded.provenance(noise=kind, bright=decided(bright, loaded)),
                    overwrite=overwrite,
                )
    if rows:
        typer.echo(robustness_table(mean_robustness(rows)))
    failures.report()


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="A mask or a folder of masks.")],
    truth: Annotated[Path, typer.Argument(help="The expert's mask or masks, or a COCO file of polygons.")],
    fov: Annotated[Path | None, typer.Option(help="Fields of view: pixels outside are left out.")] = None,
    as_json: AsJson = False,
    by_order: ByOrder = False,
) -> None:
    """Compare masks with an expert's: Dice, IoU, precision, recall, clDice.

    Probabilities also get the areas under the ROC and the precision-recall curve. Files that can't be used are left out
    of the means and reported at the end, and the exit status is 2.
    """
    from napari_darl.evaluation.report import evaluate as compare

    failures = Failures()
    try:
        report = compare(
            predictions,
            truth,
            fov=fov,
            by_order=by_order,
            track=lambda pairs: tracked(pairs, "Comparing"),
            attempt=failures.of,
        )
    except InputError:
        if not failures:
            raise  # it is about all files
    else:
        typer.echo(report.to_json() if as_json else report.to_table())
    failures.report()
