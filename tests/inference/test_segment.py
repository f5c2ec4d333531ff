"""Frames of every kind, tiles, resizing and memory that runs out."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logit

from napari_darl import SegmentOptions, Windows, iter_probability, load_model, segment, segment_probability
from napari_darl.darl.config import Calibration
from napari_darl.errors import DarlError, DarlWarning
from napari_darl.evaluation.metrics import score
from napari_darl.inference.loading import Model
from napari_darl.inference.padding import pad_to_multiple
from napari_darl.inference.scale import guess_resize
from napari_darl.samples import sample_angiogram
from napari_darl.synthetic.phantom import phantom_angiogram, phantom_movie

FRAME = phantom_angiogram((96, 128), np.random.default_rng(0))[0]


def as_type(dtype: str) -> np.ndarray:
    """The frame in a dtype's range; integers keep a value of 4 steps or more."""
    if np.dtype(dtype).kind == "f":
        return FRAME.astype(dtype)
    if dtype == "bool":
        return FRAME > 0
    info = np.iinfo(dtype)
    low, high = (max(info.min, -(2**40)), min(info.max, 2**40))
    return (low + (FRAME.astype(float) + 1) / 2 * (high - low)).astype(dtype)


@pytest.mark.parametrize(
    "dtype",
    ["bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "float32", "float64"],
)
def test_dtypes(untrained: Model, dtype: str) -> None:
    image = as_type(dtype)
    probability = segment_probability(image, untrained)
    assert probability.dtype == np.float32
    assert probability.shape == image.shape
    assert 0 <= probability.min() < probability.max() <= 1
    if dtype not in ("bool", "int8", "uint8", "float16"):
        np.testing.assert_allclose(probability, segment_probability(FRAME, untrained), atol=0.01)


def test_enlarged_frames_have_a_cut_of_their_own(untrained: Model) -> None:
    def logits(resize: float, **calibration: float) -> np.ndarray:
        model = copy.deepcopy(untrained)
        model.network.config = model.network.config.updated(calibration=Calibration(temperature=2, **calibration))
        probability = segment_probability(FRAME, model, resize=resize)
        assert 0.001 < probability.min() < probability.max() < 0.999
        return logit(probability)

    for resize, cut in ((0.5, 0.8), (1, 0.8), (2**0.5, 2 / 3), (2, 0.5), (3, 0.5)):
        np.testing.assert_allclose(logits(resize, cut=0.8, enlarged=0.5), logits(resize, cut=cut), atol=0.02)


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (100, 257), (512, 300)])
def test_sizes(untrained: Model, shape: tuple[int, int]) -> None:
    frame = phantom_angiogram(shape, np.random.default_rng(1))[0]
    mask = segment(frame, untrained)
    assert mask.shape == shape
    assert mask.dtype == np.uint8
    assert mask.flags.writeable
    assert set(np.unique(mask)) <= {0, 1}


def test_stacks_are_segmented_frame_by_frame(untrained: Model) -> None:
    movie, _ = phantom_movie(3, (64, 80), np.random.default_rng(2))
    movie = movie.reshape(1, 3, 64, 80)
    stack = segment_probability(movie, untrained)
    assert stack.shape == movie.shape
    for index in range(3):
        np.testing.assert_allclose(stack[0, index], segment_probability(movie[0, index], untrained), atol=1e-4)


def test_black_frames_in_a_stack_have_no_vessels(untrained: Model) -> None:
    movie = np.stack([np.zeros_like(FRAME), FRAME])
    probability = segment_probability(movie, untrained)
    assert not probability[0].any()
    assert probability[1].any()


def test_a_last_axis_of_three_is_no_colour_unless_said(untrained: Model) -> None:
    colours = np.stack([FRAME[::-1], FRAME, FRAME[:, ::-1]], axis=-1)
    probability = segment_probability(colours, untrained, rgb=True)
    assert probability.shape == FRAME.shape
    np.testing.assert_array_equal(probability, segment_probability(FRAME, untrained))
    luminance = segment_probability(colours, untrained, rgb=True, channel="luminance")
    assert not np.array_equal(luminance, probability)
    deep = np.zeros((2, 64, 32, 40)) + np.arange(40)
    assert segment_probability(deep, untrained).shape == deep.shape


