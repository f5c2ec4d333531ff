"""What a bug report needs to know, with the preferences and the user's models. Nothing here imports napari or Qt."""

from dataclasses import asdict

from napari_darl._napari.model_list import known_models
from napari_darl._napari.settings import read_settings
from napari_darl.inference.system import Report, system_report


def window_report() -> Report:
    """Return what a bug report needs to know, see `system_report`."""
    settings = read_settings()
    return system_report(known_models(settings.models), asdict(settings))
