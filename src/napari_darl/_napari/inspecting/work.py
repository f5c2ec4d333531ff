"""The Inspect widget's work, step by step in a thread; a last none says that it came to its end."""

from collections.abc import Generator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from napari_darl._napari.stacks import Reading
from napari_darl._napari.task import warm_up
from napari_darl.errors import InputError
from napari_darl.inference.options import SegmentOptions

if TYPE_CHECKING:
    from napari_darl.inference.synthesize import SyntheticPair

SIZE = 512
"""Side of sampled backgrounds, px."""


def making(reading: Reading | None, settings: dict[str, Any], stop: Event) -> Generator[Any, None, None]:
    """Yield pairs with the Dice and clDice of cycle mask and pseudo-mask; then none."""
    warm_up()
    from napari_darl.evaluation.metrics import score

    for pair in _pairs(reading, settings, same_size=True):
        if stop.is_set():
            return
        found = score(pair.cycle_probability > 0.5, pair.mask)
        yield pair, found.dice, found.cldice
    yield None


def saving(reading: Reading | None, settings: dict[str, Any], folder: Path, stop: Event) -> Generator[Any, None, None]:
    """Write pairs, and yield the name of each; then none."""
    warm_up()
    from napari_darl.inference.loading import as_model
    from napari_darl.inference.synthesize import save_pairs

    model = as_model(settings["model"], settings["device"])
    told = model.provenance(noise_level=settings["noise_level"], seed=0)
    for name in save_pairs(folder, _pairs(reading, settings, same_size=False), told):
        yield name
        if stop.is_set():
            return
    yield None


def _pairs(
    reading: Reading | None, settings: dict[str, Any], *, same_size: bool
) -> Generator["SyntheticPair", None, None]:
    """Yield pairs over what is read, or without anything to read over sampled backgrounds."""
    warm_up()
    from napari_darl.inference.reverse import ReverseProcess
    from napari_darl.inference.synthesize import synthesize

    options = {key: settings[key] for key in ("noise_level", "device")}
    if reading is None:
        yield from synthesize(settings["model"], ReverseProcess((SIZE, SIZE)), settings["count"], **options)
        return
    stack = reading()
    frames = stack.frames
    if same_size:
        frames = [frame for frame in frames if frame.shape == frames[0].shape]
    yield from synthesize(settings["model"], frames, settings["count"], bits=stack.bits, **options)


def sampling(settings: dict[str, Any], stop: Event) -> Generator[Any, None, None]:
    """Yield the steps from noise to the background of the first pair; then none."""
    warm_up()
    from napari_darl.inference.loading import as_model
    from napari_darl.inference.reverse import ReverseProcess
    from napari_darl.inference.synthesize import chain

    for frame in chain(as_model(settings["model"], settings["device"]), ReverseProcess((SIZE, SIZE))):
        if stop.is_set():
            return
        yield frame
    yield None


def noising(
    reading: Reading, settings: dict[str, Any], index: int, levels: list[int], stop: Event
) -> Generator[Any, None, None]:
    """Yield what the model finds in a frame without and with noise, and how that compares; then none."""
    warm_up()
    from napari_darl.evaluation.robustness import robustness
    from napari_darl.inference.noise import noisy_views

    stack = reading()
    clean = None
    options = _options(settings, stack.bits)
    for view in noisy_views(stack.frames[index], settings["model"], options, noise_levels=levels):
        if stop.is_set():
            return
        mask = view.probability > 0.5
        clean = mask if clean is None else clean
        yield view, robustness({"none": clean, view.noise: mask})[-1]
    yield None


def assessing(reading: Reading, settings: dict[str, Any], stop: Event) -> Generator[Any, None, None]:
    """Yield what the model says of each frame and of itself; then none."""
    warm_up()
    from napari_darl.inference.trust import assess

    stack = reading()
    frames = stack.frames
    if any(frame.shape != frames[0].shape for frame in frames):
        raise InputError("The frames are of several sizes: choose those of one size")
    for frame in frames:
        if stop.is_set():
            return
        yield assess(frame, settings["model"], _options(settings, stack.bits))
    yield None


def _options(settings: dict[str, Any], bits: int | None) -> SegmentOptions:
    return SegmentOptions().updated(bits=bits, **{key: settings[key] for key in ("bright", "resize", "device")})
