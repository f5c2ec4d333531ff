"""The network at work: batches that halve when memory runs out, and the CPU where nothing else helps."""

import copy
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from napari_darl.darl.device import is_out_of_memory
from napari_darl.darl.folded import FoldedPathA, path_a
from napari_darl.darl.folded_generator import Part
from napari_darl.darl.model import Darl
from napari_darl.errors import DarlError, DarlWarning

_PIXELS_AT_ONCE = {"cpu": 2**18, "cuda": 2**23, "mps": 2**22}


class Predictor:
    """Run path A on batches of tiles.

    Parameters
    ----------
    network : Darl
        In evaluation mode, on its device.
    noise_level : int
        Timestep t of the tiles.
    interrupt : callable, optional
        Called before each batch; what it raises ends the work.
    bfloat16 : bool
        Whether part of the network may compute in bfloat16 on a CPU that gains from it.
    """

    def __init__(
        self,
        network: Darl,
        noise_level: int = 0,
        interrupt: Callable[[], None] | None = None,
        bfloat16: bool = False,
    ) -> None:
        self.network, self.noise_level, self.interrupt = network, noise_level, interrupt
        self.bfloat16 = bfloat16
        self.device = next(network.parameters()).device

    def at_once(self, pixels: int) -> int:
        """Return how many frames with this number of pixels make a batch that keeps the device busy."""
        return max(1, _PIXELS_AT_ONCE.get(self.device.type, 2**18) // max(pixels, 1))

    @property
    def precision(self) -> str:
        """The lowest precision that the network computes in here: `float32` or `bfloat16`."""
        return getattr(path_a(self.network, self.bfloat16), "precision", "float32")

    @torch.inference_mode()
    def __call__(self, tiles: Tensor, wanted: Part | None = None) -> Tensor:
        """Return the probability of vessel.

        Parameters
        ----------
        tiles : Tensor
            Float32 (N, 1, H, W) in [-1, 1], H and W multiples of the network's stride.
        wanted : tuple of slice, optional
            The rows and columns whose probability is wanted; that of others may be 0.

        Returns
        -------
        Tensor
            Float32 (N, 1, H, W) in [0, 1], on the CPU.

        Raises
        ------
        DarlError
            If the network returns NaN or infinite values, or memory runs out on the CPU.

        Warns
        -----
        DarlWarning
            If the device ran out of memory for a single tile; from then on the CPU is used.
        """
        if self.interrupt:
            self.interrupt()
        try:
            run = path_a(self.network, self.bfloat16)
            part = (wanted,) if isinstance(run, FoldedPathA) else ()
            probability = run(tiles.to(self.device), self.noise_level, *part).float().cpu()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            if not probability.sum().isfinite():  # if any of them is not
                raise DarlError(
                    "The model returned NaN or infinite values for this image. Download its file again, or use "
                    "another model."
                )
            return probability
        # Outside of the handler, which would keep the failed call's tensors in memory.
        if len(tiles) > 1:
            return torch.cat([self(half, wanted) for half in tiles.chunk(2)])
        if self.device.type == "cpu":
            height, width = tiles.shape[2:]
            raise DarlError(f"Memory ran out for a tile of {height} x {width} pixels. Close other programs.")
        warnings.warn(
            f"The device {self.device} ran out of memory. The CPU continues, which is slower.",
            DarlWarning,
            stacklevel=2,
        )
        self.network = copy.deepcopy(self.network).cpu()
        self.device = torch.device("cpu")
        return self(tiles, wanted)
