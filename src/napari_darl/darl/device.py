"""Choice of the device, and of the precision on it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from napari_darl.errors import InputError


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device of a name.

    Parameters
    ----------
    name : str
        `auto` (CUDA, else MPS, else the CPU), `cpu`, `cuda`, `cuda:n` or `mps`.

    Raises
    ------
    InputError
        If the name is unknown or the device is not available.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"Unknown device '{name}'. Choose auto, cpu, cuda, cuda:0, cuda:1, ... or mps.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"Device '{name}' is not available ({describe_device('auto')}). Choose auto or cpu.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("Device 'mps' needs a Mac with an Apple GPU. Choose auto or cpu.")
    return device


def describe_device(name: str = "auto") -> str:
    """Return one line that describes a device and, if `auto` is the CPU, why.

    Raises
    ------
    InputError
        As `resolve_device`.
    """
    device = resolve_device(name)
    if device.type == "cuda":
        return f"GPU: {torch.cuda.get_device_name(device)}"
    if device.type == "mps":
        return "GPU: Apple (MPS)"
    if name == "cpu":
        return "CPU, as chosen"
    if not torch.backends.cuda.is_built():
        return "CPU: this torch has no CUDA; install a CUDA build from pytorch.org to use an NVIDIA GPU"
    return "CPU: torch sees no NVIDIA GPU (is its driver installed?)"


def working_precision(device: torch.device, choice: str = "auto") -> Callable[[], AbstractContextManager[None]]:
    """Return a function that makes the context in which to run the networks.

    Parameters
    ----------
    device : torch.device
        The device of the networks.
    choice : {"auto", "float32", "bfloat16"}
        `bfloat16` is autocast. `auto` chooses it on GPUs and processors with bfloat16 arithmetic, else float32.
    """
    if choice == "auto":
        choice = "bfloat16" if has_bfloat16(device) else "float32"
    if choice == "float32":
        return nullcontext
    # On processors without its cache of cast weights, which all threads share and each empties when it is done: the
    # sums of gradients would depend on what other threads do.
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=device.type != "cpu")


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device computes with bfloat16 by itself, so that it is faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    known: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)  # since torch 2.11
    features = known() if device.type == "cpu" else {}
    return bool(features.get("avx512_bf16") or features.get("amx_bf16"))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on the device or on the computer."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return any(words in said for words in ("out of memory", "not enough memory", "can't allocate memory"))
