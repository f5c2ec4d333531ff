"""Shared by all tests: a small model that can be had in milliseconds."""

from pathlib import Path

import pytest

from napari_darl.darl.checkpoint import save_model
from napari_darl.darl.config import LITE
from napari_darl.darl.model import build
from napari_darl.inference.loading import Model, load_model


@pytest.fixture(scope="session")
def untrained_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a `lite` model with random weights and small tiles."""
    config = LITE.model_copy(update={"tile": 128, "overlap": 32})
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    save_model(path, build(config, seed=0)[0].eval())
    return path


@pytest.fixture(scope="session")
def untrained(untrained_path: Path) -> Model:
    """The model of `untrained_path`, on the CPU."""
    return load_model(untrained_path, "cpu")
