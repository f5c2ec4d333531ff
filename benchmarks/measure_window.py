"""How late napari's window is while the Measure widget measures a movie; needs a display.

    xvfb-run -a python benchmarks/measure_window.py

A timer of 10 ms runs in the window's thread, first without work, then while the masks of 100 frames of 512 x 512 are
measured, until the paths of the first one are on the screen. Prints how late it was, in ms: median, 99th percentile,
worst.
"""

import napari
import numpy as np
from lateness import idle, lateness_row, lateness_table, wait, watched

import napari_darl
from napari_darl.samples import sample_angiogram

FRAMES = 100


def main() -> None:
    mask = napari_darl.segment(sample_angiogram())
    movie = np.stack([np.roll(mask, number, axis=1) for number in range(FRAMES)])
    viewer = napari.Viewer()
    viewer.add_labels(movie, name="movie")
    _, widget = viewer.window.add_plugin_dock_widget("napari-darl", "Measure vessels")
    idle(3)
    with watched() as quiet:
        idle(10)
    with watched() as busy:
        widget.measure()
        spent = wait(lambda: widget.measurement is not None)
        idle(0.5)
    viewer.close()
    print(lateness_table([lateness_row("no work", quiet), lateness_row("measuring", busy)]))
    print(f"\n{FRAMES} frames took {spent:.0f} s.")


if __name__ == "__main__":
    main()
