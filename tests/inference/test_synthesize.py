"""Path B in use: pairs over real and sampled backgrounds, the reverse process, and what is saved."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from scipy.ndimage import gaussian_filter

from napari_darl.darl.config import LITE
from napari_darl.darl.model import build
from napari_darl.darl.schedule import NoiseSchedule
from napari_darl.errors import FileError, InputError
from napari_darl.frames.normalisation import decode
from napari_darl.inference.loading import Model, load_model
from napari_darl.inference.pair_files import save_pairs
from napari_darl.inference.reverse import ReverseProcess
from napari_darl.inference.synthesize import chain, synthesize
from napari_darl.samples import sample_angiogram
from napari_darl.synthetic.trees import TreeConfig

SMALL = ReverseProcess((48, 72), 5)


@pytest.mark.parametrize("steps", [2, 10, 400])
def test_implicit_steps_with_the_true_noise_lead_back_to_the_frame(steps: int) -> None:
    schedule = NoiseSchedule(LITE.schedule)
    clean = torch.from_numpy(sample_angiogram()[200:232, 200:232].astype(np.float32) / 127.5 - 1)[None, None]
    eps = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    timesteps = [torch.tensor([t]) for t in np.linspace(1999, 0, steps).round().astype(int)]
    x = schedule.add_noise(clean, timesteps[0], eps)
    for t, before in itertools.pairwise(timesteps):
        x = schedule.implicit_step(x, t, before, eps)
        if t < 1900:  # before that the frame is lost in float32's last digits
            torch.testing.assert_close(x, schedule.add_noise(clean, before, eps), atol=2e-3, rtol=0)
    torch.testing.assert_close(schedule.clean_estimate(x, timesteps[-1], eps), clean, atol=2e-3, rtol=0)


def test_the_chain_goes_from_noise_to_a_background(untrained: Model) -> None:
    frames = list(SMALL.chain(untrained, 3))
    assert len(frames) == 6
    assert {frame.shape for frame in frames} == {(48, 72)}
    assert {frame.dtype for frame in frames} == {np.dtype(np.float32)}
    assert frames[0].std() == pytest.approx(1, abs=0.05)
    assert -1 <= frames[-1].min() < frames[-1].max() <= 1
    np.testing.assert_array_equal(frames[-1], list(SMALL.chain(untrained, 3))[-1])
    assert not np.array_equal(frames[-1], list(SMALL.chain(untrained, 4))[-1])


def test_ancestral_sampling_goes_through_all_timesteps(untrained: Model) -> None:
    schedule = untrained.network.config.schedule.updated(steps=120)
    network = build(untrained.network.config.updated(schedule=schedule, path_a_steps=20), seed=0)[0].eval()
    model = replace(untrained, network=network)
    every = list(ReverseProcess((32, 32), None).chain(model))
    assert len(every) == 120 + 1
    kept = list(chain(model, ReverseProcess((32, 32), None)))
    assert len(kept) == 1 + 120 // 40  # every 40th step
    assert -1 <= kept[-1].min() < kept[-1].max() <= 1


def test_the_bundled_denoiser_makes_structures_of_noise() -> None:
    first, *_, last = ReverseProcess((128, 128), 20).chain(load_model("default", "cpu"))

    def coarse(frame: np.ndarray) -> float:
        """Part of a frame's contrast that a wide blur leaves."""
        return float(gaussian_filter(frame, 4)[16:-16, 16:-16].std() / frame.std())

    assert coarse(last) > 2 * coarse(first)


def test_pairs_over_sampled_backgrounds(untrained: Model) -> None:
    pairs = list(synthesize(untrained, SMALL, 2, seed=1))
    again = next(synthesize(untrained, SMALL, 1, seed=1))
    assert {pair.angiogram.shape for pair in pairs} == {(48, 72)}
    np.testing.assert_array_equal(pairs[0].background, again.background)
    assert not np.array_equal(pairs[0].background, pairs[1].background)
    normalisation = untrained.network.config.normalisation
    *_, last = chain(untrained, SMALL, seed=1)
    np.testing.assert_array_equal(pairs[0].background, decode(last, normalisation))
    real = next(synthesize(untrained, [sample_angiogram()[:48, :72]], 1, seed=1))
    np.testing.assert_array_equal(real.mask, pairs[0].mask)  # the pseudo-mask is the seed's, whatever lies behind it


@pytest.mark.parametrize("process", [ReverseProcess((16, 64)), ReverseProcess(steps=1), ReverseProcess(steps=2001)])
def test_a_reverse_process_that_cannot_be(untrained: Model, process: ReverseProcess) -> None:
    for start in (lambda: process.chain(untrained), lambda: synthesize(untrained, process, 1)):
        with pytest.raises(InputError, match=r"at least 32|2 to 2000"):
            next(iter(start()))


def test_saved_pairs_tell_how_they_were_made(untrained: Model, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    settings = untrained.provenance(seed=0)
    assert list(save_pairs(folder, synthesize(untrained, SMALL, 3), settings)) == [f"0000{i}.tif" for i in range(3)]
    told = json.loads((folder / "pairs.json").read_text())
    assert told["settings"]["sha256"] == untrained.sha256
    assert [pair["file"] for pair in told["pairs"]] == sorted(path.name for path in (folder / "masks").iterdir())
    first = [tifffile.imread(folder / kind / "00000.tif") > 0 for kind in ("cycle_masks", "masks")]
    assert told["pairs"][0]["dice"] == pytest.approx(2 * (first[0] & first[1]).sum() / sum(m.sum() for m in first))
    before = tifffile.imread(folder / "angiograms" / "00000.tif")
    with pytest.raises(FileError, match=r"pairs\.json exists already"):
        list(save_pairs(folder, synthesize(untrained, SMALL, 1, seed=9), settings))
    np.testing.assert_array_equal(tifffile.imread(folder / "angiograms" / "00000.tif"), before)


def test_pairs_saved_until_a_person_stops_are_listed(untrained: Model, tmp_path: Path) -> None:
    saving = save_pairs(tmp_path, synthesize(untrained, SMALL, 100), {"seed": 0})
    next(saving)
    next(saving)
    saving.close()
    assert len(json.loads((tmp_path / "pairs.json").read_text())["pairs"]) == 2
    assert len(list((tmp_path / "angiograms").iterdir())) == 2


def test_pseudo_masks_are_those_of_the_models_training() -> None:
    model = load_model("default", "cpu")
    trees = TreeConfig.model_validate(model.info["training"]["draws"]["trees"])
    assert trees != TreeConfig()
    frame = sample_angiogram()[:96, :96]
    (pair,) = synthesize(model, [frame], 1)
    (same,) = synthesize(model, [frame], 1, trees=trees)
    (other,) = synthesize(model, [frame], 1, trees=TreeConfig())
    np.testing.assert_array_equal(pair.mask, same.mask)
    assert (pair.mask != other.mask).any()


def test_pairs_of_a_former_run_stay_if_the_new_one_fails_at_once(tmp_path: Path, untrained: Model) -> None:
    frame = sample_angiogram()[:96, :96]
    list(save_pairs(tmp_path, synthesize(untrained, [frame], 2), {}))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    broken = synthesize(untrained, [np.full_like(frame, np.nan, np.float32)], 1)
    with pytest.raises(InputError):
        list(save_pairs(tmp_path, broken, {}, overwrite=True))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
