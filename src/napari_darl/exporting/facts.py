"""What a program has to know of an exported model, as values that JSON can hold."""

from pathlib import Path
from typing import Any

from napari_darl.inference.loading import Model
from napari_darl.version import VERSION


def threshold_at(model: Model, resize: float) -> float:
    """Return the threshold of the network's own probability for frames that were resized by a factor.

    It differs from the model's if frames that are enlarged have a cut of their own (`Calibration`).
    """
    odds = model.threshold / (1 - model.threshold) / model.network.config.calibration.odds(resize)
    return odds / (1 + odds)


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
        "enlargement": config.enlargement,
        "bright": config.bright,
        "normalisation": config.normalisation.model_dump(mode="json"),
        "threshold": model.threshold,
        "threshold_enlarged": round(threshold_at(model, 2), 4),
    }
