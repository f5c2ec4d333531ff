"""Settings and fixtures of all tests: one thread, and a small model with random weights."""

import os

# OpenMP's threads spin while they wait, so on busy cores a few of them cost more time than they save. These variables
# must be set before torch is imported; processes that tests start inherit them.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")

from copy import deepcopy
from pathlib import Path

import pytest
import torch

from napari_darl.darl.checkpoint import save_model
from napari_darl.darl.config import LITE
from napari_darl.darl.model import build
from napari_darl.inference.loading import Model, load_model

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def untrained_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a `lite` model with random weights and small tiles."""
    config = LITE.model_copy(update={"tile": 128, "overlap": 32})
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    save_model(path, build(config, seed=0)[0].eval())
    return path


@pytest.fixture(scope="session")
def _loaded(untrained_path: Path) -> Model:
    return load_model(untrained_path, "cpu")


@pytest.fixture
def untrained(_loaded: Model) -> Model:
    """The model of `untrained_path`, on the CPU; a copy for each test, which may change it."""
    return deepcopy(_loaded)
