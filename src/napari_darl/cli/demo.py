"""The first look: the sample angiogram and its vessels, as files."""

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from skimage.segmentation import find_boundaries

from napari_darl.inference.cleaning import Cleaning, clean_mask
from napari_darl.inference.loading import load_model
from napari_darl.inference.segment import segment_probability
from napari_darl.io.output import write_frames, write_mask, write_png
from napari_darl.samples import sample_angiogram, sample_path

_COLOUR = np.array([255, 96, 32])


def run_demo(output: Path, device: str = "auto") -> str:
    """Segment the sample angiogram and write mask, probability and overlay, replacing those of an earlier demo.

    Parameters
    ----------
    output : Path
        Folder for the results; made if missing.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:n` or `mps`.

    Returns
    -------
    str
        Figures, and where the files lie.

    Raises
    ------
    FileError
        If the files can't be written.
    """
    frame = sample_angiogram()
    model = load_model(device=device)
    start = time.perf_counter()
    probability = segment_probability(frame, model)
    seconds = time.perf_counter() - start
    cleaning = Cleaning()
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


def overlay(frame: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Show the frame beside itself with vessels tinted and outlined.

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
    plain = np.repeat(frame[:, :, None], 3, axis=2)
    share = 0.45 * mask + 0.55 * find_boundaries(mask, mode="inner")
    tinted = plain * (1 - share[:, :, None]) + _COLOUR * share[:, :, None]
    return np.concatenate([plain, tinted.astype(np.uint8)], axis=1)
