"""Synthetic pairs as files: a folder for each kind of image, and `pairs.json`, which lists and scores them."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from napari_darl.errors import FileError
from napari_darl.evaluation.metrics import score
from napari_darl.inference.loading import Model
from napari_darl.inference.reverse import ReverseProcess
from napari_darl.inference.synthesize import SyntheticPair, chain
from napari_darl.io.atomic import replacing
from napari_darl.io.output import write_frames, write_mask

_KINDS = ("angiograms", "backgrounds", "masks", "cycle_masks")


def save_pairs(
    folder: Path,
    pairs: Iterable[SyntheticPair],
    settings: Mapping[str, str | float],
    *,
    overwrite: bool = False,
) -> Iterator[str]:
    """Write pairs as TIFFs of the same name into `angiograms`, `masks`, `backgrounds` and `cycle_masks`.

    Frames are uint8 from 0 to 255, masks 0 and 255. Each file holds the settings. When the pairs end, or the caller
    stops, `pairs.json` is written: the settings, and for each pair the agreement of its pseudo-mask with the mask by
    path A (Dice and clDice).

    Parameters
    ----------
    folder : Path
        The target; created if missing.
    pairs : iterable of SyntheticPair
        What `synthesize` yields.
    settings : mapping
        How the pairs are made: model, seed and the like.
    overwrite : bool
        Whether existing files may be replaced. The remaining pairs of an earlier call are deleted at the end.

    Yields
    ------
    str
        File name of the pair that was written.

    Raises
    ------
    FileError
        If a file exists already and may not be overwritten, or can't be written.
    """
    index_file = folder / "pairs.json"
    if index_file.exists() and not overwrite:
        raise FileError(f"{index_file} exists already. Choose another folder, or pass --overwrite (overwrite=True).")
    former = _listed(index_file) if overwrite else set()
    written: list[dict[str, str | float]] = []
    try:
        for index, pair in enumerate(pairs):
            name = f"{index:05d}.tif"
            _write_pair(folder, name, pair, dict(settings) | {"index": index}, overwrite=overwrite)
            agreement = score(pair.cycle_probability > 0.5, pair.mask)
            written.append({"file": name, "index": index, "dice": agreement.dice, "cldice": agreement.cldice})
            yield name
    finally:
        if written:
            with replacing(index_file) as file:
                file.write(json.dumps({"settings": dict(settings), "pairs": written}, indent=2).encode())
            for name in former - {str(pair["file"]) for pair in written}:
                for kind in _KINDS:
                    (folder / kind / name).unlink(missing_ok=True)


def write_chain(
    path: Path,
    model: Model,
    process: ReverseProcess,
    settings: Mapping[str, str | float],
    *,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Write how the background of the first pair develops from noise, as a float32 TIFF (steps + 1, H, W).

    Of ancestral sampling, which visits all timesteps, every 40th frame is kept.

    Raises
    ------
    FileError
        If the file exists already and may not be overwritten, or can't be written.
    """
    frames = list(chain(model, process, seed))
    write_frames(path, np.stack(frames), provenance=settings, overwrite=overwrite)


def _listed(index_file: Path) -> set[str]:
    """Return the file names of an earlier call's pairs."""
    try:
        names = {str(pair["file"]) for pair in json.loads(index_file.read_text())["pairs"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in names if re.fullmatch(r"\d{5,}\.tif", name)}


def _write_pair(
    folder: Path,
    name: str,
    pair: SyntheticPair,
    provenance: Mapping[str, str | float],
    *,
    overwrite: bool,
) -> None:
    for kind, frame in zip(_KINDS[:2], (pair.angiogram, pair.background), strict=True):
        grey = np.rint((frame + 1) * 127.5).astype(np.uint8)
        write_frames(folder / kind / name, grey, provenance=provenance, overwrite=overwrite)
    for kind, mask in zip(_KINDS[2:], (pair.mask, pair.cycle_probability > 0.5), strict=True):
        write_mask(folder / kind / name, mask, provenance=provenance, overwrite=overwrite)
