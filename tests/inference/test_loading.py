"""Which models there are, and the files that hold them."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_darl import Model, load_model
from napari_darl.darl.checkpoint import save_model
from napari_darl.darl.config import LITE
from napari_darl.darl.model import build
from napari_darl.errors import CheckpointError, DarlWarning, FileError, InputError
from napari_darl.inference.loading import as_model
from napari_darl.models import ModelTraits, bundled_models, model_card, model_traits


def test_bundled_models_have_cards_and_are_small() -> None:
    models = bundled_models()
    assert "default" in models
    for name, path in models.items():
        assert path.stat().st_size < 5e6
        assert model_card(name).startswith("# ")


def test_weights_come_back(tmp_path: Path) -> None:
    network = build(LITE, seed=0)[0]
    path = tmp_path / "model.safetensors"
    save_model(path, network, {"note": "here"}, half=True)
    model = load_model(path, "cpu")
    assert model.info == {"note": "here"}
    assert not model.network.training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(model.network.state_dict()[name], value, atol=1e-3, rtol=1e-3)


def test_a_model_that_cannot_be_written_leaves_the_former_file(tmp_path: Path, untrained: Model) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"former")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(FileError, match=r"can't be written .*File too large"):
            save_model(path, untrained.network)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_named_models_are_loaded_once_and_again_when_they_change(untrained_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(untrained_path.read_bytes())
    first = as_model(path)
    assert as_model(str(path)) is first
    save_model(path, first.network, {"note": "changed"})
    os.utime(path, (0, 0))
    assert as_model(path).info == {"note": "changed"}


def trained(folder: Path, untrained: Model, steps: int, **info: Any) -> Path:
    """A run's model file."""
    folder.mkdir()
    save_model(folder / "model.safetensors", untrained.network, {"step": steps, "training": {}} | info)
    return folder


@pytest.mark.parametrize("steps", [1, 99])
def test_a_model_of_few_steps_says_so(untrained: Model, tmp_path: Path, steps: int) -> None:
    run = trained(tmp_path / "mine", untrained, steps)
    words = rf"^Trained for {steps} steps? only, the model mine/model.safetensors "
    with pytest.warns(DarlWarning, match=words):
        load_model(run, "cpu")


def test_other_models_say_nothing(untrained: Model, tmp_path: Path) -> None:
    runs = (
        trained(tmp_path / "long", untrained, 100),
        trained(tmp_path / "fine-tuned", untrained, 3, training={"fine_tuned": True}),
        trained(tmp_path / "refined", untrained, 3, refined={"seed": 0}),
        trained(tmp_path / "strange", untrained, 3, training=["?"]),
    )
    with warnings.catch_warnings(action="error"):
        for model in (*runs, "default"):
            load_model(model, "cpu")


def rewritten(source: Path, target: Path, contents: dict[str, object] | None = None, **header: str) -> Path:
    """A copy of a model file with another header."""
    metadata = {"format": "napari-darl", "version": "1", "kind": "model", **header}
    if contents is not None:
        metadata["contents"] = json.dumps(contents)
    else:
        metadata.setdefault("contents", json.dumps({"config": LITE.model_dump(mode="json")}))
    save_file(load_file(source), target, metadata)
    return target


def test_hostile_and_foreign_files_are_refused(untrained_path: Path, tmp_path: Path) -> None:
    huge = LITE.model_dump(mode="json")
    huge["denoiser"]["channels"] = 2048
    cases = {
        "newer": ({"version": "99"}, None, "newer napari-darl"),
        "kind": ({"kind": "checkpoint"}, None, "not a model file"),
        "format": ({"format": "other"}, None, "not a model file"),
        "huge": ({}, {"config": huge}, "don't fit"),
        "unknown": ({}, {"config": {"depth": 3}}, "no valid configuration"),
    }
    for name, (header, contents, message) in cases.items():
        path = rewritten(untrained_path, tmp_path / f"{name}.safetensors", contents, **header)
        with pytest.raises(CheckpointError, match=message):
            load_model(path)


def test_an_oversized_header_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(path)


def test_unknown_models_and_devices() -> None:
    with pytest.raises(InputError, match="no model 'nothing'"):
        load_model("nothing")
    for device in ("tpu", "cuda:99", "meta"):
        with pytest.raises(InputError):
            load_model(device=device)


def test_the_side_of_a_model_is_read_without_loading_it(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, build(LITE.updated(side=700, enlargement=1.5), seed=0)[0])
    assert model_traits(path) == model_traits(tmp_path) == ModelTraits(side=700, enlargement=1.5)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(path.read_bytes()[:40])
    for unknown in (damaged, tmp_path / "missing.safetensors", "missing"):
        assert model_traits(unknown) == ModelTraits()
