"""The tab *Synthetic pairs*: what path B makes, and what path A finds in it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QWidget

from napari_darl._napari.inspecting import work
from napari_darl._napari.inspecting.tables import ResultTable
from napari_darl._napari.pickers import spin_box
from napari_darl._napari.stacks import StackPicker

if TYPE_CHECKING:
    import napari.viewer

    from napari_darl._napari.inspecting.work import JudgedPair, PairSettings

_SAMPLED = "none: sampled from noise"


class PairsTab(QWidget):
    """Asks which pairs are made, and lists them with their agreement."""

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        sampled = {_SAMPLED: f"The denoiser samples backgrounds of {work.SIDE} x {work.SIDE} pixels."}
        self.backgrounds = StackPicker(
            viewer, sampled, 0, "Frames into which path B draws vessels; best without contrast agent."
        )
        self.count = spin_box(1, 10_000, 8, "Number of pairs.")
        self.noise_level = spin_box(0, 1999, 0, "Timestep up to which backgrounds are noised; 0 adds no noise.")
        self.make = QPushButton("Make pairs")
        self.make.setToolTip("Makes synthetic angiograms with their masks, and segments them again.")
        self.chain = QPushButton("Show chain")
        self.chain.setToolTip("Shows as a stack how the denoiser makes a background from noise, step by step.")
        self.save = QPushButton("Save pairs...")
        self.save.setToolTip("Makes the pairs again, of all sizes, and saves them in a folder to train other networks.")
        self.table = ResultTable("pair", "Dice", "clDice", tip="The cycle masks against the pseudo-masks.")
        form = QFormLayout(self)
        form.addRow("backgrounds", self.backgrounds)
        form.addRow("pairs", self.count)
        form.addRow("noise level", self.noise_level)
        row = QHBoxLayout()
        for button in (self.make, self.save, self.chain):
            row.addWidget(button)
        form.addRow(row)
        form.addRow(self.table)

    def settings(self, model: str, device: str) -> "PairSettings":
        """Return how pairs are synthesised with a model."""
        reading = self.backgrounds.reading()
        return work.PairSettings(model, device, self.count.value(), self.noise_level.value(), reading)

    def command_options(self) -> dict[str, Any]:
        """Return the options of `napari-darl synthesize` that make the same pairs."""
        return {
            "output": "pairs",
            "count": self.count.value(),
            "backgrounds": None if self.backgrounds.chosen == _SAMPLED else self.backgrounds.source(),
            "noise_level": self.noise_level.value() or None,
        }

    def show_results(self, results: "Sequence[JudgedPair]") -> str:
        """List pairs, and return their mean agreement in words."""
        self.table.fill((result.dice, result.cldice) for result in results)
        self.table.selectRow(0)
        dice, cldice = (np.mean(values) for values in zip(*((r.dice, r.cldice) for r in results), strict=True))
        return (
            f"{len(results)} pairs: mean Dice {dice:.2f} and clDice {cldice:.2f} of the cycle masks against the "
            "pseudo-masks."
        )
