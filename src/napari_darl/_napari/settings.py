"""The plugin's preferences. napari before 0.9 has no page for them, so the defaults apply there."""

from dataclasses import dataclass
from os.path import expanduser
from pathlib import Path

from platformdirs import user_data_path


@dataclass(frozen=True)
class Settings:
    """The user's preferences.

    Attributes
    ----------
    device : str
        `auto`, `cpu`, `cuda` or `mps`.
    tile : int or None
        Side of the tiles in which frames are segmented, in pixels; None takes the model's own.
    suggest : bool
        Whether the Segment widget suggests a model.
    models : Path
        Folder of the user's models.
    """

    device: str = "auto"
    tile: int | None = None
    suggest: bool = True
    models: Path = user_data_path("napari-darl", appauthor=False) / "models"

    @property
    def runs(self) -> Path:
        """The default folder of training runs, beside that of the models."""
        return self.models.parent / "runs"

    @property
    def edits(self) -> Path:
        """The folder of edits that aren't saved yet, beside that of the models."""
        return self.models.parent / "edits"


def read_settings() -> Settings:
    """Return the preferences as they are now."""
    try:
        from napari.settings import get_plugin_settings

        chosen = get_plugin_settings("napari-darl").segmenting
    except (ImportError, KeyError):
        return Settings()
    folder = str(chosen.model_folder).strip()
    return Settings(
        device=str(chosen.device),
        tile=int(chosen.tile_size) or None,
        suggest=bool(chosen.suggest_model),
        models=Path(expanduser(folder)) if folder else Settings.models,
    )


def stop_suggesting() -> None:
    """Note for good that the user wants no more suggestions; without a page of preferences, nothing can be noted."""
    try:
        from napari.settings import get_plugin_settings

        get_plugin_settings("napari-darl").segmenting.suggest_model = False
    except (ImportError, KeyError):
        return
