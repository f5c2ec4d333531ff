"""Exported models give what the models give, in programs that know nothing of this package."""

import inspect
import json
import re
import shutil
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from command_line import run
from scipy.ndimage import binary_dilation

from napari_darl import (
    DarlError,
    FileError,
    InputError,
    Model,
    SegmentOptions,
    export_model,
    load_model,
    refine,
    segment,
    segment_probability,
)
from napari_darl.darl.checkpoint import save_model
from napari_darl.darl.config import PUBLISHED, DenoiserConfig, GeneratorConfig
from napari_darl.darl.model import build, with_odds
from napari_darl.exporting import graph
from napari_darl.exporting.facts import facts_of
from napari_darl.samples import sample_angiogram

onnxruntime = pytest.importorskip("onnxruntime")

PAGE = Path(__file__).parents[2] / "docs" / "exporting.md"
LINES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[0]
SMALL = PUBLISHED.updated(
    denoiser=DenoiserConfig(channels=32, multipliers=(1, 2), blocks=1, attention_levels=(1,), time_channels=8),
    generator=GeneratorConfig(widths=(8, 12), blocks=1, spade_channels=4),
)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model `default`, exported once."""
    folder = tmp_path_factory.mktemp("exported")
    assert run("export", "default", "--output", folder / "default.onnx") == 0
    return folder


def refined(folder: Path) -> Path:
    """A model like refined ones: other weights, and a threshold of its own."""
    model = load_model("fundus", "cpu")
    model.network.generator.out.bias.data += 0.3
    save_model(folder / "refined.safetensors", model.network, {"threshold": 0.4, "refined": {"seed": 0}})
    return folder / "refined.safetensors"


def difference(path: Path, model: Model, shape: tuple[int, ...]) -> float:
    frames = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(path).run(None, {"frame": frames})
    with torch.inference_mode():
        return float(np.abs(found - model.network(torch.from_numpy(frames)).numpy()).max())


def fitted(folder: Path) -> Path:
    """A model that was really refined by someone who draws vessels wider."""
    frames = [sample_angiogram()[top : top + 128, 150:278] for top in (60, 180)]
    corrected = [(frame, binary_dilation(segment(frame, resize=1) > 0, iterations=2)) for frame in frames]
    refinement = refine("default", corrected, options=SegmentOptions(resize=1))
    assert refinement.choice in ("anchored", "free")
    refinement.save(folder / "fitted.safetensors")
    return folder / "fitted.safetensors"


@pytest.mark.usefixtures("quick_refining")
@pytest.mark.parametrize("name", ["default", "fluorescence", "refined"])
def test_the_documented_lines_give_the_mask_before_cleaning(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    frame, model = sample_angiogram()[96:416, 96:416], name
    if name == "default":
        for written in ("default.onnx", "default.onnx.json"):
            shutil.copy(exported / written, tmp_path)
    else:
        model = str(fitted(tmp_path)) if name == "refined" else name
        export_model(model, tmp_path / "default.onnx")
    frame = 255 - frame if name == "fluorescence" else frame
    iio.imwrite(tmp_path / "angiogram.png", frame)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(compile(LINES, "docs/exporting.md", "exec"), found)
    probability = segment_probability(frame, model)
    mask, expected = found["mask"], probability > load_model(model, "cpu").threshold
    assert expected.mean() > 0.01
    assert 2 * (mask & expected).sum() / (mask.sum() + expected.sum()) >= 0.999


def test_a_graph_takes_any_number_and_size_of_frames(exported: Path) -> None:
    model = load_model("default", "cpu")
    for shape in ((1, 1, 64, 96), (3, 1, 80, 48), (2, 1, 256, 224)):
        assert difference(exported / "default.onnx", model, shape) < 1e-4
    about = json.loads((exported / "default.onnx.json").read_text(encoding="utf-8"))
    assert about["model_sha256"] == model.sha256
    assert about["graph_sha256"] == sha256((exported / "default.onnx").read_bytes()).hexdigest()
    assert about["stride"] == model.network.config.stride == 16
    assert about["card"].startswith("# Coronary arteries")


def test_refined_and_published_networks(tmp_path: Path) -> None:
    save_model(tmp_path / "small.safetensors", build(SMALL, seed=0)[0].eval())
    for path in (refined(tmp_path), tmp_path / "small.safetensors"):
        graph_path, beside = export_model(path, path.with_suffix(".onnx"))
        assert difference(graph_path, load_model(path, "cpu"), (2, 1, 64, 96)) < 1e-4
        assert str(tmp_path) not in beside.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "refined.onnx.json").read_text(encoding="utf-8"))["threshold"] == 0.4
    assert json.loads(beside.read_text(encoding="utf-8"))["normalisation"]["kind"] == "bits"


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return bioimageio.core.

    bioimageio.spec 0.5.12 passes one argument too many to pydantic 2.14, which no longer allows it.
    """
    core = pytest.importorskip("bioimageio.core")
    from bioimageio.spec._internal import io_packaging
    from bioimageio.spec.model import v0_4

    for module, name in ((io_packaging, "package_file_descr_serializer"), (v0_4, "package_weights")):
        function = getattr(module, name)
        patched = dict(vars(module))
        exec(re.sub(r"\n +info,  # pyright.*", "", inspect.getsource(function)), patched)
        monkeypatch.setattr(function, "__code__", patched[name].__code__)
    return core


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # bioimageio.spec leaves files open
def test_packages_pass_the_test_of_bioimageio(tmp_path: Path, core: Any) -> None:
    for name in ("fluorescence", refined(tmp_path)):
        path = tmp_path / f"{Path(name).stem}.zip"
        assert run("export", name, "--format", "bioimageio", "--output", path) == 0
        summary = core.test_model(path)
        assert summary.status == "passed", summary.format()


def test_nothing_is_replaced_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kept, name, form in (
        ("a.onnx", "a.onnx", "onnx"),
        ("b.onnx.json", "b.onnx", "onnx"),
        ("c.zip",) * 2 + ("bioimageio",),
    ):
        (tmp_path / kept).write_text("mine")
        assert run("export", "default", "--output", tmp_path / name, "--format", form) == 2
        assert f"{tmp_path / kept} exists already" in capsys.readouterr().err
        assert (tmp_path / kept).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 3


def test_bad_input_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"a\.pt doesn't end in \.onnx"):
        export_model("default", tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"'tflite'\. Choose one of onnx, bioimageio"):
        export_model("default", tmp_path / "a.onnx", "tflite")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no model 'mine'"):
        export_model("mine", tmp_path / "a.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r'onnx isn\'t installed.*pip install "napari-darl\[export\]"'):
        export_model("default", tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.onnx").mkdir()
    with pytest.raises(FileError, match="is a folder"):
        export_model("default", tmp_path / "a.onnx", overwrite=True)


def test_a_graph_that_differs_is_not_written(tmp_path: Path, untrained: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_TOLERANCE", -1.0)
    with pytest.raises(DarlError, match="differs from the model"):
        export_model(untrained, tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_enlarged_frames_have_a_threshold_of_their_own() -> None:
    fundus = load_model("fundus", "cpu")
    fundus.info["threshold"] = 0.4
    facts = facts_of(fundus)
    probability = torch.tensor([facts["threshold"], facts["threshold_enlarged"]])
    odds = torch.tensor([1.0, fundus.network.config.calibration.odds(2)])
    torch.testing.assert_close(with_odds(probability, odds), torch.tensor([0.4, 0.4]), atol=1e-3, rtol=0)
    assert facts_of(load_model("default", "cpu"))["threshold_enlarged"] == 0.5
