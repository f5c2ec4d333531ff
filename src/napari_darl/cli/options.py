"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from napari_darl.inference.loading import Model

ModelName = Annotated[str, typer.Option("--model", help="Name of a bundled model, a model file or a run folder.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:n or mps.")]
Output = Annotated[Path, typer.Option(help="Folder for the results; created if missing.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")]
Bright = Annotated[
    bool | None,
    typer.Option("--bright/--dark", help="Vessels are bright or dark; by default as the model is made for."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of all random draws.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ByOrder = Annotated[bool, typer.Option("--by-order", help="Pair files by order instead of by name.")]
Images = Annotated[list[Path], typer.Argument(metavar="INPUT", help="Images, or folders of images.")]


def decided(bright: bool | None, model: "Model") -> bool:
    """Return whether vessels are bright: as asked for, or else as the model is made for."""
    return model.network.config.bright if bright is None else bright
