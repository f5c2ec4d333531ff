"""Vessel segmentation without labels, by diffusion adversarial representation learning (DARL)."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_darl.inference.loading import load_model
    from napari_darl.inference.segment import segment, segment_probability
    from napari_darl.training.trainer import Trainer

__version__ = version("napari-darl")
__all__ = ["Trainer", "__version__", "load_model", "segment", "segment_probability"]

_HOMES = {
    "Trainer": "napari_darl.training.trainer",
    "load_model": "napari_darl.inference.loading",
    "segment": "napari_darl.inference.segment",
    "segment_probability": "napari_darl.inference.segment",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: importing the package stays cheap (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
