"""The student `fluorescence` learns each frame from the teacher of its source."""

import numpy as np
import pytest
import tifffile
from fluorescence_teachers import OF_ANGIOGRAMS, OF_RETINA, OF_VOLUMES, Sources

from napari_darl import Model, load_model, segment_probability
from napari_darl.training.distillation import SOFT, mean_probability, soft_labels


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("fluorescence", "cpu")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Volumes with a bright vessel, of which the liver's slices also have a fainter and a faint one."""
    data = tmp_path_factory.mktemp("data")
    octa, liver = np.full((34, 64, 64), 10, np.uint8), np.full((26, 64, 64), 100, np.uint16)
    octa[:, 30:34] = 200
    liver[:, 10:15] = 4000
    liver[:, 30:34] = 2500
    liver[:, 48:51] = 400
    for path, volume in (
        ("tubenet_sample/OCTA-Data.tif", octa),
        ("vesselexpress_liver/images/Raw_liver_1.tiff", liver),
    ):
        (data / path).parent.mkdir(parents=True)
        tifffile.imwrite(data / path, volume)
    rng = np.random.default_rng(0)
    return Sources(
        data, [rng.integers(0, 255, (64, 64), np.uint8)], [rng.integers(0, 255, (70, 64), np.uint8)], phantoms=3
    )


def test_half_of_each_volume_is_read_and_inverted(sources: Sources) -> None:
    counts = {name: len(frames) for name, frames in sources.by_name.items()}
    assert counts == {"angiograms": 1, "retina": 1, "octa": 32, "liver": 25, "phantoms": 3}
    assert len(sources.frames) == sum(counts.values()) + 1 + 32 + 25
    assert sources.by_name["octa"][0][31, 5] == 0
    assert sources.by_name["octa"][0][5, 5] == 190


def test_each_source_has_its_teacher(sources: Sources, model: Model) -> None:
    default, fundus = load_model("default", "cpu"), load_model("fundus", "cpu")
    teach = sources.teacher(model, default, fundus)
    own = {"angiograms": (default, OF_ANGIOGRAMS), "retina": (fundus, OF_RETINA), "octa": (model, OF_VOLUMES)}
    for name, (teacher, config) in own.items():
        frame = sources.by_name[name][0]
        labels = soft_labels(mean_probability(frame, [teacher], config), config)
        np.testing.assert_array_equal(np.round((2 * teach(frame) - 1) * SOFT), labels)
        assert teach(frame) is teach(frame.copy())


def test_a_phantom_is_labelled_by_what_was_drawn(sources: Sources, model: Model) -> None:
    frame = sources.by_name["phantoms"][1]
    label = sources.teacher(model, model, model)(frame)
    assert set(np.unique(label)) == {0.0, 1.0}
    assert frame[label == 1].mean() < frame[label == 0].mean()


def test_three_vote_on_the_liver(sources: Sources, model: Model) -> None:
    frame = sources.by_name["liver"][0]
    label = sources.teacher(model, model, model)(frame)
    assert set(np.unique(np.round(3 * label))) <= {0, 1, 2, 3}
    middle = label[:, 20:44].mean(axis=1)
    assert (middle[[12, 32]] == 1).all()
    assert (middle[[4, 22, 40, 60]] == 0).all()
    alone = segment_probability(frame, model, bright=False) > 0.5
    assert alone[12, 20:44].all()
