"""How a batch segments its images: one value, which each result carries."""

import json
from dataclasses import dataclass
from typing import Any

from napari_darl.batch.jobs import Job
from napari_darl.errors import InputError
from napari_darl.frames.selection import FrameNumbers
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.loading import Model
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.windows import Windows
from napari_darl.io.identity import content_hash, source_name

IMAGE, SETTINGS = "image_sha256", "settings"
"""Entries of a result's provenance: the hash of its image's file, and the settings that differ from the defaults."""

_NO_SETTINGS = {"device", "rgb"}  # they say where a mask is computed, and what the file says by itself


@dataclass(frozen=True)
class Recipe:
    """A model and all that decides what it makes of an image.

    Attributes
    ----------
    model : Model
        The loaded model.
    options : SegmentOptions
        How it is applied.
    cleaning : Cleaning
        How probability becomes a mask; in zarr by the threshold alone.
    smooth_time : bool
        Whether movies are averaged over neighbouring frames first.
    frames : FrameNumbers, optional
        The frames of stacks that are segmented; the masks of the others stay empty. By default all.
    field_of_view : bool
        Whether only pixels in the field of view count, which is found in each frame. A job's own region comes first.
    """

    model: Model
    options: SegmentOptions
    cleaning: Cleaning
    smooth_time: bool = False
    frames: FrameNumbers | None = None
    field_of_view: bool = False

    @property
    def settings(self) -> str:
        """The settings that differ from the defaults, as JSON: equal for recipes that give the same results."""
        return json.dumps(self._settings(), sort_keys=True)

    def settings_for(self, job: Job) -> str:
        """Return the settings, as `settings` has them, with the image's own region."""
        region = {} if job.region is None else {"region_sha256": content_hash(job.region)}
        return json.dumps(self._settings() | region, sort_keys=True)

    def _settings(self) -> dict[str, Any]:
        default = SegmentOptions(bright=self.model.network.config.bright)
        options = self.options.updated(bright=default.bright if self.options.bright is None else self.options.bright)
        cleaning = self.model.cleaning
        chosen: dict[str, Any] = {
            name: value
            for given, plain in ((options, default), (self.cleaning, cleaning))
            for name, value in given
            if value != getattr(plain, name) and name not in _NO_SETTINGS
        }
        chosen |= {"smooth_time": True} if self.smooth_time else {}
        chosen |= {"frames": self.frames.text} if self.frames else {}
        chosen |= {"fov": "auto"} if self.field_of_view else {}
        return chosen

    def check_for_chunks(self) -> None:
        """Raise InputError if the recipe can't be used chunk by chunk, because it needs whole frames.

        The cleaning that the model's file asks for is left out there.
        """
        own = self.model.cleaning.updated(threshold=self.cleaning.threshold)
        if self.smooth_time or self.frames or not (self.cleaning.is_threshold_alone or self.cleaning == own):
            raise InputError(
                "Zarr is segmented chunk by chunk. It can't be smoothed, or cleaned but by --threshold, and --frames "
                "can't be chosen."
            )

    def provenance(self, job: Job, windows: Windows) -> dict[str, str | float]:
        """Return what a result says about its making: image, model, settings, and what they came to."""
        options = windows.options
        known = {
            "bits": options.bits,
            "source": source_name(job.source),
            "slice_distance": options.slice_distance if options.orthogonal else None,
        }
        return self.model.provenance(
            **{IMAGE: content_hash(job.source), SETTINGS: self.settings_for(job)},
            **self.cleaning.model_dump(),
            smooth_time=self.smooth_time and len(windows.shape) > 2,
            bright=bool(options.bright),
            resize=windows.resize,
            precision=windows.precision,
            **{name: value for name, value in known.items() if value},
        )
