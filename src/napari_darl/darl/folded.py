"""Path A as it is used on processors: the same function as `Darl.forward`, in fewer and faster operations.

What is changed, none of it in the trained weights:

- Batch norms, and the embedded time, which is the same for every pixel, are folded into the convolutions.
- Activations and sums take place while a convolution writes its result (oneDNN's fused operations).
- A 3 x 3 convolution of an image that was doubled in size by nearest neighbour sees each pixel twice or four times.
  It is computed before the doubling, as 2 x 2 convolutions, one for each of the four pixels that a pixel becomes:
  4 / 9 of the multiplications.
- The convolutions of a concatenation are the sum of the convolutions of its parts, so features needn't be copied.
- On request, the generator behind its encoder computes in bfloat16 on processors that have instructions for it. This
  changes a few pixels of a mask in ten thousand. The denoiser and the encoder stay in float32, where rounding would
  change more.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, cast
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_darl.darl.config import ModelConfig
from napari_darl.darl.denoiser import ResidualBlock, Upsample
from napari_darl.darl.fused_layers import (
    SLOPE,
    Convolution,
    Doubled,
    NormSwish,
    Reflected,
    affine,
    computes_in_bfloat16,
    doubled,
)
from napari_darl.darl.generator import SSpadeBlock
from napari_darl.darl.model import Darl


class _Folded(NamedTuple):
    config: ModelConfig
    tensors: tuple[Tensor, ...]  # of the network
    versions: tuple[int, ...]  # of these tensors; PyTorch counts changes
    path_a: "FoldedPathA"


_FOLDED: WeakKeyDictionary[Darl, _Folded] = WeakKeyDictionary()


def path_a(network: Darl, bfloat16: bool = False) -> Callable[[Tensor, int], Tensor]:
    """Return the fastest way to segment with a network: `FoldedPathA` where it suits, else the network itself.

    The folded form is kept for the next call, and made anew once weights were changed in place or the configuration
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
        Whether the generator behind its encoder computes in bfloat16.

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
        self.precision = "bfloat16" if bfloat16 else "float32"
        self.factor = network.config.stem_factor
        with torch.inference_mode():
            self.denoiser = _Denoiser(network)
            self.generator = _Generator(network, torch.bfloat16 if bfloat16 else torch.float32)

    @torch.inference_mode()
    def __call__(self, frames: Tensor, t: int = 0) -> Tensor:
        """Segment as `Darl.forward` does.

        Parameters
        ----------
        frames : Tensor
            x_t, float32 (N, 1, H, W), the clean frame in [-1, 1]; H and W multiples of `ModelConfig.stride`.
        t : int
            Their timestep.

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
        probability = self.generator(torch.cat([folded, noise], dim=1))
        blocks = probability.permute(0, 2, 3, 1).reshape(n, rows, columns, f, f)
        return blocks.permute(0, 1, 3, 2, 4).reshape(n, 1, height, width)


class _Residual:
    """A block of the denoiser; the time is in the bias of its first convolution."""

    def __init__(self, block: ResidualBlock) -> None:
        self.norms = [NormSwish(part[0]) for part in (block.first, block.second)]
        self.first, self.second = (Convolution.of(part[2]) for part in (block.first, block.second))
        self.shortcut = Convolution.of(block.shortcut) if isinstance(block.shortcut, nn.Conv2d) else None
        self.time = block.time

    def bias_at(self, time: Tensor) -> Tensor:
        """Return the bias of the first convolution at an embedded time (1, C)."""
        return cast(Tensor, self.first.bias) + cast(Tensor, self.time(time))[0]

    def __call__(self, x: Tensor, bias: Tensor) -> Tensor:
        hidden = self.first(self.norms[0](x), bias)
        hidden = self.norms[1](hidden)
        if self.shortcut is None:
            return self.second(hidden).add_(x)
        return self.second.add_to(self.shortcut(x), hidden)


class _Denoiser:
    def __init__(self, network: Darl) -> None:
        source = network.denoiser
        self.time = source.time

        def made(layer: nn.Module) -> "_Residual | Doubled | Convolution":
            if isinstance(layer, ResidualBlock):
                return _Residual(layer)
            if isinstance(layer, Upsample):
                return Doubled(layer.conv.weight, layer.conv.bias, torch.float32)
            return Convolution.of(layer)

        self.down, self.middle, self.up = (
            [made(layer) for layer in part] for part in (source.down, source.middle, source.up)
        )
        self.out = Convolution.of(source.out[-1])

        self.at: tuple[int, dict[_Residual, Tensor]] | None = None

    def __call__(self, x: Tensor, t: int) -> Tensor:
        at = self.at  # other threads may change it
        if at is None or at[0] != t:
            time = self.time(torch.tensor([t], device=x.device))
            layers = (*self.down, *self.middle, *self.up)
            at = self.at = t, {layer: layer.bias_at(time) for layer in layers if isinstance(layer, _Residual)}
        biases = at[1]
        skips = []
        for layer in self.down:
            x = layer(x, biases[layer]) if isinstance(layer, _Residual) else layer(x)
            skips.append(x)
        for layer in self.middle:
            x = cast(_Residual, layer)(x, biases[cast(_Residual, layer)])
        for layer in self.up:
            x = layer(torch.cat([x, skips.pop()], dim=1), biases[layer]) if isinstance(layer, _Residual) else layer(x)
        return self.out(x)


def _scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return what a batch norm in use multiplies each channel by, and adds to it then."""
    norm = cast(nn.BatchNorm2d, norm)
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = (variance + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * norm.weight
    shift = -mean * scale
    return scale, shift + norm.bias if norm.affine else shift


def _of_path_a(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return scale and shift of path A's norm: of a `SwitchableSpade` or a `PathNorm`."""
    return _scale_and_shift(cast(nn.Module, norm.plain if hasattr(norm, "plain") else norm.a))


class _Generator:
    def __init__(self, network: Darl, dtype: torch.dtype) -> None:
        source = network.generator
        self.dtype = dtype
        inputs = 2 * network.config.stem_factor**2  # without SPADE, zeros for the mask follow
        self.encoder: list[Reflected | Convolution] = []
        for layer, norm in zip(source.encoder, source.norms, strict=True):
            made = Convolution.of(layer).scaled(*_of_path_a(norm))
            made = replace(made, weight=made.weight[:, :inputs] if not self.encoder else made.weight, activation="relu")
            made = made.to(torch.float32)
            self.encoder.append(made if self.encoder else Reflected(made))
        self.middle = [_Block(cast(SSpadeBlock, block), 0, dtype) for block in source.middle]
        coarse = list(network.config.generator.widths)[:0:-1]
        self.decoder = [
            _Block(cast(SSpadeBlock, block), width, dtype) for block, width in zip(source.decoder, coarse, strict=True)
        ]
        out = Convolution.of(source.out)
        # (tanh x + 1) / 2 is the logistic function of 2 x, and the calibration is linear in 2 x.
        calibration = network.config.calibration
        gain, shift = 2 / calibration.temperature, calibration.shift / calibration.temperature
        bias = gain * cast(Tensor, out.bias) - shift
        self.out = Reflected(replace(out, weight=gain * out.weight, bias=bias).to(dtype))
        self.skips = source.skips

    def __call__(self, x: Tensor) -> Tensor:
        features = []
        for layer in self.encoder:
            x = layer(x)
            features.append(x)
        x = x.to(self.dtype)
        for block in self.middle:
            x = block(x)
        for block, fine in zip(self.decoder, reversed(features[:-1]), strict=True):
            x = block.doubled(x, fine.to(self.dtype) if self.skips else None)
        # Rounded logits keep their sign, and the logistic function of them is in float32.
        return self.out(F.leaky_relu(x, SLOPE, inplace=True)).float().sigmoid_()


class _Block:
    """A block of the generator, of features or, with `coarse` of its inputs, of doubled and finer features."""

    def __init__(self, block: SSpadeBlock, coarse: int, dtype: torch.dtype) -> None:
        scale, shift = _of_path_a(block.norm_0)
        first = Convolution.of(block.conv_0).scaled(*_of_path_a(block.norm_1))
        self.second = Convolution.of(block.conv_1).to(dtype)
        if not coarse:
            self.norm = affine(scale, shift, dtype)
            self.first = replace(first, activation="leaky_relu").to(dtype)
            return
        self.norm = affine(scale[:coarse], shift[:coarse], dtype)
        self.fine_norm = affine(scale[coarse:], shift[coarse:], dtype)
        alone = len(scale) == coarse
        self.doubling = Doubled(first.weight[:, :coarse], first.bias if alone else None, dtype)
        self.first = replace(first, weight=first.weight[:, coarse:]).to(dtype)
        # The norm before the shortcut's 1 x 1 convolution has no activation behind it, so it becomes a part of it.
        scale, shift = _of_path_a(block.norm_s)
        shortcut = cast(nn.Conv2d, block.conv_s).weight.detach()
        bias = shortcut[:, :, 0, 0] @ shift
        shortcut = shortcut * scale[:, None, None]
        self.shortcut = Convolution(shortcut[:, :coarse], bias).to(dtype)
        self.fine_shortcut = Convolution(shortcut[:, coarse:], None).to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return self.second(self.first(self.norm(x))).add_(x)

    def doubled(self, x: Tensor, fine: Tensor | None) -> Tensor:
        """Map features, to be doubled in size, and finer ones."""
        hidden = self.doubling(self.norm(x))
        if fine is not None:
            hidden = self.first.add_to(hidden, self.fine_norm(fine))
        hidden = F.leaky_relu(hidden, SLOPE, inplace=True)
        sums = doubled(self.shortcut(x))  # not before, so that less memory is held at once
        if fine is not None:
            sums = self.fine_shortcut.add_to(sums, fine)
        return self.second.add_to(sums, hidden)
