"""The command line: thin commands over the library. Any error is one line, with exit status 2."""

import sys
from typing import Any

import typer
from pydantic import ValidationError

from napari_darl.cli.demo import demo
from napari_darl.cli.evaluating import assess, evaluate, noise
from napari_darl.cli.info import info
from napari_darl.cli.measuring import measure, stenosis
from napari_darl.cli.models import export, import_checkpoint, models
from napari_darl.cli.refining import refine
from napari_darl.cli.segmenting import segment
from napari_darl.cli.synthesizing import synthesize
from napari_darl.cli.terminal import fail, warnings_shown
from napari_darl.cli.training import train
from napari_darl.errors import DarlError

app = typer.Typer(
    help="Vessel segmentation without labels (DARL). For research use, not for diagnosis.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    segment,
    train,
    synthesize,
    assess,
    noise,
    evaluate,
    measure,
    stenosis,
    refine,
    import_checkpoint,
    export,
    models,
    info,
    demo,
):
    app.command()(command)

# Base class of all usage errors: click's own or, in newer versions, that of typer's copy of click.
_UsageError: Any = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; the entry point of `napari-darl`."""
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        with warnings_shown():
            status = app(standalone_mode=False)
    except DarlError as error:
        status = fail(str(error))
    except _UsageError as error:
        status = fail(_usage_message(error))
    except OSError as error:
        status = fail(f"{error.filename or 'A file'} can't be used ({error.strerror}). Check it and its permissions.")
    except MemoryError:
        status = fail("Memory ran out. Close other programs, or use smaller images.")
    sys.exit(status if isinstance(status, int) else 0)


def _usage_message(error: Any) -> str:
    """Return the message of a usage error, with the value that newer versions of typer leave out."""
    refused = error.__cause__
    if not isinstance(refused, ValidationError):
        return str(error.format_message())
    return f"Invalid value {refused.errors()[0]['input']!r} for {error.param.opts[0]}: {error.message}."
