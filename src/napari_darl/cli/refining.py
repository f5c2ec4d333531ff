"""The command that refines a model with corrected masks."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_darl.cli.files import naming, refuse_existing
from napari_darl.cli.options import Bits, Bright, Channel, Device, ModelName, Overwrite, Resize, Seed
from napari_darl.cli.terminal import messages, progress_bar, stop_on_interrupt
from napari_darl.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_darl.io.arrays import ImageData

_NOT_SAID = 128


def refine(
    images: Annotated[Path, typer.Option(help="Folder of corrected images, or one image.")],
    masks: Annotated[
        Path,
        typer.Option(
            help="Their corrected masks: 255 vessel, 0 background, 128 not said. Stems pair them. Frames of a stack of "
            "which nothing is said count as not corrected."
        ),
    ],
    output: Annotated[Path, typer.Option(help="File of the refined model, *.safetensors.")],
    others: Annotated[Path | None, typer.Option(help="Folder of images of the same kind, not corrected.")] = None,
    model: ModelName = "default",
    bright: Bright = None,
    resize: Resize = None,
    channel: Channel = None,
    bits: Bits = None,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Refine a model with corrected masks; if that makes it no better, the original stays and nothing is written.

    The refined model is no longer label-free. Its file carries its threshold, which segment --model then uses.
    """
    from napari_darl.batch.jobs import find_images
    from napari_darl.evaluation.pairing import pair_files
    from napari_darl.evaluation.report import markdown_table
    from napari_darl.inference.options import SegmentOptions
    from napari_darl.io.images import read_image
    from napari_darl.refining.refine import refine as refine_model

    if output.suffix != ".safetensors":
        raise InputError(f"{output} doesn't end in .safetensors, as model files do. Choose such a name.")
    refuse_existing([output], overwrite)
    options = SegmentOptions(bright=bright, resize=resize, channel=channel, bits=bits, device=device)
    corrected: list[tuple[Any, Any]] = []
    unsaid: list[Any] = []
    for image, mask in pair_files(images, masks):
        with naming(mask):
            corrected.append((read_image(image), _labels(mask)))
            unsaid += _unsaid_frames(*corrected[-1])
    taken = {image.resolve() for image, _ in pair_files(images, masks)}
    spare = [path for path in (find_images([others]) if others else []) if path.resolve() not in taken]

    with stop_on_interrupt() as stop, progress_bar() as progress:
        task = progress.add_task("Refining")
        done = refine_model(
            model,
            corrected,
            [*unsaid, *(read_image(path) for path in spare)],
            options=options,
            seed=seed,
            progress=lambda step, total: progress.update(task, completed=step, total=total),
            stop=stop,
        )
    rows = [(name, candidate.dice, candidate.disagreement) for name, candidate in done.report.items()]
    typer.echo(markdown_table(("candidate", "held-out Dice", "disagreement"), rows))
    if done.choice == "original":
        messages.print(f"No candidate is clearly better than {model}. Nothing was written; go on using {model}.")
        return
    if overwrite:
        output.unlink(missing_ok=True)
    done.save(output)
    messages.print(f"{done.choice}, threshold {done.threshold:.2f}, no longer label-free: {output}")


def _unsaid_frames(image: "ImageData[Any]", labels: "npt.NDArray[np.int8]") -> "list[ImageData[Any]]":
    """Return some frames of a stack of which its labels say nothing."""
    import numpy as np

    from napari_darl.refining.corrections import NOT_SAID, uncorrected_frames

    leading = image.leading_shape
    if labels.shape != (*leading, *image.frame_shape):  # which `refine` refuses, or a channel is still to be chosen
        return []
    said = (labels != NOT_SAID).any(axis=(-2, -1))
    corrected = {tuple(int(part) for part in index) for index in np.argwhere(said)} if leading else {()}
    return [replace(image, data=image.data[index], axes=None) for index in uncorrected_frames(leading, corrected)]


def _labels(path: Path) -> "npt.NDArray[np.int8]":
    """Read a corrected mask as labels: 1 vessel, 0 background, -1 not said."""
    import numpy as np

    from napari_darl.frames.channels import to_grey
    from napari_darl.io.images import read_image

    mask = read_image(path)
    values = to_grey(mask.data, "brightest") if mask.rgb else mask.data
    known = np.unique(values)
    if not np.isin(known, (0, 1, _NOT_SAID, 255)).all() or (1 in known and known.max() > 1):
        told = ", ".join(str(value) for value in known[:6])
        raise InputError(
            f"The mask holds the values {told}. A corrected mask holds 255 (vessel), 0 (background) and 128 (not said)."
        )
    labels = (values > 0).astype(np.int8)
    labels[values == _NOT_SAID] = -1
    return labels
