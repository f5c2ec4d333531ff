"""Settings and fixtures of all tests: one thread, little memory, and a small model with random weights."""

import os

# OpenMP's threads spin while they wait, so on busy cores a few of them cost more time than they save. These variables
# must be set before torch is imported; processes that tests start inherit them.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE")

import ctypes
import gc
import mmap
import sys
from collections.abc import Generator, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_darl.darl.checkpoint import save_model
from napari_darl.darl.config import LITE
from napari_darl.darl.model import build
from napari_darl.inference.loading import Model, load_model

torch.set_num_threads(1)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without looking for garbage, which takes a quarter of the time: imported modules and tests stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the published networks first, then the longest files, then the rest as collected.

    The published networks take half a GB, and a process is smallest when it starts. The longest files are among the
    tests of the whole package and of training; begun last, one of them would keep a single process busy at the end.
    """
    whole = Path(__file__).parent
    largest = ("test_published.py", "test_pickers.py")

    def order(item: pytest.Item) -> tuple[bool, bool, bool]:
        trains = not {"training", "refining"}.isdisjoint(item.path.parts)
        return item.path.name not in largest, item.path.parent != whole, not trains

    items.sort(key=order)


def _return_free_memory() -> None:
    """Return free memory to the system, which glibc would keep."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def _resident() -> int:
    """Memory of the process in MiB; 0 on systems that report it in other ways."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * mmap.PAGESIZE >> 20 if status.exists() else 0


@pytest.fixture(autouse=True, scope="module")
def _collect_garbage() -> Iterator[None]:
    """Delete what a file of tests leaves behind, which would be more with every file; what is frozen stays."""
    yield
    gc.collect()
    _return_free_memory()


@pytest.fixture(autouse=True)
def _free_memory() -> Iterator[None]:
    """Return free memory to the system after a test that took much."""
    before = _resident()
    yield
    if _resident() > before + 32:
        _return_free_memory()


@pytest.fixture(scope="session")
def untrained_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a `lite` model with random weights and small tiles; it suits frames of some 100 pixels as they are."""
    config = LITE.updated(tile=128, overlap=32, side=96)
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


@pytest.fixture
def quick_refining(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refine with a few small steps, which take a second instead of a minute."""
    from napari_darl.refining import refine
    from napari_darl.refining.fitting import FitConfig

    monkeypatch.setattr(refine, "FIT", FitConfig(steps=5, crops=2, size=64, learning_rate=1e-3))


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let window and command line train networks of some thousand weights, for tests of what is around the steps."""
    from napari_darl.training import config

    recipe = config.training_config

    def smaller(*args: Any, **options: Any) -> config.TrainingConfig:
        whole = recipe(*args, **options)
        model = whole.model.updated(
            denoiser=whole.model.denoiser.updated(channels=4, multipliers=(1, 2), attention_levels=(), blocks=1),
            generator=whole.model.generator.updated(widths=(4, 6), blocks=1, spade_channels=4),
            discriminator=whole.model.discriminator.updated(widths=(4, 8)),
        )
        return whole.updated(model=model)

    monkeypatch.setattr(config, "training_config", smaller)
