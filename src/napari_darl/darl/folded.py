"""Path A as it is used on processors: the same function as `Darl.forward`, in fewer and faster operations.

What is changed, none of it in the trained weights:

- Batch norms, and the embedded time, which is the same for every pixel, are folded into the convolutions.
- Activations and sums take place while a convolution writes its result (oneDNN's fused operations).
- A 3 x 3 convolution of an image that was doubled in size by nearest neighbour sees each pixel twice or four times.
  It becomes a transposed convolution of 4 x 4 weights that doubles the size: 4 / 9 of the multiplications.
- Of a tile, only the part that is wanted is decoded, with the few pixels around it that it depends on.
- Convolutions with few outputs compute neighbouring pixels together, to fill the processor's vectors.
- Memory of features is kept for the next ones.
- The convolutions of a concatenation are the sum of the convolutions of its parts, so features needn't be copied.
- On request, the middle of the generator and the coarse blocks of its decoder compute in bfloat16 on processors that
  have instructions for it. This changes a few of a mask's pixels in ten thousand. All else stays in float32, since
  rounding would change more there.
"""

from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from napari_darl.darl.config import ModelConfig
from napari_darl.darl.folded_denoiser import FoldedDenoiser
from napari_darl.darl.folded_generator import FoldedGenerator, Part
from napari_darl.darl.fused_layers import computes_in_bfloat16
from napari_darl.darl.memory import keep_freed_memory
from napari_darl.darl.model import Darl


class _Folded(NamedTuple):
    config: ModelConfig
    tensors: tuple[Tensor, ...]  # of the network
    versions: tuple[int, ...]  # of these tensors; PyTorch counts changes
    path_a: "FoldedPathA"


_FOLDED: WeakKeyDictionary[Darl, _Folded] = WeakKeyDictionary()


def path_a(network: Darl, bfloat16: bool = False) -> Callable[[Tensor, int], Tensor]:
    """Return the fastest way to segment with a network: `FoldedPathA` where it suits, else the network itself.

    The folded form is kept for the next call, and rebuilt once weights were changed in place or the configuration
    was replaced.

    Parameters
    ----------
    network : Darl
        In evaluation mode, on its device.
    bfloat16 : bool
        Whether the folded generator may compute in bfloat16; it does where the processor gains from it.

    Returns
    -------
    callable
        Maps frames and their timestep to probabilities, as `Darl.forward` does.
    """
    if not can_fold(network):
        return network
    precision = "bfloat16" if bfloat16 and computes_in_bfloat16() else "float32"
    known = _FOLDED.get(network)
    current = (
        known is not None
        and known.config is network.config
        and known.path_a.precision == precision
        and known.versions == _versions(known.tensors)
    )
    if known is None or not current:
        tensors = (*network.parameters(), *network.buffers())
        folded = FoldedPathA(network, precision == "bfloat16")
        known = _FOLDED[network] = _Folded(network.config, tensors, _versions(tensors), folded)
    return known.path_a


def _versions(tensors: tuple[Tensor, ...]) -> tuple[int, ...]:
    return tuple(tensor._version for tensor in tensors)


def can_fold(network: Darl) -> bool:
    """Return whether `FoldedPathA` can take the place of a network: it is on the CPU, and its norms can be folded."""
    if type(network) is not Darl or network.training:
        return False
    config, parameter = network.config, next(network.parameters())
    return (
        config.phases == "channels"
        and config.denoiser.norm == "channel"
        and not config.denoiser.attention_levels
        and config.generator.norm == "batch"
        and all(block.has_shortcut for block in network.generator.decoder)
        and parameter.device.type == "cpu"
        and parameter.dtype == torch.float32
        and not parameter.is_inference()  # such tensors don't count their changes
    )


class FoldedPathA:
    """Path A of a network that isn't trained any more.

    Parameters
    ----------
    network : Darl
        In evaluation mode, on the CPU; `can_fold` says whether it suits. Once its weights change, it has to be folded
        anew.
    bfloat16 : bool
        Whether the generator's middle and coarse blocks compute in bfloat16.

    Attributes
    ----------
    precision : str
        The lowest precision that takes part: `float32` or `bfloat16`.

    Examples
    --------
    >>> import torch
    >>> from napari_darl import load_model
    >>> network = load_model("default", "cpu").network
    >>> frames = torch.rand(1, 1, 64, 64) * 2 - 1
    >>> found = FoldedPathA(network)(frames)
    >>> torch.allclose(found, network(frames), atol=1e-3)
    True
    """

    def __init__(self, network: Darl, bfloat16: bool = False) -> None:
        keep_freed_memory()
        self.precision = "bfloat16" if bfloat16 else "float32"
        self.factor = network.config.stem_factor
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        with torch.inference_mode():
            self.denoiser = FoldedDenoiser(network.denoiser)
            self.generator = FoldedGenerator(network.generator, network.config.calibration, dtype)

    @torch.inference_mode()
    def __call__(self, frames: Tensor, t: int = 0, wanted: Part | None = None) -> Tensor:
        """Segment as `Darl.forward` does.

        Parameters
        ----------
        frames : Tensor
            x_t, float32 (N, 1, H, W), the clean frame in [-1, 1]; H and W multiples of `ModelConfig.stride`.
        t : int
            Their timestep.
        wanted : tuple of slice, optional
            The rows and columns whose probability is wanted. Less is computed then; that of others may be 0.

        Returns
        -------
        Tensor
            Probability of vessel, float32 (N, 1, H, W).
        """
        n, _, height, width = frames.shape
        f = self.factor
        rows, columns = height // f, width // f
        blocks = frames.float().reshape(n, rows, f, columns, f)
        folded = blocks.permute(0, 2, 4, 1, 3).reshape(n, f * f, rows, columns)
        folded = folded.contiguous(memory_format=torch.channels_last)
        noise = self.denoiser(folded, t)
        if wanted is not None:
            rows_wanted, columns_wanted = (slice(part.start // f, -(-part.stop // f)) for part in wanted)
            wanted = rows_wanted, columns_wanted
        probability = self.generator(torch.cat([folded, noise], dim=1), wanted)
        blocks = probability.permute(0, 2, 3, 1).reshape(n, rows, columns, f, f)
        return blocks.permute(0, 1, 3, 2, 4).reshape(n, 1, height, width)
