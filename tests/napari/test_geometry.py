import itertools
import json
from typing import Any

import dask.array as da
import numpy as np
import pytest
from geometries import anywhere

pytest.importorskip("napari")

from napari.layers import Image, Labels

from napari_darl._napari.geometry import geometry, geometry_from_json, geometry_to_json, pixel_size
from napari_darl.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")  # napari, of any rotation out of the plane


def placed(ndim: int) -> dict[str, Any]:
    return anywhere(*"tzyx"[-ndim:]) | {"units": ("mm", "um", "nm", "m")[-ndim:]}


FRAME = np.zeros((40, 50), np.uint8)
LAYERS = {
    "2-D": lambda: Image(FRAME, **placed(2)),
    "3-D": lambda: Image(np.zeros((5, 40, 50)), **placed(3)),
    "4-D": lambda: Image(np.zeros((2, 5, 40, 50)), **placed(4)),
    "rgb": lambda: Image(np.zeros((40, 50, 3), np.uint8), rgb=True, **placed(2)),
    "rgb stack": lambda: Image(np.zeros((5, 40, 50, 3), np.uint8), rgb=True, **placed(3)),
    "multiscale": lambda: Image([FRAME, FRAME[::2, ::2], FRAME[::4, ::4]], multiscale=True, **placed(2)),
    "lazy": lambda: Image(da.zeros((5, 40, 50), chunks=(1, 40, 50)), **placed(3)),
    "lazy multiscale": lambda: Image([da.zeros((5, 40, 50)), da.zeros((5, 20, 25))], multiscale=True, **placed(3)),
    "lower shear": lambda: Image(FRAME, **placed(2) | {"shear": [[1, 0], [0.4, 1]]}),
    "angle": lambda: Image(FRAME, **placed(2) | {"rotate": 30}),
    "angles": lambda: Image(np.zeros((5, 40, 50)), **placed(3) | {"rotate": (10, 20, 30)}),
    "plain": lambda: Image(FRAME),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_with_the_geometry_of_another_lies_over_it(kind):
    image = LAYERS[kind]()
    shape = (image.data[0] if image.multiscale else image.data).shape[: image.ndim]
    kept = geometry(image)
    labels = Labels(np.zeros(shape, np.uint8), **kept)
    for corner in itertools.product(*((-0.5, length - 0.5) for length in shape)):
        np.testing.assert_allclose(labels.data_to_world(corner), image.data_to_world(corner), rtol=0, atol=1e-9)
    assert labels.units == image.units
    assert labels.axis_labels == image.axis_labels
    np.testing.assert_allclose(labels.extent.world, image.extent.world)
    assert geometry(labels) == kept
    image.scale, image.affine, image.units = [2.0] * image.ndim, np.eye(image.ndim + 1), ["s"] * image.ndim
    assert geometry(labels) == kept


@pytest.mark.parametrize("kind", LAYERS)
def test_a_geometry_survives_json(kind):
    kept = geometry(LAYERS[kind]())
    written = json.dumps(geometry_to_json(kept), allow_nan=False)
    assert geometry_from_json(json.loads(written), len(kept["scale"])) == kept


def test_a_part_of_a_geometry_is_completed():
    whole = geometry_from_json({"scale": [0.5, 0.25], "units": ["pixel", "mm", "mm"], "opacity": 3}, 3)
    image = Image(np.zeros((5, 40, 50)), scale=(1, 0.5, 0.25), units=("pixel", "mm", "mm"))
    assert whole == geometry(image)


@pytest.mark.parametrize(
    "values",
    [
        None,
        3,
        {"scale": "x"},
        {"scale": [1, 1, 1]},
        {"scale": [0, 1]},
        {"scale": [float("nan"), 1]},
        {"translate": [1, float("inf")]},
        {"rotate": [[1, 2, 3]]},
        {"shear": 5},
        {"affine": [[0, 0, 0], [0, 0, 0], [0, 0, 1]]},
        {"units": ["mm", "furlonglong"]},
        {"axis_labels": ["y"]},
    ],
)
def test_invalid_geometry_is_refused(values):
    with pytest.raises(InputError, match="geometry of 2 dimensions"):
        geometry_from_json(values, 2)


def test_a_pixel_is_measured_in_the_world():
    turned = {"scale": (0.3, 0.2), "rotate": 30, "translate": (1e3, 0), "affine": 2 * np.eye(3), "units": ("mm", "um")}
    down, right = np.cos(np.pi / 6), np.sin(np.pi / 6)
    height = 2 * 0.3 * np.hypot(1000 * down, right)
    width = 2 * 0.2 * np.hypot(1000 * right, down)
    assert pixel_size(geometry(Image(FRAME, **turned))) == pytest.approx((height, width))
    stack = {"scale": (9, 0.3, 0.2), "units": ("s", "mm", "mm"), "rotate": (0, 0, 90)}
    assert pixel_size(geometry(Image(np.zeros((5, 40, 50)), **stack))) == pytest.approx((300, 200))
    assert pixel_size(geometry(Image(FRAME, scale=(0.3, 0.2)))) is None
    assert pixel_size(geometry(Image(FRAME, units=("mm", "pixel")))) is None
