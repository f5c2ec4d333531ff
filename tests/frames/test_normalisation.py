"""The scale on which the networks see intensities."""

import numpy as np

from napari_darl.frames.normalisation import Normalisation, decode, encode


def test_glow_takes_the_logarithm_of_the_brightness() -> None:
    dark, glow = (Normalisation(kind="percentiles", log_offset=0.15, glow=glow) for glow in (False, True))
    frame = np.linspace(-1, 1, 21, dtype=np.float32)
    np.testing.assert_allclose(encode(frame, glow), -encode(-frame, dark), atol=1e-6)
    np.testing.assert_allclose(decode(encode(frame, glow), glow), frame, atol=1e-5)
