"""*Copy as command* of refining: the corrections as a file of masks, and the command line that refines with it."""

from pathlib import Path

import numpy as np

from napari_darl._napari.command_line import copy_command
from napari_darl._napari.layers import frame_order
from napari_darl._napari.refining.corrections import corrections
from napari_darl._napari.segmenting.result import Result
from napari_darl.errors import InputError
from napari_darl.io.output import write_frames

_VALUES = {1: 255, 0: 0, -1: 128}
"""Label -> value in the files that `napari-darl refine` reads."""

_OUTPUT = "refined.safetensors"


def copy_refining(result: Result, path: Path) -> None:
    """Write the corrections of a mask to a TIFF, and put the command that refines with it into the clipboard.

    Raises
    ------
    InputError
        If nothing is corrected.
    FileError
        If the file can't be written. An existing one is replaced.
    """
    labels = corrections(result)
    if not labels:
        raise InputError("Nothing is corrected. Paint on the mask, or tick a frame as finished, and try again.")
    stack = np.full(result.probability.shape, _VALUES[-1], np.uint8)
    for index, frame in labels.items():
        for label, value in _VALUES.items():
            stack[index][frame == label] = value
    laid_out = stack.transpose(np.argsort(frame_order(result.image)))
    write_frames(path, laid_out, provenance={"corrections_of": result.image.name}, overwrite=True)
    segment = result.options.segment
    options = {
        "images": result.image,
        "masks": path,
        "output": _OUTPUT,
        "model": result.options.model,
        "bright" if segment.bright else "dark": True,
        **{name: getattr(segment, name) for name in ("resize", "channel", "bits")},
        "device": segment.device if segment.device != "auto" else None,
    }
    copy_command("refine", {}, options)
