"""Path A at t = 0 as an ONNX graph, of any number and size of frames."""

import copy
import math
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from napari_darl.darl.model import Darl
from napari_darl.errors import DarlError, InputError

INPUT, OUTPUT = "frame", "probability"
"""Names of the graph's input and output, float32 (N, 1, H, W)."""

OPSET = 18

_TOLERANCE = 1e-4
_SIDES = (4, 6)  # strides, of the traced frames
_OTHERS = (5, 3)  # strides, of the frame by which a graph is compared with its network


class FromIntensity(nn.Module):
    """A network that takes intensities of 0 to 1 as they are in the image, and brings them to its own scale.

    Parameters
    ----------
    network : Darl
        The network; its configuration says how intensities are encoded.
    """

    def __init__(self, network: Darl) -> None:
        super().__init__()
        self.network = network

    def forward(self, intensity: Tensor) -> Tensor:
        """Return the probability of vessel, as `frames.normalisation` and the network do one after the other."""
        config = self.network.config
        offset, glow = config.normalisation.log_offset, config.normalisation.glow
        values = intensity.clamp(0, 1)
        if config.bright != glow:
            values = 1 - values
        if offset:
            values = torch.log1p(values / offset) / math.log1p(1 / offset)
        if glow:
            values = 1 - values
        return self.network(2 * values - 1)  # type: ignore[no-any-return]


def on_cpu(network: Darl) -> Darl:
    """Return a copy of a network in evaluation mode on the CPU, with its weights as they are used."""
    network = copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    for module in list(network.modules()):
        if parametrize.is_parametrized(module, "weight"):  # spectral norm, in `published`
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return network


def onnx_graph(module: nn.Module, stride: int) -> bytes:
    """Export a module that maps frames to probabilities, and compare the graph with it.

    Parameters
    ----------
    module : nn.Module
        Maps float32 (N, 1, H, W) to the same shape, on the CPU.
    stride : int
        H and W are multiples of this, in pixels.

    Returns
    -------
    bytes
        The content of an ONNX file.

    Raises
    ------
    InputError
        If onnx or onnxruntime isn't installed.
    DarlError
        If the graph's values differ from the module's by more than 1e-4.
    """
    try:
        import onnx  # noqa: F401
        from onnxruntime import InferenceSession
    except ImportError as error:
        raise InputError(
            f'{error.name} isn\'t installed. Install what exports need: pip install "napari-darl[export]".'
        ) from error
    graph = _exported(module, stride)
    frame = np.random.default_rng(0).uniform(0, 1, (1, 1, *(stride * side for side in _OTHERS))).astype(np.float32)
    with torch.inference_mode():
        wanted = module(torch.from_numpy(frame)).numpy()
    (found,) = InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, {INPUT: frame})
    if not np.abs(found - wanted).max() <= _TOLERANCE:
        raise DarlError(
            f"The exported graph differs from the model by {np.abs(found - wanted).max():.2g}, more than {_TOLERANCE}, "
            "and isn't written. Try another version of torch."
        )
    return graph


class _Alone(nn.Module):
    """A module with its frames as the only argument: the exporter would make an input of the timestep, too."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, frames: Tensor) -> Tensor:
        return self.module(frames)  # type: ignore[no-any-return]


def _exported(module: nn.Module, stride: int) -> bytes:
    """Export by tracing, which takes a second; PyTorch's newer exporter reasons about all sizes for half a minute."""
    example = torch.zeros(2, 1, *(stride * side for side in _SIDES))
    sizes = {0: "n", 2: "height", 3: "width"}
    with TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):  # of the exporter, about itself
        graph = Path(folder) / "model.onnx"
        torch.onnx.export(
            _Alone(module).eval(),
            (example,),
            graph,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: sizes, OUTPUT: sizes},
        )
        return graph.read_bytes()
