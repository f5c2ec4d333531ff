"""Running out of a GPU's memory for real: blocks are taken until little is left."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from gpu_parts.common import Options, Table
from napari_darl import Trainer, load_model, segment_probability
from napari_darl.errors import DarlError, DarlWarning
from napari_darl.samples import sample_angiogram
from napari_darl.training.config import training_config

_BLOCKS = (2**30, 2**26, 2**22, 2**20)


def out_of_memory(options: Options) -> Table:
    """Segment and train while the GPU is all but full, and afterwards."""
    table = Table(
        "Out of memory",
        "Played on the GPU itself: blocks of memory are taken until the given number of megabytes is left.",
        ("what", "MB left", "outcome"),
    )
    if not options.cuda:
        table.rows.append(("segmenting and training", None, "needs a GPU"))
        return table
    movie = np.tile(sample_angiogram(), (4, 3, 3))
    wanted = segment_probability(movie, load_model("default", "cpu"), resize=1.0)
    model = load_model("default", str(options.device))
    for left in (30, 200, 1000):
        with filled(left):
            outcome = _segment(movie, wanted, model)
        table.rows.append(("segmenting 4 frames of 1,536 x 1,536", str(left), outcome))
    for preset, left in (("lite", 30), ("published", 300)):
        table.rows.append((f"training {preset}", str(left), _train(preset, left, options)))
    return table


def _segment(movie: np.ndarray, wanted: np.ndarray, model: object) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = segment_probability(movie, model, resize=1.0)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - what comes up is what is asked
            return f"{type(error).__name__}: {error}"[:300]
    fell_back = any(issubclass(one.category, DarlWarning) for one in caught)
    same = ((found > 0.5) == (wanted > 0.5)).mean()
    return (
        f"{'the CPU took over' if fell_back else 'smaller batches or all at once'}; {same:.4%} of pixels as on the CPU"
    )


def _train(preset: str, left: int, options: Options) -> str:
    config = training_config(preset, steps=6)
    folder = options.folder / f"memory_{preset}"
    trainer = Trainer(config, folder, [sample_angiogram()], device=str(options.device))
    losses = trainer.run()
    for _ in range(3):
        next(losses)
    torch.cuda.empty_cache()
    said = "nothing: there was enough"
    with filled(left):
        try:
            for _ in losses:
                pass
        except DarlError as error:
            said = f"DarlError: {error}"
        except Exception as error:  # noqa: BLE001 - what comes up is what is asked
            said = f"{type(error).__name__}: {error}"[:300]
    del trainer, losses
    _release()
    resumed = Trainer.resume(folder, [sample_angiogram()], device=str(options.device))
    begun = resumed.step
    done = sum(1 for _ in resumed.run())
    return f"{said} - resumed at step {begun}, {done} steps to the end"


@contextmanager
def filled(left: int) -> Iterator[None]:
    """Take the GPU's memory but for `left` megabytes, and give it back."""
    _release()
    blocks = []
    for size in _BLOCKS:
        while torch.cuda.mem_get_info()[0] > left * 1e6 + size:
            try:
                blocks.append(torch.empty(size, dtype=torch.uint8, device="cuda"))
            except torch.OutOfMemoryError:
                break
    try:
        yield
    finally:
        blocks.clear()
        _release()


def _release() -> None:
    gc.collect()
    torch.cuda.empty_cache()