def test_bright_vessels_are_dark_ones_inverted(untrained: Model) -> None:
    np.testing.assert_allclose(
        segment_probability(-FRAME, untrained, bright=True), segment_probability(FRAME, untrained), atol=1e-4
    )


def test_lists_tensors_and_lazy_arrays(untrained: Model) -> None:
    expected = segment_probability(FRAME, untrained)
    np.testing.assert_array_equal(segment_probability(FRAME.tolist(), untrained), expected)
    np.testing.assert_array_equal(segment_probability(torch.from_numpy(FRAME), untrained), expected)
    dask = pytest.importorskip("dask.array")
    for chunks in ((96, 128), (17, 50)):
        lazy = dask.from_array(FRAME, chunks=chunks)
        np.testing.assert_array_equal(segment_probability(lazy, untrained), expected)


def test_frames_are_computed_as_they_are_asked_for(untrained: Model) -> None:
    dask = pytest.importorskip("dask.array")
    seen = []
    noise = np.random.default_rng(0).random((1, 1024, 1024), np.float32)

    def block(block_info: dict) -> np.ndarray:  # type: ignore[type-arg]
        seen.append(block_info[None]["chunk-location"][0])
        return noise

    lazy = dask.map_blocks(block, chunks=((1,) * 5, (1024,), (1024,)), dtype=np.float32, meta=np.empty((0, 0, 0)))
    index, frame = next(iter_probability(lazy, untrained, SegmentOptions(resize=1)))
    assert index == (0,)
    assert frame.shape == (1024, 1024)
    assert len(seen) < 5


def test_tiles_agree_with_the_whole_frame(untrained: Model) -> None:
    frame = phantom_angiogram((300, 420), np.random.default_rng(3))[0]
    tiled = segment_probability(frame, untrained)
    config = untrained.network.config
    whole_config = config.model_copy(update={"tile": 512, "overlap": 64})
    untrained.network.config = whole_config
    try:
        whole = segment_probability(frame, untrained)
    finally:
        untrained.network.config = config
    assert np.abs(tiled - whole).mean() < 0.01


def test_tiles_do_not_depend_on_the_frame_below(untrained: Model) -> None:
    """The grid starts at the origin: what lies beyond a tile's reach changes nothing in it."""
    frame = phantom_angiogram((400, 160), np.random.default_rng(4))[0]
    frame[-1, :2] = frame.min(), frame.max()
    cut = frame[:330].copy()
    cut[-1, :2] = frame.min(), frame.max()
    whole, part = (segment_probability(image, untrained) for image in (frame, cut))
    np.testing.assert_allclose(whole[:96], part[:96], atol=0.02)


def test_padding_reflects_or_repeats() -> None:
    frame = torch.arange(32.0).repeat(1, 1, 40, 1)
    padded = pad_to_multiple(frame, 64)
    assert padded.shape == (1, 1, 64, 64)
    assert torch.equal(padded[..., :40, :32], frame)


def test_resizing_gives_the_shape_back(untrained: Model) -> None:
    for factor in (0.5, 1.7):
        probability = segment_probability(FRAME, untrained, resize=factor)
        assert probability.shape == FRAME.shape
        assert probability.min() >= 0
        assert probability.max() <= 1


def test_stored_bits_decide_with_the_published_normalisation(untrained: Model, tmp_path: Path) -> None:
    from napari_darl.darl.checkpoint import save_model
    from napari_darl.frames.normalisation import Normalisation

    network = untrained.network
    config = network.config
    network.config = config.model_copy(update={"normalisation": Normalisation()})
    try:
        save_model(tmp_path / "bits.safetensors", network)
    finally:
        network.config = config
    model = load_model(tmp_path / "bits.safetensors", "cpu")
    eight = ((FRAME + 1) * 127.5).astype(np.uint8)
    twelve = (eight.astype(float) * 4095 / 255).round().astype(np.uint16)
    np.testing.assert_allclose(
        segment_probability(twelve, model, bits=12), segment_probability(eight, model), atol=1e-2
    )


