"""A model as a package for the BioImage Model Zoo (bioimage.io): weights as ONNX, a description, an example."""

import json
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import numpy.typing as npt
import torch

from napari_darl.darl.model import Darl
from napari_darl.exporting.facts import facts_of, threshold_at
from napari_darl.exporting.graph import INPUT, OPSET, OUTPUT, FromIntensity, onnx_graph
from napari_darl.frames.normalisation import Normalisation
from napari_darl.inference.loading import Model, card_of
from napari_darl.io.atomic import replacing
from napari_darl.models import bundled_models
from napari_darl.synthetic.phantom import phantom_angiogram

_WEIGHTS, _FRAME, _PROBABILITY = "model.onnx", "frame.npy", "probability.npy"
_DOCUMENTATION = "README.md"
_SIDES = (12, 16)  # strides, of the tested example
_FEWEST = 4  # strides along each side of a frame
_EPSILON = 1e-6  # which bioimage.io adds to the range of the percentiles
_TAGS = ["vessels", "segmentation", "angiography", "self-supervised-learning", "2d"]
_PAPER = (
    "Boah Kim, Yujin Oh, Jong Chul Ye: Diffusion Adversarial Representation Learning for Self-supervised Vessel "
    "Segmentation, ICLR 2023"
)
_DOI = "10.48550/arXiv.2209.14566"


def write_package(path: Path, model: Model, network: Darl, *, overwrite: bool = False) -> None:
    """Write a package: its graph takes intensities of 0 to 1, to which programs stretch frames as it says.

    Parameters
    ----------
    path : Path
        The .zip file.
    model : Model
        The model.
    network : Darl
        Its network, on the CPU.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError, FileError, DarlError
        As `export_model`.
    """
    module = FromIntensity(network)
    frame = _example(network)
    with torch.inference_mode():
        intensity = _stretched(frame, network.config.normalisation)
        probability = module(torch.from_numpy(intensity)).numpy()
    files = {
        _WEIGHTS: onnx_graph(module, network.config.stride),
        _FRAME: _npy(frame),
        _PROBABILITY: _npy(probability),
        _DOCUMENTATION: _documentation(model).encode(),
    }
    described = _description(model, {name: sha256(content).hexdigest() for name, content in files.items()})
    files["rdf.yaml"] = json.dumps(described, indent=1).encode()  # JSON is YAML, too
    with replacing(path, overwrite=overwrite) as file, ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _npy(array: npt.NDArray[np.float32]) -> bytes:
    content = BytesIO()
    np.save(content, array)
    return content.getvalue()


def _example(network: Darl) -> npt.NDArray[np.float32]:
    """Return a synthetic angiogram of 8 bits, (1, 1, H, W), with vessels as the model expects them."""
    height, width = (network.config.stride * side for side in _SIDES)
    frame, _ = phantom_angiogram((height, width), np.random.default_rng(0))
    values = np.round((frame + 1) * 127.5).astype(np.float32)
    return (255 - values if network.config.bright else values)[None, None]


def _stretched(frame: npt.NDArray[np.float32], normalisation: Normalisation) -> npt.NDArray[np.float32]:
    """Stretch an example as the package tells programs to do."""
    if normalisation.kind == "bits":
        return frame / np.float32(255)
    low, high = np.percentile(frame, [normalisation.low, normalisation.high])
    stretched: npt.NDArray[np.float64] = np.clip((frame - low) / (high - low + _EPSILON), 0, 1)
    return stretched.astype(np.float32)


def _description(model: Model, hashes: dict[str, str]) -> dict[str, Any]:
    """Return the description of a model in version 0.5 of the format of bioimage.io."""
    config = model.network.config
    authors = {"authors": [{"name": "napari-darl developers"}], "license": "BSD-3-Clause"}
    size = {"min": _FEWEST * config.stride, "step": config.stride}

    def axes(channel: str, sizes: dict[str, Any]) -> list[dict[str, Any]]:
        space = [{"type": "space", "id": side, "size": sizes[side]} for side in "yx"]
        return [{"type": "batch"}, {"type": "channel", "channel_names": [channel]}, *space]

    return {
        "type": "model",
        "format_version": "0.5.3",
        "name": f"DARL vessels {Path(model.name).stem}",
        "description": "Vessel segmentation learnt without labels (diffusion adversarial representation learning).",
        **(authors if model.name in bundled_models() else {}),
        "cite": [{"text": _PAPER, "doi": _DOI}],
        "tags": _TAGS,
        "documentation": _DOCUMENTATION,
        "inputs": [
            {
                "id": INPUT,
                "description": "Grey frames at the pixel size of the training, of any range of values.",
                "axes": axes("grey", dict.fromkeys("yx", size)),
                "test_tensor": {"source": _FRAME, "sha256": hashes[_FRAME]},
                "data": {"type": "float32"},
                "preprocessing": _preprocessing(config.normalisation),
            }
        ],
        "outputs": [
            {
                "id": OUTPUT,
                "description": f"Probability of vessel. Pixels above {model.threshold:g} are vessel.",
                "axes": axes("vessel", {side: {"tensor_id": INPUT, "axis_id": side} for side in "yx"}),
                "test_tensor": {"source": _PROBABILITY, "sha256": hashes[_PROBABILITY]},
                "data": {"type": "float32", "range": [0, 1]},
            }
        ],
        "weights": {"onnx": {"source": _WEIGHTS, "sha256": hashes[_WEIGHTS], "opset_version": OPSET}},
        "config": {"napari-darl": facts_of(model)},
    }


def _preprocessing(normalisation: Normalisation) -> list[dict[str, Any]]:
    """Return how programs bring frames to intensities of 0 to 1."""
    clip = {"id": "clip", "kwargs": {"min": 0, "max": 1}}
    if normalisation.kind == "bits":
        return [{"id": "scale_linear", "kwargs": {"gain": 1 / 255}}, clip]
    ends = {"min_percentile": normalisation.low, "max_percentile": normalisation.high}
    return [{"id": "scale_range", "kwargs": {"axes": ["channel", "y", "x"], **ends, "eps": _EPSILON}}, clip]


def _documentation(model: Model) -> str:
    """Return the model's card with what a program can't do by itself."""
    config = model.network.config
    bits = " Frames have 8 bits." if config.normalisation.kind == "bits" else ""
    size = "as they are" if config.enlargement == 1 else f"enlarged by {config.enlargement:g}"
    enlarged = ""
    if config.calibration.enlarged is not None:
        enlarged = (
            f"\nIn frames that were enlarged by 2 or more, those above {threshold_at(model, 2):.3g} are. In between, "
            "the\nlogit of this threshold is linear in the logarithm of the factor."
        )
    return f"""{card_of(model).rstrip()}

## Using this package

Frames whose shorter side has {config.side} to {config.side * config.reach:g} pixels are segmented {size}; resize
others into this range first.{bits} Vessels are {"bright" if config.bright else "dark"}; invert other frames. Height and
width are multiples of {config.stride}. Pixels whose probability is above {model.threshold:g} are vessel.{enlarged}

## Validation

Compare masks with expert masks of your own frames: `napari-darl evaluate masks/ experts/`.
"""
