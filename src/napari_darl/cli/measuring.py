"""The commands that measure: `measure` and `stenosis`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_darl.cli.files import Failures, naming, refuse_existing
from napari_darl.cli.mask_files import (
    Job,
    MeasureOptions,
    mask_files,
    measure_files,
    paired,
    read_grey,
    stems_of,
    table_files,
)
from napari_darl.cli.options import Channel
from napari_darl.cli.pixel_size import Scale, find_scale, for_axes, warn_of_comma
from napari_darl.cli.terminal import messages
from napari_darl.errors import InputError

PixelSize = Annotated[
    str | None,
    typer.Option(metavar="S or Y,X", help="Size of a pixel, in --unit; by default what the files say, else pixels."),
]
Unit = Annotated[str | None, typer.Option(help="Unit of --pixel-size, such as mm or µm.")]


def measure(
    inputs: Annotated[list[Path], typer.Argument(metavar="MASKS", help="Masks, or folders of masks.")],
    output: Annotated[Path, typer.Option(help="Folder for the tables; made if missing.")],
    images: Annotated[
        Path | None, typer.Option(help="Image of the mask, or folder of images of the same names: adds profiles.")
    ] = None,
    channel: Channel = None,
    pixel_size: PixelSize = None,
    unit: Unit = None,
    fov: Annotated[Path | None, typer.Option(help="Field of view, or folder of them: nothing else counts.")] = None,
    frame_time: Annotated[float | None, typer.Option(help="Time between frames of movies, in ms.")] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Measure each value of a mask by itself.")] = False,
    volume: Annotated[bool, typer.Option("--volume", help="Stacks are volumes (Z, Y, X), not movies.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summaries as JSON.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace tables that exist already.")] = False,
) -> None:
    """Measure vessels: lengths, diameters, curvature, branch points and densities, as tables.

    Writes <stem>_segments.csv and <stem>_branch_points.csv for each mask (its stem without _mask), summary.csv with a
    row for each frame, and measurements.json with where the numbers come from.
    """
    stems = stems_of(mask_files(inputs))
    images_of, views_of = paired(stems, images, "image"), paired(stems, fov, "field of view")
    jobs = [Job(stem, mask, images_of.get(stem), views_of.get(stem)) for stem, mask in stems.items()]
    refuse_existing(table_files(stems, output), overwrite)
    failures = Failures()
    chosen = MeasureOptions(pixel_size, unit, frame_time, labels, volume, channel)
    summaries = measure_files(jobs, output, chosen, overwrite, failures)
    if as_json:
        typer.echo(json.dumps(summaries, indent=2, ensure_ascii=False))
    messages.print(f"{len(summaries)} measured{f', {len(failures)} failed' if failures else ''}: {output}")
    failures.report()


def stenosis(
    mask: Annotated[Path, typer.Argument(metavar="MASK", help="A mask.")],
    start: Annotated[str, typer.Option("--from", metavar="Y,X", help="A point on the vessel before the lesion.")],
    end: Annotated[str, typer.Option("--to", metavar="Y,X", help="A point behind it.")],
    image: Annotated[
        Path | None, typer.Option(help="Image of the mask: diameters are taken from its profiles.")
    ] = None,
    channel: Channel = None,
    frame: Annotated[int, typer.Option(min=0, help="Frame of a movie, from 0.")] = 0,
    pixel_size: PixelSize = None,
    unit: Unit = None,
    catheter: Annotated[
        str | None, typer.Option(metavar="Y,X,Y,X", help="Two points on a catheter in the image, to find the mm.")
    ] = None,
    french: Annotated[float | None, typer.Option(help="Outer diameter of that catheter, in French.")] = None,
    output: Annotated[Path | None, typer.Option(help="CSV file for the diameters along the path.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists already.")] = False,
) -> None:
    """Measure a stenosis between two points: minimum and reference diameter, percent diameter, lesion length."""
    from napari_darl.evaluation.metrics import above_half
    from napari_darl.evaluation.report import markdown_table
    from napari_darl.measuring.stenosis import stenosis as measured
    from napari_darl.measuring.tables import plain, write_csv

    if output:
        refuse_existing([output], overwrite)
    read = read_grey(mask, "brightest")
    grey = None if image is None else read_grey(image, channel)
    pixels = _frame(above_half(read.data), frame, mask)
    shown = None if grey is None else _frame(grey.data, frame, image)
    if catheter is not None:
        scale = _by_catheter(catheter, french, shown, (pixel_size, unit))
    else:
        warn_of_comma(pixel_size)
        scale = find_scale(pixel_size, unit, [read, *([grey] if grey else [])], mask)
    with naming(mask):
        found = measured(
            pixels,
            _point(start, "--from"),
            _point(end, "--to"),
            shown,
            pixel_size=for_axes(scale, 2),
            unit=scale.unit,
        )
    if output:
        y, x = found.path.T
        columns = {"position": found.position, "y": y, "x": x, "diameter": found.diameter}
        write_csv(output, columns | {"reference": found.reference}, overwrite=overwrite)
    lengths = ("minimum_diameter", "reference_diameter", "lesion_length", "minimum_position")
    values = {"percent_diameter": found.percent_diameter} | {name: getattr(found, name) for name in lengths}
    told = {"unit": found.unit, "pixel_size_from": scale.source, "diameters_from": found.source}
    if as_json:
        typer.echo(json.dumps(plain(values | told), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        units = ["%", *[found.unit] * len(lengths)]
        typer.echo(markdown_table(("measure", "value", "unit"), list(zip(values, values.values(), units, strict=True))))
        messages.print(f"Diameters from the {found.source}; pixel size: {scale.source}.")


def _frame(pixels: Any, number: int, path: Path | None) -> Any:
    """Return one frame of a stack."""
    frames = pixels.reshape(-1, *pixels.shape[-2:])
    if number >= len(frames):
        raise InputError(f"{path} has {len(frames)} frames. There is no frame {number}, counted from 0.")
    return frames[number]


def _by_catheter(points: str, french: float | None, image: Any, given: tuple[str | None, str | None]) -> Scale:
    """Calibrate by a catheter in the image."""
    from napari_darl.measuring.catheter import calibrate_by_catheter

    if french is None or image is None or any(given):
        raise InputError("--catheter needs --french and --image, and replaces --pixel-size and --unit.")
    places = _numbers(points, "--catheter", 4)
    size = calibrate_by_catheter(image, places[:2], places[2:], french)
    return Scale(size, "mm", f"catheter of {french:g} F")


def _point(text: str, option: str) -> tuple[float, float]:
    y, x = _numbers(text, option, 2)
    return y, x


def _numbers(text: str, option: str, count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise InputError(f"{option} is '{text}'. Give {count} numbers with commas between them, in pixels.")
    return numbers
