"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from napari_darl.frames.selection import FrameNumbers
    from napari_darl.inference.loading import Model

ModelName = Annotated[str, typer.Option("--model", help="Name of a bundled model, a model file or a run folder.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:n or mps.")]
Output = Annotated[Path, typer.Option(help="Folder for the results; created if missing.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")]
Bright = Annotated[
    bool | None,
    typer.Option("--bright/--dark", help="Vessels are bright or dark; by default as the model is made for."),
]
Channel = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|NUMBER",
        help="Channel to use: red, green, blue or luminance of colours (by default green), or else its name or its "
        "number from 0 (by default all, as frames).",
    ),
]
Bits = Annotated[
    int | None,
    typer.Option(min=1, max=64, help="Bits that the values use, where files don't say so: 12 for most detectors."),
]
Frames = Annotated[
    str | None,
    typer.Option(metavar="N,N-N...", help="Frames of stacks to use, counted from 0, such as 0,3,10-20."),
]
Resize = Annotated[
    float | None,
    typer.Option(help="Factor by which frames are resized first; by default estimated from their shape."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of all random draws.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ByOrder = Annotated[bool, typer.Option("--by-order", help="Pair files by order instead of by name.")]
Images = Annotated[list[Path], typer.Argument(metavar="INPUT", help="Images, or folders of images.")]


def frame_numbers(text: str | None) -> "FrameNumbers | None":
    """Return the frames that the option `--frames` names; None for all."""
    from napari_darl.frames.selection import FrameNumbers

    return None if text is None else FrameNumbers(text)


def decided(bright: bool | None, model: "Model") -> bool:
    """Return whether vessels are bright: as asked for, or else as the model is made for."""
    return model.network.config.bright if bright is None else bright
