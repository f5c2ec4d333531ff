"""The command line: thin commands over the library; any error is one line and exit status 2."""

import json
import os
import sys
import warnings
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_darl.cli import measuring
from napari_darl.cli.files import image_files, named_frames, naming, numbers, refuse_existing, targets, with_experts
from napari_darl.cli.segmenting import Segmentation, connected
from napari_darl.cli.terminal import fail, messages, progress_bar, show_warning, stop_on_interrupt, tracked
from napari_darl.errors import DarlError, DarlWarning, InputError

app = typer.Typer(
    help="Vessel segmentation without labels (DARL). For research use, not for diagnosis.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
# Base of all usage errors: click's own, or, in newer versions, of typer's copy of click.
_UsageError: Any = typer.BadParameter.__mro__[1]

ModelName = Annotated[str, typer.Option("--model", help="Name of a bundled model, a model file or a run folder.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:n or mps.")]
Output = Annotated[Path, typer.Option(help="Folder for the results; made if missing.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")]


class Preset(StrEnum):
    """Presets that `train` knows."""

    LITE = "lite"
    FUNDUS = "fundus"
    PUBLISHED = "published"


def main() -> None:
    """Run the command line; the entry point of `napari-darl`."""
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    warnings.simplefilter("always", DarlWarning)
    warnings.showwarning = show_warning  # type: ignore[assignment]
    try:
        status = app(standalone_mode=False)
    except DarlError as error:
        status = fail(str(error))
    except _UsageError as error:
        status = fail(error.format_message())
    except OSError as error:
        status = fail(f"{error.filename or 'A file'} can't be used ({error.strerror}): check it and its rights.")
    except MemoryError:
        status = fail("Memory ran out: close other programs, or take smaller images.")
    sys.exit(status if isinstance(status, int) else 0)


@app.command()
def segment(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Images, or folders of images.")],
    output: Output,
    model: ModelName = "default",
    threshold: Annotated[float, typer.Option(help="Greater probabilities count as vessel.")] = 0.5,
    hysteresis: Annotated[float, typer.Option(help="How far below the threshold what is connected counts.")] = 0.0,
    smallest_piece: Annotated[int, typer.Option(help="Drop pieces of fewer pixels.")] = 0,
    largest_hole: Annotated[int, typer.Option(help="Fill holes of up to so many pixels.")] = 0,
    smooth_time: Annotated[
        bool, typer.Option("--smooth-time", help="Average movies over neighbouring frames where they stand still.")
    ] = False,
    probability: Annotated[bool, typer.Option("--probability", help="Write the probability, too.")] = False,
    bright: Annotated[bool, typer.Option("--bright", help="Vessels are brighter than the background.")] = False,
    resize: Annotated[
        float | None, typer.Option(help="Factor by which frames are resized first; guessed from their size.")
    ] = None,
    to_zarr: Annotated[
        bool, typer.Option("--zarr", help="Write zarr part by part, for images of any size; goes on where it stopped.")
    ] = False,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to compute on, as tcp://host:8786, or local.")
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Measure the masks, too: see measure --help.")] = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Segment vessels: writes <stem>_mask.tif (0 / 255) and, if asked, <stem>_probability.tif.

    Zarr images, and TIFFs with --zarr or --cluster, are never whole in memory: they become <stem>_mask.zarr (0 / 1).
    """
    from napari_darl.inference.cleaning import Cleaning
    from napari_darl.inference.loading import load_model
    from napari_darl.inference.options import SegmentOptions
    from napari_darl.io.lazy import opens_lazily

    options = SegmentOptions().updated(bright=bright, resize=resize, device=device)
    cleaning = Cleaning().updated(
        threshold=threshold, hysteresis=hysteresis, smallest_piece=smallest_piece, largest_hole=largest_hole
    )
    paths = image_files(inputs, zarr=True)
    kinds = ("mask", "probability") if probability else ("mask",)
    large = [path for path in paths if to_zarr or cluster or path.is_dir()]
    if large and (smooth_time or cleaning != Cleaning(threshold=threshold)):
        raise InputError("Zarr is segmented part by part: only --threshold works there, no other cleaning.")
    if other := next((path for path in large if not opens_lazily(path)), None):
        raise InputError(f"{other} can't be read part by part, as zarr and TIFF can: leave --zarr and --cluster out.")
    whole = targets([path for path in paths if path not in large], output, kinds, overwrite)
    zarrs = targets(large, output, kinds, overwrite=True, suffix=".zarr")  # unfinished ones go on
    if measure and large:
        raise InputError("Zarr is segmented part by part and isn't measured. Leave --measure out.")
    if measure:
        refuse_existing(measuring.table_files([path.stem for path in whole], output), overwrite)
    segmentation = Segmentation(load_model(model, device), options, cleaning, smooth_time, overwrite)
    smoothed = False
    for path, files in tracked(list(whole.items()), "Segmenting") if whole else ():
        smoothed |= segmentation.to_tiff(path, files)
    if smooth_time and not smoothed:
        warnings.warn("Nothing was smoothed over time: no file holds more than one frame.", DarlWarning, stacklevel=1)
    if measure:
        jobs = [measuring.Job(path.stem, files["mask"], path) for path, files in whole.items()]
        measuring.measure_files(jobs, output, measuring.MeasureOptions(), overwrite)
    with connected(cluster) as client:
        for path, files in zarrs.items():
            segmentation.to_zarr(path, files, client)
    messages.print(f"{len(paths)} segmented by {model}: {output}")


@app.command()
def train(
    angiograms: Annotated[Path, typer.Option(help="Folder or stack of angiograms.")],
    output: Output,
    backgrounds: Annotated[Path | None, typer.Option(help="Frames before contrast; without, made.")] = None,
    first_frames: Annotated[
        int, typer.Option(min=0, help="Take so many frames at the start of each series as its backgrounds instead.")
    ] = 0,
    masks: Annotated[Path | None, typer.Option(help="Pseudo-masks; without, generated.")] = None,
    preset: Annotated[Preset | None, typer.Option(help="Networks and recipe; lite unless --start says.")] = None,
    c_darl: Annotated[bool, typer.Option("--c-darl", help="C-DARL: no backgrounds, no mask discriminator.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps in all; the preset's if left out.")] = None,
    start: Annotated[str | None, typer.Option(help="Model to begin with: a name, a file or X_G.pth.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Key of all random draws; 0 if left out.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Train a model on unpaired stacks, without labels; Ctrl-C saves and stops."""
    from napari_darl.frames.stacks import read_stack
    from napari_darl.inference.loading import starting_networks
    from napari_darl.training.config import training_config
    from napari_darl.training.run_folder import RunFolder
    from napari_darl.training.trainer import Trainer

    told = {"--preset": preset, "--c-darl": c_darl or None, "--start": start, "--seed": seed}
    if resume and (named := [name for name, value in told.items() if value is not None]):
        raise InputError(f"A run that is resumed stays as it was begun: leave {' and '.join(named)} out.")
    networks = starting_networks(start) if start else None
    saved = RunFolder(output).read() if resume else None
    name = preset.value if preset else networks[0].config.preset if networks else "lite"
    config = training_config(name, c_darl=c_darl, steps=steps, seed=seed or 0)
    if first_frames and backgrounds:
        raise InputError("--backgrounds and --first-frames both say what the backgrounds are: choose one.")
    stack = read_stack(angiograms)
    frames, empty = stack.split(first_frames)
    stacks = (
        frames,
        read_stack(backgrounds).frames if backgrounds else empty,
        read_stack(masks, "brightest").frames if masks else None,
    )
    if saved is not None:
        trainer = Trainer.resume(saved, *stacks, bits=stack.bits, steps=steps, device=device)
    else:
        trainer = Trainer(config, output, *stacks, bits=stack.bits, start=networks, device=device)
    with stop_on_interrupt() as stop, progress_bar("cycle {task.fields[cycle]:.3f}") as progress:
        task = progress.add_task("Training", total=trainer.config.steps, completed=trainer.step, cycle=0.0)
        for state in trainer.run(stop):
            progress.update(task, completed=state.step, cycle=state.losses["cycle"])
    ended = "Stopped" if trainer.step < trainer.config.steps else "Done"
    messages.print(f"{ended} after step {trainer.step}: {trainer.folder.model}")


@app.command()
def synthesize(
    output: Output,
    count: Annotated[int, typer.Option(min=1, help="Pairs to make.")],
    backgrounds: Annotated[
        Path | None,
        typer.Option(help="Folder or stack of frames without contrast; without, sampled by the reverse process."),
    ] = None,
    model: ModelName = "default",
    size: Annotated[int, typer.Option(min=32, help="Side of sampled backgrounds, in pixels.")] = 512,
    reverse_steps: Annotated[
        int, typer.Option(min=0, help="Steps in which they are sampled (DDIM); 0 for all, by ancestral sampling.")
    ] = 50,
    chain: Annotated[bool, typer.Option("--chain", help="Write how the first of them came out of noise, too.")] = False,
    noise_level: Annotated[int, typer.Option(min=0, help="Timestep at which backgrounds are noised.")] = 0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Key of all random draws.")] = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Make synthetic angiograms with their masks by path B: one folder a kind, files of the same name pair."""
    from napari_darl.frames.stacks import read_stack
    from napari_darl.inference.loading import load_model
    from napari_darl.inference.reverse import ReverseProcess
    from napari_darl.inference.synthesize import save_pairs, write_chain
    from napari_darl.inference.synthesize import synthesize as pairs

    if backgrounds and chain:
        raise InputError("--chain shows how backgrounds come out of noise: leave --backgrounds out, or --chain.")
    stack = read_stack(backgrounds) if backgrounds else None
    process = ReverseProcess((size, size), reverse_steps or None)
    loaded = load_model(model, device)
    told = {"source": backgrounds.name} if backgrounds else {"size": size, "reverse_steps": reverse_steps}
    settings = loaded.provenance(noise_level=noise_level, seed=seed, **told)
    refuse_existing([output / "pairs.json"], overwrite)
    if chain:
        write_chain(output / "chain.tif", loaded, process, settings, seed=seed, overwrite=overwrite)
    made = pairs(
        loaded,
        stack.frames if stack else process,
        count,
        noise_level=noise_level,
        seed=seed,
        bits=stack.bits if stack else None,
    )
    for _ in tracked(save_pairs(output, made, settings, overwrite=overwrite), "Synthesizing", count):
        pass
    messages.print(f"{count} pairs: {output}")


@app.command()
def assess(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Images, or folders of images.")],
    model: ModelName = "default",
    output: Annotated[Path | None, typer.Option(help="Folder for <stem>_uncertainty.tif.")] = None,
    bright: Annotated[bool, typer.Option("--bright", help="Vessels are brighter than the background.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Say without labels how far to trust a model on frames: a score each, 0 to 1, and uncertainty maps."""
    from statistics import mean

    from napari_darl.evaluation.report import markdown_table
    from napari_darl.inference.loading import load_model
    from napari_darl.inference.options import SegmentOptions
    from napari_darl.inference.trust import assess as look
    from napari_darl.io.output import write_frames

    paths = image_files(inputs)
    loaded = load_model(model, device)
    scores: dict[str, float] = {}
    for name, frame, bits in tracked(named_frames(paths), "Assessing", len(paths)):
        with naming(name):
            trust = look(frame, loaded, SegmentOptions().updated(bright=bright, bits=bits))
        scores[name] = trust.score
        if output:
            target = output / f"{name}_uncertainty.tif"
            write_frames(target, trust.uncertainty, provenance=loaded.provenance(bright=bright), overwrite=overwrite)
    middle = mean(scores.values())
    if as_json:
        typer.echo(json.dumps({"mean": middle, "frames": scores}, indent=2))
    else:
        typer.echo(markdown_table(("frame", "score"), [*scores.items(), ("mean", middle)]))


@app.command()
def noise(
    frames: Annotated[Path, typer.Argument(metavar="INPUT", help="An image, or a folder of images.")],
    model: ModelName = "default",
    noise_levels: Annotated[
        str, typer.Option(metavar="T,T...", help="Timesteps at which path A looks at the frames.")
    ] = "50,100,200,400",
    sigmas: Annotated[
        str, typer.Option(metavar="S,S...", help="Gaussian noise added to the frames, of 255.")
    ] = "10,25,50",
    truth: Annotated[Path | None, typer.Option(help="The experts' masks, if there are any.")] = None,
    by_order: Annotated[bool, typer.Option("--by-order", help="Pair them by order instead of by name.")] = False,
    output: Annotated[Path | None, typer.Option(help="Folder for the masks under each noise.")] = None,
    bright: Annotated[bool, typer.Option("--bright", help="Vessels are brighter than the background.")] = False,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Tell what noise does to a model's masks: at other timesteps of the diffusion, and in the frames."""
    from napari_darl.evaluation.report import pair_files
    from napari_darl.evaluation.robustness import mean_robustness, robustness, robustness_table
    from napari_darl.inference.loading import load_model
    from napari_darl.inference.noise import noisy_views
    from napari_darl.inference.options import SegmentOptions
    from napari_darl.io.output import write_mask

    levels, deviations = numbers(noise_levels, int, "--noise-levels"), numbers(sigmas, float, "--sigmas")
    pairs = dict(
        pair_files(frames, truth, by_order=by_order) if truth else [(path, None) for path in image_files([frames])]
    )
    loaded = load_model(model, device)
    rows = []
    for name, frame, bits, expert in tracked(with_experts(pairs), "Segmenting", len(pairs)):
        with naming(name):
            options = SegmentOptions().updated(bright=bright, bits=bits)
            views = noisy_views(frame, loaded, options, noise_levels=levels, sigmas=deviations)
            masks = {view.noise: view.probability > 0.5 for view in views}
            rows.append(robustness(masks, expert))
        if output:
            for kind, mask in masks.items():
                target = output / f"{name}_{kind.replace('=', '')}_mask.tif"
                write_mask(target, mask, provenance=loaded.provenance(noise=kind, bright=bright), overwrite=overwrite)
    typer.echo(robustness_table(mean_robustness(rows)))


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="A mask or a folder of masks.")],
    truth: Annotated[Path, typer.Argument(help="The expert's mask or masks.")],
    fov: Annotated[Path | None, typer.Option(help="Fields of view: what lies outside doesn't count.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    by_order: Annotated[bool, typer.Option("--by-order", help="Pair by order instead of by name.")] = False,
) -> None:
    """Compare masks with an expert's: Dice, IoU, precision, recall, clDice, and areas for probabilities."""
    from napari_darl.evaluation.report import evaluate as compare

    report = compare(predictions, truth, fov=fov, by_order=by_order, track=lambda pairs: tracked(pairs, "Comparing"))
    typer.echo(report.to_json() if as_json else report.to_table())


app.command()(measuring.measure)
app.command()(measuring.stenosis)


@app.command()
def import_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(metavar="X_G.pth", help="A released DARL checkpoint.")],
    output: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="Model file to write.")],
    overwrite: Overwrite = False,
) -> None:
    """Convert a checkpoint that DARL's authors released; nothing in it is executed."""
    from napari_darl.inference.loading import import_checkpoint as convert

    if output.suffix != ".safetensors":
        raise InputError(f"{output} must end in .safetensors: choose such a name.")
    refuse_existing([output], overwrite)
    convert(checkpoint, output)
    messages.print(f"Imported: {output}")


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Print the card of this model.")] = None,
) -> None:
    """List the bundled models, or print a model's card."""
    from napari_darl.models import bundled_models, model_card

    if name is not None:
        typer.echo(model_card(name))
        return
    for bundled in bundled_models():
        title = model_card(bundled).splitlines()[0].lstrip("# ")
        typer.echo(f"{bundled}\t{title}")


@app.command()
def demo(
    output: Output = Path("demo"),
    device: Device = "auto",
    window: Annotated[
        bool | None, typer.Option("--window/--no-window", help="Open napari; by default where it and a display are.")
    ] = None,
) -> None:
    """Segment the sample angiogram; writes mask, probability and overlay, prints figures and opens napari."""
    from napari_darl.cli.demo import run_demo

    typer.echo(run_demo(output, device))
    if window or (window is None and _has_window()):
        _open_window()


def _has_window() -> bool:
    """Tell whether napari is installed and something is there to show it on."""
    if find_spec("napari") is None or find_spec("qtpy") is None:
        return False
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _open_window() -> None:
    try:
        import napari

        from napari_darl._napari.demo import open_demo
    except ImportError as error:
        raise InputError('napari isn\'t installed: pip install "napari-darl[all]", or use --no-window.') from error
    open_demo()
    napari.run()
