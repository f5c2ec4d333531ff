"""The command line: thin commands over the library; any error is one line and exit status 2."""

import json
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from napari_darl.errors import DarlError, DarlWarning, FileError, InputError

if TYPE_CHECKING:
    from distributed import Client

    from napari_darl.inference.cleaning import Cleaning
    from napari_darl.inference.models import Model

T = TypeVar("T")

app = typer.Typer(
    help="Vessel segmentation without labels (DARL). For research use, not for diagnosis.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
# Base of all usage errors: click's own, or, in newer versions, of typer's copy of click.
_UsageError: Any = typer.BadParameter.__mro__[1]

_messages = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)

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
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        status = app(standalone_mode=False)
    except DarlError as error:
        status = _fail(str(error))
    except _UsageError as error:
        status = _fail(error.format_message())
    except OSError as error:
        status = _fail(f"{error.filename or 'A file'} can't be used ({error.strerror}): check it and its rights.")
    except MemoryError:
        status = _fail("Memory ran out: close other programs, or take smaller images.")
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
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Segment vessels: writes <stem>_mask.tif (0 / 255) and, if asked, <stem>_probability.tif.

    Zarr images, and any with --zarr, are never whole in memory: they become <stem>_mask.zarr (0 / 1).
    """
    from napari_darl.inference.cleaning import Cleaning
    from napari_darl.inference.models import load_model

    cleaning = Cleaning().updated(
        threshold=threshold, hysteresis=hysteresis, smallest_piece=smallest_piece, largest_hole=largest_hole
    )
    paths = _image_files(inputs)
    kinds = ("mask", "probability") if probability else ("mask",)
    large = [path for path in paths if to_zarr or cluster or path.is_dir()]
    if large and (smooth_time or cleaning != Cleaning(threshold=threshold)):
        raise InputError("Zarr is segmented part by part: only --threshold works there, no other cleaning.")
    targets = _targets([path for path in paths if path not in large], output, kinds, overwrite)
    zarrs = _targets(large, output, kinds, overwrite=True, suffix=".zarr")  # unfinished ones go on
    loaded = load_model(model, device)
    for path, files in _bar(list(targets.items()), "Segmenting") if targets else ():
        _segment_file(
            path, files, loaded, cleaning, smooth_time=smooth_time, bright=bright, resize=resize, overwrite=overwrite
        )
    with _client(cluster) as client:
        for path, files in zarrs.items():
            _segment_zarr(path, files, loaded, threshold, client, bright=bright, resize=resize, overwrite=overwrite)
    _messages.print(f"{len(paths)} segmented by {model}: {output}")


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
    c_darl: Annotated[bool, typer.Option("--c-darl", help="C-DARL: no backgrounds, no mask judge.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps in all; the preset's if left out.")] = None,
    start: Annotated[str | None, typer.Option(help="Model to begin with: a name, a file or X_G.pth.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Key of all random draws.")] = 0,
    device: Device = "auto",
) -> None:
    """Train a model on unpaired stacks, without labels; Ctrl-C saves and stops."""
    from napari_darl.data.files import read_stack
    from napari_darl.inference.models import starting_networks
    from napari_darl.training.config import training_config
    from napari_darl.training.run_folder import RunFolder
    from napari_darl.training.trainer import Trainer

    networks = starting_networks(start) if start and not resume else None
    if resume:
        config = RunFolder(output).read_config()
        config = config if steps is None else config.updated(steps=steps)
    else:
        name = preset.value if preset else networks[0].config.preset if networks else "lite"
        config = training_config(name, c_darl=c_darl, steps=steps, seed=seed)
    if first_frames and backgrounds:
        raise InputError("--backgrounds and --first-frames both say what the backgrounds are: choose one.")
    stack = read_stack(angiograms)
    frames, empty = stack.split(first_frames)
    trainer = Trainer(
        config,
        output,
        frames,
        read_stack(backgrounds).frames if backgrounds else empty,
        read_stack(masks).frames if masks else None,
        bits=stack.bits,
        start=networks,
        resume=resume,
        device=device,
    )
    with _stop_on_interrupt() as stop, _progress("cycle {task.fields[cycle]:.3f}") as progress:
        task = progress.add_task("Training", total=trainer.config.steps, completed=trainer.step, cycle=0.0)
        for state in trainer.run(stop):
            progress.update(task, completed=state.step, cycle=state.losses["cycle"])
    ended = "Stopped" if trainer.step < trainer.config.steps else "Done"
    _messages.print(f"{ended} after step {trainer.step}: {trainer.folder.model}")


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
    seed: Annotated[int, typer.Option(min=0, help="Key of all random draws.")] = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Make synthetic angiograms with their masks by path B: one folder a kind, files of the same name pair."""
    from napari_darl.data.files import read_stack
    from napari_darl.inference.models import load_model
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
    for _ in _bar(save_pairs(output, made, settings, overwrite=overwrite), "Synthesizing", count):
        pass
    _messages.print(f"{count} pairs: {output}")


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

    from napari_darl.data.output import write_frames
    from napari_darl.evaluation.report import markdown_table
    from napari_darl.inference.models import load_model
    from napari_darl.inference.trust import assess as look

    paths = _image_files(inputs)
    loaded = load_model(model, device)
    scores: dict[str, float] = {}
    for name, frame, bits in _bar(_named_frames(paths), "Assessing", len(paths)):
        with _naming(name):
            trust = look(frame, loaded, bright=bright, bits=bits)
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
    from napari_darl.data.output import write_mask
    from napari_darl.evaluation.report import pair_files
    from napari_darl.evaluation.robustness import mean_robustness, robustness, robustness_table
    from napari_darl.inference.models import load_model
    from napari_darl.inference.noise import noisy_views

    levels, deviations = _numbers(noise_levels, int, "--noise-levels"), _numbers(sigmas, float, "--sigmas")
    pairs = dict(
        pair_files(frames, truth, by_order=by_order) if truth else [(path, None) for path in _image_files([frames])]
    )
    loaded = load_model(model, device)
    rows = []
    for name, frame, bits, expert in _bar(_with_experts(pairs), "Segmenting", len(pairs)):
        with _naming(name):
            views = noisy_views(frame, loaded, noise_levels=levels, sigmas=deviations, bright=bright, bits=bits)
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

    report = compare(predictions, truth, fov=fov, by_order=by_order, track=lambda pairs: _bar(pairs, "Comparing"))
    typer.echo(report.to_json() if as_json else report.to_table())


