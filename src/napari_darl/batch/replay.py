"""The settings of a segmentation as a command line, and back from a mask that was made with them."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_darl.batch.recipe import SETTINGS
from napari_darl.errors import FileError, InputError
from napari_darl.frames.regions import EVERYTHING, FIELD_OF_VIEW
from napari_darl.frames.selection import FrameNumbers
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.loading import Model
from napari_darl.inference.options import SegmentOptions
from napari_darl.io.output import read_provenance
from napari_darl.models import model_info

_PLAIN = SegmentOptions()
_AS_FILES_SAY = ("rgb", "precision")  # no options of the command line


@dataclass(frozen=True)
class Settings:
    """All that decides what becomes of an image.

    Attributes
    ----------
    model : str
        Name of a bundled model, or path of a model file.
    options : SegmentOptions
        How it is applied.
    cleaning : Cleaning
        How probability becomes a mask.
    smooth_time : bool
        Whether movies are averaged over neighbouring frames first.
    frames : FrameNumbers, optional
        The frames of stacks that are segmented; by default all.
    sha256 : str, optional
        Hash of the model, where a mask names it.
    field_of_view : bool
        Whether only pixels in the field of view count, which is found in each frame.
    in_region : bool
        Whether a mask was made within a region, which is to be given again.
    """

    model: str
    options: SegmentOptions = field(default_factory=SegmentOptions)
    cleaning: Cleaning = field(default_factory=Cleaning)
    smooth_time: bool = False
    frames: FrameNumbers | None = None
    sha256: str | None = None
    field_of_view: bool = False
    in_region: bool = False

    def check(self, model: Model) -> None:
        """Raise InputError if the loaded model isn't the one that the settings come from."""
        if self.sha256 is not None and self.sha256 != model.sha256:
            raise InputError(
                f"{model.name} isn't the model that made the mask: its SHA-256 is {model.sha256}, not {self.sha256}. "
                "Pass the file of that model."
            )


def shell_command(name: str, inputs: Sequence[str], options: Mapping[str, object]) -> str:
    """Return a command of napari-darl, quoted for a shell.

    Parameters
    ----------
    name : str
        The command.
    inputs : sequence of str
        Its arguments.
    options : mapping of str to object
        Names of options, with underscores, and their values. None, False and "" leave an option out, True is a flag.

    Examples
    --------
    >>> from napari_darl.batch.replay import shell_command
    >>> shell_command("assess", ["my frames"], {"model": "fundus", "bright": True, "resize": None})
    "napari-darl assess 'my frames' --model fundus --bright"
    """
    words = ["napari-darl", name, *inputs]
    for option, value in options.items():
        if value is None or value is False or value == "":
            continue
        words += [f"--{option.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return shlex.join(words)


def segment_command(settings: Settings, image: str, output: str) -> str:
    """Return the command that segments an image, or a folder of images, with these settings, quoted for a shell.

    Raises
    ------
    InputError
        If no command has these settings.

    Examples
    --------
    >>> from napari_darl.batch.replay import Settings, segment_command
    >>> from napari_darl.inference.cleaning import Cleaning
    >>> segment_command(Settings("fundus", cleaning=Cleaning(threshold=0.6)), "my eye.tif", "masks")
    "napari-darl segment 'my eye.tif' --output masks --model fundus --threshold 0.6"
    """
    if settings.options.tile is not None:
        raise InputError("No command has a tile size of its own. Set it to 0 in the preferences.")
    changed = {name: value for name, value in settings.options if value != getattr(_PLAIN, name)}
    bright = changed.pop("bright", None)
    own = Cleaning.of_model(model_info(settings.model))
    words: dict[str, object] = {"output": output, "model": settings.model, "threshold": settings.cleaning.threshold}
    words |= {name: value for name, value in settings.cleaning if value != getattr(own, name)}
    words |= {name: value for name, value in changed.items() if name not in _AS_FILES_SAY}
    words |= {"bright": bright is True, "dark": bright is False, "smooth_time": settings.smooth_time}
    words |= {"fov": settings.field_of_view and "auto", "frames": settings.frames and settings.frames.text}
    return shell_command("segment", [image], words)


def settings_of(mask: Path) -> Settings:
    """Return the settings that a mask was made with.

    Raises
    ------
    FileError
        If the file is missing, isn't a TIFF, or doesn't say how it was made.
    """
    made: dict[str, Any] = read_provenance(mask)
    region = made.get("region", EVERYTHING.name)  # napari's name of it
    try:
        chosen = json.loads(made[SETTINGS])
        frames = chosen.get("frames")
        return Settings(
            str(made["model"]),
            SegmentOptions(**{name: chosen[name] for name in SegmentOptions.model_fields if name in chosen}),
            Cleaning(**{name: made[name] for name in Cleaning.model_fields if name in made or name == "threshold"}),
            bool(chosen.get("smooth_time", False)),
            None if frames is None else FrameNumbers(frames),
            str(made["sha256"]),
            chosen.get("fov") == "auto" or region == FIELD_OF_VIEW,
            "region_sha256" in chosen or region not in (EVERYTHING.name, FIELD_OF_VIEW),
        )
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FileError(f"{mask} doesn't say with which settings it was made. Pass a mask of napari-darl.") from error
