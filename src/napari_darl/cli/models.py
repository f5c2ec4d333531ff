"""The commands about model files: `models`, `import-checkpoint` and `export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_darl.cli.files import refuse_existing
from napari_darl.cli.options import Overwrite
from napari_darl.cli.terminal import messages
from napari_darl.errors import InputError


class ExportFormat(StrEnum):
    """Formats that `export` writes."""

    ONNX = "onnx"
    BIOIMAGEIO = "bioimageio"


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


def import_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(metavar="X_G.pth", help="A released DARL checkpoint.")],
    output: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="Model file to write.")],
    overwrite: Overwrite = False,
) -> None:
    """Convert a checkpoint released by DARL's authors; nothing in it is executed."""
    from napari_darl.inference.loading import import_checkpoint as convert

    if output.suffix != ".safetensors":
        raise InputError(f"{output} isn't the name of a model file. Choose one that ends in .safetensors.")
    refuse_existing([output], overwrite)
    convert(checkpoint, output)
    messages.print(f"Imported into {output}.")


def export(
    model: Annotated[str, typer.Argument(help="Name of a bundled model, a model file or a run folder.")],
    output: Annotated[Path, typer.Option(help="The file to write, named .onnx, or .zip for bioimageio.")],
    format: Annotated[
        ExportFormat, typer.Option(help="An ONNX graph, or a package for the BioImage Model Zoo.")
    ] = ExportFormat.ONNX,
    overwrite: Overwrite = False,
) -> None:
    """Export a model for programs that don't have napari-darl.

    Beside X.onnx, X.onnx.json says how frames are brought to the graph's input.
    """
    from napari_darl.exporting.export import export_model

    written = export_model(model, output, format.value, overwrite=overwrite)
    messages.print(f"Exported to {' and '.join(map(str, written))}.")