@app.command()
def import_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(metavar="X_G.pth", help="A released DARL checkpoint.")],
    output: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="Model file to write.")],
    overwrite: Overwrite = False,
) -> None:
    """Convert a checkpoint that DARL's authors released; nothing in it is executed."""
    from napari_darl.inference.models import import_checkpoint as convert

    if output.suffix != ".safetensors":
        raise InputError(f"{output} must end in .safetensors: choose such a name.")
    _refuse_existing([output], overwrite)
    convert(checkpoint, output)
    _messages.print(f"Imported: {output}")


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
    from napari_darl.inference.demo import run_demo

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


def _segment_file(
    path: Path,
    files: dict[str, Path],
    model: "Model",
    cleaning: "Cleaning",
    *,
    smooth_time: bool,
    bright: bool,
    resize: float | None,
    overwrite: bool,
) -> None:
    from napari_darl.data.files import read_image
    from napari_darl.data.frames import to_grey
    from napari_darl.data.output import write_frames, write_mask
    from napari_darl.data.smoothing import smooth_over_time
    from napari_darl.inference.cleaning import clean_mask
    from napari_darl.inference.scale import guess_resize
    from napari_darl.inference.segment import segment_probability

    image = read_image(path)
    if resize is None:
        height, width = image.data.shape[-3:-1] if image.rgb else image.data.shape[-2:]
        resize = guess_resize(height, width, model.network.config.side)
    with _naming(path):
        pixels = to_grey(image.data) if image.rgb else image.data
        if smooth_time and pixels.ndim > 2:
            pixels = smooth_over_time(pixels)
        result = segment_probability(pixels, model, bright=bright, bits=image.bits, resize=resize)
    settings: dict[str, str | float] = {
        "smooth_time": smooth_time,
        "bright": bright,
        "resize": resize,
        "source": path.name,
    }
    provenance = model.provenance(**cleaning.model_dump(), **settings)
    place: dict[str, Any] = {"pixel_size": image.pixel_size, "unit": image.unit, "provenance": provenance}
    write_mask(files["mask"], clean_mask(result, cleaning), **place, overwrite=overwrite)
    if "probability" in files:
        write_frames(files["probability"], result, **place, overwrite=overwrite)