class _Small:
    """A network that runs out of memory for batches larger than `most`, as a GPU does."""

    def __init__(self, model: Model, most: int) -> None:
        self.config, self.most, self.calls = model.network.config, most, []
        self.forward = model.network.forward

    def __call__(self, tiles: torch.Tensor, t: int = 0) -> torch.Tensor:
        self.calls.append(len(tiles))
        if len(tiles) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return self.forward(tiles)


def test_out_of_memory_makes_batches_smaller(untrained: Model) -> None:
    windows = Windows(np.stack([FRAME] * 4), untrained, SegmentOptions(resize=1))
    windows.pipeline.predictor.network = _Small(untrained, most=4)  # type: ignore[assignment]
    expected = windows.compute()
    small = _Small(untrained, most=1)
    windows.pipeline.predictor.network = small  # type: ignore[assignment]
    np.testing.assert_allclose(windows.compute(), expected, atol=1e-4)
    assert max(small.calls) == 4
    assert small.calls.count(1) == 4


def test_out_of_memory_ends_on_the_cpu_with_a_notice(untrained: Model) -> None:
    class Full(torch.nn.Module):
        config = untrained.network.config

        def forward(self, tiles: torch.Tensor, t: int = 0) -> torch.Tensor:
            if tiles.device.type == "meta":
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return untrained.network(tiles)  # type: ignore[no-any-return]

        def __deepcopy__(self, _: object) -> "Full":
            return self

    windows = Windows(FRAME, untrained, SegmentOptions(resize=1))
    windows.pipeline.predictor.network = _Small(untrained, most=1)  # type: ignore[assignment]
    expected = windows.compute()
    windows.pipeline.predictor.network = Full()  # type: ignore[assignment]
    windows.pipeline.predictor.device = torch.device("meta")
    with pytest.warns(DarlWarning, match="meta ran out of memory"):
        result = windows.compute()
    np.testing.assert_allclose(result, expected, atol=1e-5)
    windows.pipeline.predictor.network = _Small(untrained, most=0)  # type: ignore[assignment]
    with pytest.raises(DarlError, match="Memory ran out"):
        windows.compute()


def test_the_bundled_model_finds_vessels() -> None:
    rng = np.random.default_rng(7)
    frame, truth = phantom_angiogram((512, 512), rng)
    assert score(segment(frame), truth.mask).dice > 0.6
    mask = segment(sample_angiogram())
    assert 0.01 < mask.mean() < 0.2


def test_frames_are_brought_to_the_side_of_the_model(untrained: Model) -> None:
    assert guess_resize(512, 640) == guess_resize(768, 1200) == 1
    assert guess_resize(300, 300) == 1.71
    assert guess_resize(4000, 3000, side=768) == 0.38
    assert guess_resize(40_000, 40_000) == 0.25
    small = FRAME[::2, ::2]
    factor = guess_resize(*small.shape, untrained.network.config.side)
    assert factor != 1
    np.testing.assert_array_equal(
        segment_probability(small, untrained), segment_probability(small, untrained, resize=factor)
    )


def test_a_model_knows_its_reach_and_its_polarity(untrained: Model) -> None:
    assert guess_resize(512, 512, side=128, reach=8.0) == 1
    assert guess_resize(2048, 2048, side=128, reach=8.0) == 0.5
    assert guess_resize(584, 565, side=128, reach=8.0, enlargement=1.5) == 1.5
    assert guess_resize(2048, 2048, side=128, reach=8.0, enlargement=1.5) == 0.75
    network = copy.deepcopy(untrained.network)
    network.config = network.config.updated(side=64, reach=4.0, bright=True)
    bright = Model(network, "bright", "", {})
    found = segment_probability(-FRAME, bright)
    np.testing.assert_array_equal(found, segment_probability(-FRAME, bright, bright=True, resize=1))
    network.config = network.config.updated(enlargement=1.5)
    found = segment_probability(-FRAME, bright)
    np.testing.assert_array_equal(found, segment_probability(-FRAME, bright, bright=True, resize=1.5))
    np.testing.assert_array_equal(found, segment_probability(FRAME, bright, bright=False))
