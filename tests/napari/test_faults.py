"""Faults in napari: one clear notification each, or none where none is needed, and everything still works."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import torch
import zarr
from windows import Window

from napari_darl import open_image
from napari_darl._napari.layers import NO_IMAGE
from napari_darl.inference.loading import Model, load_model
from napari_darl.samples import sample_angiogram


@pytest.fixture
def frame() -> np.ndarray:
    return sample_angiogram()[128:384, 128:384]


@pytest.fixture
def movie(frame: np.ndarray) -> np.ndarray:
    return np.stack([frame] * 40)


def run_command(window: Window) -> None:
    from napari_darl._napari.commands import segment_vessels

    segment_vessels(window.viewer)


def assert_usable(window: Window, widget: Any, frame: np.ndarray) -> None:
    """Segment a good frame with the same widget."""
    window.finish()
    layer = window.viewer.add_image(frame, name="good")
    widget.image.value = getattr(layer, "__wrapped__", layer)
    widget.segment()
    window.wait(lambda: "good vessels" in window.viewer.layers and not window.busy())
    assert widget.button.text() == "Segment"


def test_nothing_to_segment(window: Window, frame: np.ndarray) -> None:
    widget = window.open_segment()
    run_command(window)
    widget.button.click()
    window.viewer.add_labels(np.zeros((40, 40), int), name="drawn")
    run_command(window)
    window.viewer.add_points(np.zeros((2, 2)), name="dots")
    run_command(window)
    window.viewer.layers.selection.clear()
    run_command(window)
    assert window.messages[:2] == [NO_IMAGE] * 2
    said = ("'drawn' is a Labels layer.", "'dots' is a Points layer.", "No layer is selected.")
    assert all(message.startswith(start) for message, start in zip(window.messages[2:], said, strict=True))
    assert_usable(window, widget, frame)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # napari's own, of layers without extent or contrast
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (np.zeros((0, 64, 64)), "empty"),
        (np.zeros((1, 1)), "1 x 1"),
        (np.full((64, 64), np.nan), "no finite value"),
        (np.zeros((64, 64)), "value"),
    ],
    ids=["empty", "one pixel", "NaN", "constant"],
)
def test_an_image_that_cant_be_segmented(window: Window, frame: np.ndarray, bad: np.ndarray, said: str) -> None:
    widget = window.open_segment()
    window.viewer.add_image(bad, name="bad", contrast_limits=(0, 1))
    widget.segment()
    window.finish()
    (message,) = window.messages
    assert said in message
    assert len(window.viewer.layers) == 1
    assert_usable(window, widget, frame)


def test_a_bad_frame_in_the_middle_of_a_stack_keeps_the_others(
    window: Window, movie: np.ndarray, tmp_path: Path
) -> None:
    path, movie = tmp_path / "movie.zarr", movie[:8]
    zarr.create_array(path, data=movie, chunks=(1, *movie.shape[1:]))
    (path / "c" / "5" / "0" / "0").write_bytes(b"damaged")
    stack = da.from_array(open_image(path).data, chunks=(1, *movie.shape[1:]))
    widget = window.open_segment()
    window.viewer.add_image(stack, name="bad", contrast_limits=(0, 255))
    window.viewer.dims.set_current_step(0, 0)
    widget.segment()
    window.finish()
    (message,) = window.messages
    assert "movie.zarr can't be read as zarr" in message
    assert window.viewer.layers["bad vessels"].data[0].any()


@pytest.mark.parametrize("which", ["image", "mask"])
def test_a_layer_deleted_while_it_is_segmented(
    window: Window, movie: np.ndarray, frame: np.ndarray, which: str
) -> None:
    widget = window.open_segment()
    window.viewer.add_image(movie, name="movie")
    widget.segment()
    window.wait(lambda: len(window.viewer.layers) == 2)
    del window.viewer.layers["movie" if which == "image" else "movie vessels"]
    window.finish()
    assert window.messages == []
    assert len(window.viewer.layers) == 1
    assert_usable(window, widget, frame)


def test_an_image_deleted_before_its_first_frame_is_there(window: Window, frame: np.ndarray) -> None:
    widget = window.open_segment()
    window.viewer.add_image(frame, name="gone")
    widget.segment()
    window.viewer.layers.clear()
    window.finish()
    assert len(window.viewer.layers) == 0
    assert_usable(window, widget, frame)


def test_a_missing_model_file(window: Window, frame: np.ndarray, untrained_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(untrained_path.read_bytes())
    widget = window.open_segment()
    widget.model.choose(path)
    window.viewer.add_image(frame, name="frame")
    path.unlink()
    widget.segment()
    window.finish()
    (message,) = window.messages
    assert f"'{path}'" in message
    widget.model.choose("default")
    assert_usable(window, widget, frame)


class Graphics(torch.nn.Module):
    """A network on a GPU without memory that works on the CPU; torch's meta device stands for the GPU."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.config, self.moved = model.network.config, model.network
        self.weight = torch.nn.Parameter(torch.empty(1, device="meta"))

    def forward(self, tiles: torch.Tensor, t: int = 0) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    def cpu(self) -> Any:
        return self.moved

    def __deepcopy__(self, _: object) -> "Graphics":
        return self


def test_a_gpu_out_of_memory(window: Window, movie: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_darl.inference import loading as models
    from napari_darl.inference import predictor

    model = load_model(device="cpu")
    monkeypatch.setattr(
        models,
        "as_model",
        lambda *_: Model(Graphics(model), "default", "", {}),  # type: ignore[arg-type]
    )
    monkeypatch.setitem(predictor._PIXELS_AT_ONCE, "meta", 2**20)
    widget = window.open_segment()
    window.viewer.add_image(movie[:6], name="movie")
    widget.segment()
    window.wait(lambda: "movie vessels" in window.viewer.layers and not window.busy())
    (message,) = window.messages
    assert "CPU" in message
    assert window.viewer.layers["movie vessels"].data.all(axis=0).any()


@pytest.mark.parametrize(
    ("error", "said"),
    [(MemoryError(), "Memory ran out"), (RuntimeError("something is broken"), "something is broken")],
)
def test_an_error_in_the_network(
    window: Window, frame: np.ndarray, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    from napari_darl.inference import predictor
    from napari_darl.inference.loading import _cached

    _cached.cache_clear()
    widget = window.open_segment()
    window.viewer.add_image(frame, name="frame")
    with monkeypatch.context() as patch:

        def fail(*_: Any) -> None:
            raise error

        patch.setattr(predictor, "path_a", lambda network, bfloat16: fail)
        from napari.utils.notifications import notification_manager

        received: list[Any] = []
        patch.setattr(notification_manager, "receive_error", lambda *a: received.append(a[1]))
        widget.segment()
        window.finish()
        shown = [*window.messages, *map(str, received)]
    assert len(shown) == 1
    assert said in shown[0]
    assert_usable(window, widget, frame)


def test_closing_the_window_during_a_run(window: Window, movie: np.ndarray) -> None:
    widget = window.open_segment()
    window.viewer.add_image(movie, name="movie")
    widget.segment()
    window.wait(lambda: len(window.viewer.layers) == 2)
    window.viewer.close()
    window.finish()
    assert window.messages == []
