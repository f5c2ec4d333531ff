"""The scale on which the networks see intensities."""

import numpy as np
import pytest

from napari_darl.frames.normalisation import Normalisation, decode, encode, intensity_range


def test_glow_takes_the_logarithm_of_the_brightness() -> None:
    dark, glow = (Normalisation(kind="percentiles", log_offset=0.15, glow=glow) for glow in (False, True))
    frame = np.linspace(-1, 1, 21, dtype=np.float32)
    np.testing.assert_allclose(encode(frame, glow), -encode(-frame, dark), atol=1e-6)
    np.testing.assert_allclose(decode(encode(frame, glow), glow), frame, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32])
def test_the_range_lies_between_the_percentiles_of_numpy(dtype: type) -> None:
    values = np.random.default_rng(0).normal(40, 15, (97, 103)).clip(0, 100).astype(dtype)
    for low, high in ((0.1, 99.9), (0, 100), (2.5, 70)):
        found = intensity_range(values, Normalisation(kind="percentiles", low=low, high=high))
        assert found == pytest.approx(np.percentile(values.astype(float), [low, high]), rel=1e-12)
