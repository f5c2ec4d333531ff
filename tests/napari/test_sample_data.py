"""The samples in File > Open Sample: layers with a name, a source and a licence, without importing torch."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

pytest.importorskip("napari")

from napari.layers import Image, Layer

from napari_darl._napari import samples
from napari_darl.samples import sample_path

SAMPLES: dict[Callable[[], list[samples.LayerData]], tuple[int, ...]] = {
    samples.angiogram: (512, 512),
    samples.phantom_movie: (24, 256, 256),
    samples.fundus: (960, 999, 3),
}


@pytest.mark.parametrize(("sample", "shape"), SAMPLES.items())
def test_each_sample_is_an_image_layer_with_its_source(
    sample: Callable[[], list[samples.LayerData]], shape: tuple[int, ...]
) -> None:
    layers = [Layer.create(*data) for data in sample()]
    assert len(layers) == 1
    layer = layers[0]
    assert isinstance(layer, Image)
    assert layer.data.shape == shape
    assert layer.data.dtype == np.uint8
    assert layer.rgb == (shape[-1] == 3)
    assert layer.rgb or layer.colormap.name == "gray"
    assert layer.name == sample.__name__.replace("_", " ")
    assert set(layer.metadata) == {"source", "licence"}


def test_sources_agree_with_the_attribution() -> None:
    attribution = (sample_path().parent / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for sample in (samples.angiogram, samples.fundus):
        metadata = sample()[0][1]["metadata"]
        for said in (metadata["source"], metadata["licence"]):
            assert f"<{said.split()[-1]}>" in attribution or f"({said.split()[-1]})" in attribution


def test_the_movie_is_the_same_each_time_and_fills_with_contrast() -> None:
    (movie, look, _), (again, _, _) = samples.phantom_movie() + samples.phantom_movie()
    np.testing.assert_array_equal(movie, again)
    assert look["axis_labels"] == ("t", "y", "x")
    filled = (gaussian_filter(movie[0] - movie.astype(float), (0, 1, 1)) > 25).mean(axis=(1, 2))
    assert filled[0] == 0
    assert filled[1] < 0.005
    assert filled[1] < filled[4] < filled[8]
    assert 0.01 < filled[-1] < 0.1


def test_no_sample_needs_torch() -> None:
    code = (
        "import sys; from napari_darl._napari import samples; "
        "samples.angiogram(), samples.phantom_movie(), samples.fundus(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"torch", "napari", "qtpy"} & set(done.stdout.split())
