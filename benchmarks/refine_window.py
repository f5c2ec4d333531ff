"""How late napari's window is while the Segment widget refines a model; needs a display.

    xvfb-run -a python benchmarks/refine_window.py

A timer of 10 ms runs in the window's thread, first without work, then while `default` is refined with two corrected
frames of 512 x 512 out of six, until the refined masks are on the screen or the original is kept. Prints how late it
was, in ms: median, 99th percentile, worst.
"""

import napari
import numpy as np
from lateness import idle, lateness_row, lateness_table, wait, watched

from napari_darl.samples import sample_angiogram

FRAMES, CORRECTED = 6, 2
ERASED = slice(100, 260)  # rows, in which vessels count as wrong


def main() -> None:
    frames = np.stack([np.rot90(sample_angiogram(), turn) for turn in range(FRAMES)])
    viewer = napari.Viewer()
    viewer.add_image(frames, name="angiograms")
    _, widget = viewer.window.add_plugin_dock_widget("napari-darl", "Segment vessels")
    idle(3)
    widget.segment()
    wait(lambda: len(viewer.layers) == 2 and not viewer.window._task_status_manager.is_busy())
    mask = viewer.layers[1]
    for number in range(CORRECTED):
        viewer.dims.set_current_step(0, number)
        mask.data[number, ERASED] = 0
        widget.refine.finished.click()
    idle(3)
    with watched() as quiet:
        idle(10)
    with watched() as busy:
        widget.refine.button.click()
        spent = wait(lambda: widget.refine.button.text() == "Refine")
        idle(0.5)
    print(lateness_table([lateness_row("no work", quiet), lateness_row("refining", busy)]))
    print(f"\nRefining took {spent:.0f} s. {widget.refine.state.text()}")
    viewer.close()


if __name__ == "__main__":
    main()
