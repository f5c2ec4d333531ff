"""What has become of an image: whether its results are there, and whether they are of this image and recipe."""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from napari_darl.batch.jobs import Job
from napari_darl.batch.recipe import IMAGE, SETTINGS, Recipe
from napari_darl.errors import FileError
from napari_darl.io.arrays import ImageData
from napari_darl.io.identity import content_hash
from napari_darl.io.output import read_provenance, write_mask

EDITED = "edited"
"""Entry of a mask's provenance that says that the user has changed it."""


class State(StrEnum):
    """What has become of an image of a batch."""

    TO_DO = "to do"
    DONE = "done"
    EDITED = "edited"
    FOREIGN = "foreign"
    """There are results, but of another image, model or other settings."""
    FAILED = "failed"


def state_of(job: Job, recipe: Recipe) -> tuple[State, str]:
    """Return what has become of an image, and why in a sentence unless it is done or to do.

    A mask that the user has edited counts as such whatever made it, as long as it is of this image. Zarr results are
    not looked at here: `write_zarr` resumes them by itself.
    """
    if job.problem:
        return State.FAILED, job.problem
    present = {} if job.in_chunks else {kind: file for kind, file in job.files.items() if file.exists()}
    if not present:
        return State.TO_DO, ""
    image = content_hash(job.source)
    for kind, file in present.items():
        try:
            made = read_provenance(file)
        except FileError as error:
            return State.FOREIGN, str(error)
        if kind == "mask" and made.get(EDITED) and made.get(IMAGE) == image:
            return State.EDITED, f"{file} was edited."
        if reason := _difference(file, made, image, recipe.settings_for(job), recipe.model.sha256):
            return State.FOREIGN, reason
    return (State.DONE if len(present) == len(job.files) else State.TO_DO), ""


def _difference(file: Path, made: dict[str, str | float | int], image: str, settings: str, model: str) -> str:
    """Return in a sentence why a result isn't that of an image, settings and a model; empty if it is."""
    if IMAGE not in made or SETTINGS not in made:
        return f"{file} exists, and doesn't say which image and settings it was made from."
    if made[IMAGE] != image:
        return f"{file} was made from another image."
    if made.get("sha256") != model:
        return f"{file} was made by another model, {made.get('model')}."
    if made[SETTINGS] != settings:
        return f"{file} was made with other settings: {_words(made[SETTINGS])} instead of {_words(settings)}."
    return ""


def _words(settings: object) -> str:
    """Return settings, which are noted as JSON, in words."""
    try:
        values = dict(json.loads(str(settings)))
    except (TypeError, ValueError):  # not noted by this version
        return str(settings)
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "the defaults"


def write_edited(file: Path, mask: ImageData[Any], description: Mapping[str, Any]) -> None:
    """Replace a mask by what the user has made of it.

    Parameters
    ----------
    file : Path
        A result of a batch.
    mask : ImageData of bool
        The edited mask.
    description : mapping
        What the file says, as `read_description` returns it. It is kept, and says that the mask was edited.

    Raises
    ------
    FileError
        If it can't be written.
    """
    provenance = {**description.get("provenance", {}), EDITED: True}
    write_mask(file, mask, provenance=provenance, notes=description.get("notes"), overwrite=True)
