"""Batches: keyed draws, stacks of different kinds, backgrounds without vessels, and labels of teachers."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from napari_darl.darl.config import LITE
from napari_darl.darl.losses import Batch
from napari_darl.errors import DarlWarning
from napari_darl.frames.normalisation import Normalisation
from napari_darl.samples import sample_angiogram
from napari_darl.synthetic.phantom import phantom_angiogram, render
from napari_darl.synthetic.trees import draw_trees
from napari_darl.training.backgrounds import suppress_vessels
from napari_darl.training.draw_config import DrawConfig
from napari_darl.training.sampler import Sampler, Stacks
from napari_darl.training.teacher import TeacherConfig, agreed_labels, nearest_pixels, sure_labels

LINEAR = Normalisation(kind="percentiles")
CONFIG = DrawConfig(size=64, zoom=(0.7, 1.8), grounded=0.5, gamma=1.4, noise=0.05, blur=0.7, teacher=TeacherConfig())


def frames(count: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [phantom_angiogram((100 + 20 * i, 120), rng)[0] for i in range(count)]


def sampler(config: DrawConfig, stacks: Stacks, seed: int = 0, **changes: object) -> Sampler:
    """Return a sampler for the `lite` model at a side of 128 px."""
    return Sampler(config, LITE.updated(side=128, **changes), stacks, seed)


def test_draws_are_keyed() -> None:
    first, second = (sampler(CONFIG, Stacks(frames()), seed=5) for _ in range(2))
    first.draw(0, 3)
    for one, other in zip(first.draw(7, 3), second.draw(7, 3), strict=True):
        np.testing.assert_array_equal(one, other)
    bigger = second.draw(7, 5)
    np.testing.assert_array_equal(bigger.angiogram[:3], first.draw(7, 3).angiogram)
    assert not np.array_equal(first.draw(8, 3).angiogram, first.draw(7, 3).angiogram)


def test_coarse_crops_have_less_detail_and_wider_vessels() -> None:
    config = CONFIG.updated(noise=0.3, gamma=1.0)
    sharp, coarse = (
        sampler(config.updated(coarse=factor), Stacks(frames()), normalisation=LINEAR).draw(0, 16, 4)
        for factor in (1.0, 4.0)
    )
    blocks = [torch.nn.functional.avg_pool2d(batch.angiogram, 8) for batch in (sharp, coarse)]
    assert torch.allclose(*blocks, atol=0.15)
    steps = [batch.angiogram.diff(dim=-1).abs().mean() for batch in (sharp, coarse)]
    assert 0.1 < steps[1] / steps[0] < 0.6
    assert (coarse.labels > 0)[sharp.labels == 1].float().mean() > 0.95
    assert 1.1 < (coarse.labels > 0).sum() / (sharp.labels > 0).sum() < 2
    assert torch.equal(sharp.mask, coarse.mask)
    assert torch.equal(sharp.rendered, coarse.rendered)


def test_shapes_and_ranges_of_a_batch() -> None:
    batch = sampler(CONFIG, Stacks(frames())).draw(0, 16)
    for part in (batch.angiogram, batch.background, batch.rendered):
        assert part.shape == (16, 1, 64, 64)
        assert part.dtype == torch.float32
        assert part.min() >= -1
        assert part.max() <= 1
    assert set(batch.mask.unique().tolist()) == {-1, 1}
    assert set(batch.labels.unique().tolist()) == {-1, 0, 1}
    assert batch.on_path_b == 8


def test_rendered_vessels_are_darker_than_their_background() -> None:
    config = DrawConfig(size=128, transmission=(0.3, 0.5))
    batch = sampler(config, Stacks(frames()), normalisation=LINEAR).draw(0, 8)
    change = batch.rendered - batch.background
    assert change[batch.mask > 0].mean() < -0.1
    assert abs(change[batch.mask < 0].mean()) < 0.02


def test_in_c_darl_the_background_is_the_angiogram() -> None:
    config = DrawConfig(size=64)
    batch = sampler(config, Stacks(frames()), variant="c-darl").draw(0, 3)
    np.testing.assert_array_equal(batch.angiogram, batch.background)


def test_small_frames_are_enlarged() -> None:
    small = [frame[:40, :50] for frame in frames()]
    assert sampler(CONFIG, Stacks(small)).draw(0, 2).angiogram.shape == (2, 1, 64, 64)


def test_masks_of_the_user_are_used() -> None:
    stripes = np.zeros((128, 128), np.uint8)
    stripes[:, ::16] = stripes[:, 1::16] = stripes[:, 2::16] = 255
    batch = sampler(CONFIG, Stacks(frames(), masks=[stripes])).draw(0, 4)
    assert 0.05 < (batch.mask.numpy() > 0).mean() < 0.4


def test_vessels_are_removed_and_the_rest_stays() -> None:
    rng = np.random.default_rng(1)
    background = np.full((256, 256), 0.4, np.float32) + rng.normal(0, 0.02, (256, 256)).astype(np.float32)
    tree = max((draw_trees((256, 256), rng) for _ in range(5)), key=lambda drawn: drawn.mask.sum())
    angiogram = render(background, tree.thickness, absorption=0.06)
    filled = suppress_vessels(angiogram, 25)
    inside = tree.radius > 1
    assert np.abs(filled - background)[inside].mean() < 0.3 * np.abs(angiogram - background)[inside].mean()
    assert np.abs(filled - angiogram)[~tree.mask].mean() < 0.03
    left = np.zeros(angiogram.shape, np.bool_)
    left[:, :128] = True
    partly = suppress_vessels(angiogram, 25, left)
    np.testing.assert_allclose(partly[:, :110], filled[:, :110], atol=1e-4)
    np.testing.assert_array_equal(partly[:, 150:], angiogram[:, 150:])


def test_the_teacher_labels_sure_pixels_only() -> None:
    frame = sample_angiogram().astype(np.float32) / 127.5 - 1
    labels = sure_labels(frame)
    assert labels.shape == (300, 300)
    assert 0.02 < (labels == 1).mean() < 0.07
    assert 0.05 < (labels == 0).mean() < 0.13
    assert (sure_labels(frame, TeacherConfig(shortest=10_000)) < 1).all()


def test_dark_parts_and_rims_are_not_labelled_as_vessels() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:300, :300]
    lit = np.hypot(rows - 150, columns - 150) < 140
    frame = np.where(lit, np.where(columns < 150, 0.1, 0.6), 0) + rng.normal(0, 0.01, (300, 300))
    frame[40:260, 218:223] *= 0.7
    labels = sure_labels((2 * np.clip(frame, 0, 1) - 1).astype(np.float32))
    assert (labels[60:240, 219:222] == 1).all()
    elsewhere = labels == 1
    elsewhere[30:270, 214:227] = False
    assert elsewhere.mean() < 0.02


def test_labels_that_filter_and_model_agree_on() -> None:
    ridge = np.full((100, 100), -1, np.int8)
    ridge[:, 40:60] = 0
    ridge[:, 45:55] = 1
    probability = np.full((200, 200), 0.1, np.float32)
    probability[:, 84:112] = 0.9  # the filter sees a ridge
    probability[:, 150:154] = 0.9  # a long ridge of the model alone
    probability[100:104, 20:24] = 0.9  # a short one
    labels = agreed_labels(ridge, probability)
    assert labels.shape == (200, 200)
    assert (labels[:, 84:112] == 1).all()
    assert (labels[:, 112:118] == -1).all()  # only the filter isn't sure
    assert (labels[:, 151:153] == 0).all()
    assert (labels[100:104, 20:24] == -1).all()
    assert (labels[:, 170:] == -1).all()
    probability[:, 84:112] = 0.1
    assert (agreed_labels(ridge, probability)[:, 90:110] == 0).all()


def test_round_fields_of_view_hide_what_lies_outside() -> None:
    def drawn(share: float) -> Batch:
        config = CONFIG.model_copy(update={"aperture": share, "noise": 0.0, "gamma": 1.0, "blur": 0.0})
        return sampler(config, Stacks(frames()), normalisation=LINEAR).draw(0, 16)

    batch, without = drawn(1.0), drawn(0.0)
    outside = batch.angiogram.numpy() < -0.6
    assert 0.1 < outside.mean() < 0.9
    assert (without.angiogram.numpy() < -0.6).mean() < outside.mean() / 2
    far = np.stack([distance_transform_edt(one) > 4 for one in batch.background[:, 0].numpy() < -0.69])
    assert (batch.mask[:, 0].numpy()[far] == -1).mean() > 0.95


@pytest.mark.filterwarnings("ignore:1 of 1 angiograms have:napari_darl.DarlWarning")
def test_nothing_is_taught_where_values_are_missing() -> None:
    frame = phantom_angiogram((200, 240), np.random.default_rng(0))[0].astype(np.float32)
    outside = np.indices(frame.shape).sum(0) < 150  # a corner
    frame[outside] = np.nan
    for predict in (None, lambda frame: (frame < 0).astype(np.float32)):
        drawn = sampler(CONFIG, Stacks([frame]))
        if predict is not None:
            drawn.teach(predict)
        labels = drawn.angiograms._labels(0, CONFIG)
        rows, columns = (nearest_pixels(n, n, m) for n, m in zip(frame.shape, labels.shape, strict=True))
        shown = labels[rows][:, columns]
        assert not shown[outside].any()
        assert (shown == 1).any()
        for part in drawn.draw(0, 16)[:5]:
            assert torch.as_tensor(part).isfinite().all()


def test_frames_without_any_value_are_left_out() -> None:
    with pytest.warns(DarlWarning, match="1 of 5 angiograms"):
        source = sampler(CONFIG, Stacks([*frames(), np.full((64, 64), np.nan)])).angiograms
    assert len(source.frames) == 4


def test_the_first_batches_come_from_few_frames_so_that_they_arrive_soon() -> None:
    stack = [np.roll(sample_angiogram()[:100, :100], 5 * n, 1) for n in range(12)]
    first, later = sampler(CONFIG, Stacks(stack)), sampler(CONFIG, Stacks(stack))
    for step in range(5):
        first.draw(step, 8)
        assert len(first.angiograms.ridges) <= 4 + 2 * step
    again = first.draw(2, 8)
    for one, other in zip(again, later.draw(2, 8), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(later.angiograms.ridges) <= 8
    for step in range(6, 14):
        later.draw(step, 8)
    assert len(later.angiograms.ridges) == 12
