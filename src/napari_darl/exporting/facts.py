"""What a program has to know of an exported model, as values that JSON can hold."""

from pathlib import Path
from typing import Any

from napari_darl.inference.loading import Model
from napari_darl.version import VERSION


def facts_of(model: Model) -> dict[str, Any]:
    """Return origin, sizes, polarity, normalisation and threshold of a model."""
    config = model.network.config
    return {
        "napari-darl": VERSION,
        "model": Path(model.name).name,
        "model_sha256": model.sha256,
        "range": [-1, 1],
        "stride": config.stride,
        "side": config.side,
        "reach": config.reach,
        "bright": config.bright,
        "normalisation": config.normalisation.model_dump(mode="json"),
        "threshold": model.threshold,
    }