def _segment_zarr(
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
    from napari_darl.data.lazy_files import open_lazily
    from napari_darl.inference.windows import Windows
    from napari_darl.inference.zarr_output import ZarrOutput

    image = open_lazily(path)
    with _naming(path):
        windows = Windows(image.data, model, rgb=image.rgb, bright=bright, resize=resize)
        settings = model.provenance(bright=bright, resize=windows.resize, source=path.name)
        if image.pixel_size:
            settings |= {"pixel_size": "{} x {}".format(*image.pixel_size), "unit": image.unit or ""}
        output = ZarrOutput(files["mask"], files.get("probability"), threshold)
        total = len(windows.chunks())
        with _stop_on_interrupt() as stop, _progress() as progress:
            task = progress.add_task(f"Segmenting {path.name}", total=total)
            for done in output.write(windows, settings, overwrite=overwrite, client=client):
                progress.update(task, completed=done)
                if stop.is_set() and done < total:
                    raise InputError(f"Stopped after {done} of {total} parts: the same command goes on from there.")


@contextmanager
def _client(address: str | None) -> "Iterator[Client | None]":
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
        yield client


def _image_files(inputs: list[Path]) -> list[Path]:
    """Images among the inputs and in folders among them; refused before any work if one is missing."""
    from napari_darl.data.files import image_paths
    from napari_darl.data.lazy_files import is_zarr

    for entry in inputs:
        if not entry.exists():
            raise FileError(f"{entry} isn't there: check its name and its folder.")
    return [
        path for entry in inputs for path in (image_paths(entry) if entry.is_dir() and not is_zarr(entry) else [entry])
    ]


def _named_frames(paths: Iterable[Path]) -> Iterator[tuple[str, Any, int | None]]:
    """Grey frames and their bits, each by its file's stem, and its number in a file of several."""
    from napari_darl.data.files import read_stack

    for path in paths:
        stack = read_stack(path)
        for number, frame in enumerate(stack.frames):
            yield path.stem if len(stack.frames) == 1 else f"{path.stem}_{number}", frame, stack.bits


def _with_experts(pairs: "dict[Path, Path | None]") -> Iterator[tuple[str, Any, int | None, Any]]:
    """Frames as of `_named_frames`, with the expert's mask of each where a file of them is given."""
    from napari_darl.evaluation.metrics import above_half

    for path, expert in pairs.items():
        frames = list(_named_frames([path]))
        masks = [above_half(mask) for _, mask, _ in _named_frames([expert])] if expert else [None] * len(frames)
        if len(masks) != len(frames):
            raise InputError(f"{expert} has {len(masks)} masks and {path} {len(frames)} frames: pair them one by one.")
        for named, mask in zip(frames, masks, strict=True):
            yield *named, mask


def _numbers(text: str, kind: Callable[[str], T], option: str) -> list[T]:
    try:
        return [kind(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise InputError(f"{option} is '{text}': give numbers with commas between them.") from error


@contextmanager
def _naming(source: Path | str) -> Iterator[None]:
    """Say in an input's error which one it is."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _targets(
    paths: list[Path], output: Path, kinds: tuple[str, ...], overwrite: bool, suffix: str = ".tif"
) -> dict[Path, dict[str, Path]]:
    """Where the results of each image go; refused before any work if a result is there."""
    targets = {path: {kind: output / f"{path.stem}_{kind}{suffix}" for kind in kinds} for path in paths}
    names: dict[Path, Path] = {}
    for path, files in targets.items():
        other = names.setdefault(files[kinds[0]], path)
        if other != path:
            raise InputError(f"{other} and {path} would both become {files[kinds[0]]}: segment them into two folders.")
    _refuse_existing([file for files in targets.values() for file in files.values()], overwrite)
    return targets


def _refuse_existing(files: list[Path], overwrite: bool) -> None:
    taken = [file for file in files if file.exists()]
    if taken and not overwrite:
        others = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise FileError(f"{taken[0]}{others} would be overwritten: choose another folder or pass --overwrite.")


@contextmanager
def _stop_on_interrupt() -> Iterator[Event]:
    """Turn Ctrl-C into an event, so that the step under way is finished and saved."""
    stop = Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress(extra: str = "") -> Iterator[Progress]:
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, *([TextColumn(extra)] if extra else []), console=_messages) as progress:
        yield progress


def _bar(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    with _progress() as progress:
        yield from progress.track(items, total, description=description)


def _fail(message: str, status: int = 2) -> int:
    _messages.print("error: " + " ".join(message.split()))
    return status


def _show_warning(message: Warning | str, *_: Any) -> None:
    _messages.print(f"warning: {message}")
