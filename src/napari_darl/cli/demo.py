"""The command `demo`: the sample angiogram and its vessels, as files and in napari."""

import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_darl.cli.options import Device, Output
from napari_darl.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_COLOUR = (255, 96, 32)


def demo(
    output: Output = Path("demo"),
    device: Device = "auto",
    window: Annotated[
        bool | None, typer.Option("--window/--no-window", help="Open napari; by default where it and a display exist.")
    ] = None,
) -> None:
    """Segment the sample angiogram: writes mask, probability and overlay, prints figures and opens napari."""
    typer.echo(run_demo(output, device))
    if window or (window is None and _has_window()):
        _open_window()


def run_demo(output: Path, device: str = "auto") -> str:
    """Segment the sample angiogram; write mask, probability and overlay, replacing those of an earlier demo.

    Parameters
    ----------
    output : Path
        Folder for the results; created if missing.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:n` or `mps`.

    Returns
    -------
    str
        Figures and the paths of the files.

    Raises
    ------
    FileError
        If the files can't be written.
    """
    from napari_darl.inference.cleaning import clean_mask
    from napari_darl.inference.loading import load_model
    from napari_darl.inference.segment import segment_probability
    from napari_darl.io.output import write_frames, write_mask, write_png
    from napari_darl.samples import sample_angiogram, sample_path

    frame = sample_angiogram()
    model = load_model(device=device)
    start = time.perf_counter()
    probability = segment_probability(frame, model)
    seconds = time.perf_counter() - start
    cleaning = model.cleaning
    mask = clean_mask(probability, cleaning)
    files = {kind: output / f"{sample_path().stem}_{kind}" for kind in ("mask.tif", "probability.tif", "overlay.png")}
    provenance = model.provenance(**cleaning.model_dump(), source=sample_path().name)
    write_mask(files["mask.tif"], mask, provenance=provenance, overwrite=True)
    write_frames(files["probability.tif"], probability, provenance=provenance, overwrite=True)
    write_png(files["overlay.png"], overlay(frame, mask), overwrite=True)
    device_name = next(model.network.parameters()).device
    lines = [
        f"Segmented {sample_path().name} ({frame.shape[0]} x {frame.shape[1]} px) in {seconds:.2f} s on {device_name}",
        f"Vessels cover {mask.mean():.1%} of the frame at threshold {cleaning.threshold}",
        *(f"{file.stem.rsplit('_', 1)[1]:<12} {file}" for file in files.values()),
        "For research use, not for diagnosis.",
    ]
    return "\n".join(lines)


def overlay(frame: "npt.NDArray[np.uint8]", mask: "npt.NDArray[np.uint8]") -> "npt.NDArray[np.uint8]":
    """Return the frame beside a copy with vessels tinted and outlined.

    Parameters
    ----------
    frame : numpy.ndarray of uint8, shape (H, W)
        The angiogram.
    mask : numpy.ndarray of uint8, shape (H, W)
        1 in vessels.

    Returns
    -------
    numpy.ndarray of uint8, shape (H, 2 W, 3)
    """
    import numpy as np
    from skimage.segmentation import find_boundaries

    plain = np.repeat(frame[:, :, None], 3, axis=2)
    share = 0.45 * mask + 0.55 * find_boundaries(mask, mode="inner")
    tinted = plain * (1 - share[:, :, None]) + np.array(_COLOUR) * share[:, :, None]
    return np.concatenate([plain, tinted.astype(np.uint8)], axis=1)


def _has_window() -> bool:
    """Return whether napari is installed and there is a display to show it on."""
    if find_spec("napari") is None or find_spec("qtpy") is None:
        return False
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _open_window() -> None:
    try:
        import napari

        from napari_darl._napari.demo import open_demo
    except ImportError as error:
        message = 'napari isn\'t installed. Install it by: pip install "napari-darl[all]", or pass --no-window.'
        raise InputError(message) from error
    open_demo()
    napari.run()
