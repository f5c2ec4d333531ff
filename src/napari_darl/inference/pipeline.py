"""Path A in use: from the stored pixels of a frame to the probability of vessel.

Every probability of this package is computed here, whether of a whole frame or of a window of one, in this order:

1. colours become grey, and pixels without a value are masked (`Pipeline.grey`);
2. what parts of a frame must know of the whole is looked up, such as the intensities that become -1 and 1
   (`Pipeline.context`, in `context`);
3. cell by cell of the result, missing values are filled, and pixels are normalised, resized to a tile, segmented by the
   network and resized back (`Pipeline.__call__`, planned by `axes`).
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_darl.darl.config import ModelConfig
from napari_darl.darl.device import is_out_of_memory
from napari_darl.darl.model import with_odds
from napari_darl.errors import DarlError, InputError
from napari_darl.frames.channels import to_grey
from napari_darl.frames.missing import missing_pixels
from napari_darl.frames.regions import EVERYTHING, Region
from napari_darl.inference.axes import Axis, Cell
from napari_darl.inference.context import Array, Context, Contexts, Window
from napari_darl.inference.loading import Model
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.padding import pad_to_multiple
from napari_darl.inference.parallel import ahead, each
from napari_darl.inference.predictor import Predictor
from napari_darl.inference.resampling import Resampling, resample
from napari_darl.inference.scale import checked_resize

Probability = npt.NDArray[np.float32]

Progress = Callable[[int, int], None]
"""Called with the numbers of finished parts and of all parts; what it raises ends the work."""

# px. With this margin, masks made of tiles agree with those of whole frames (docs/scale.md); deeper networks need more.
_MARGIN = 64


class Pipeline:
    """Path A on the frames of one image, without its pixels.

    Parameters
    ----------
    shape : tuple of int
        Shape of the image without its channel axis, (..., Y, X).
    model : Model
        The model.
    options : SegmentOptions
        How to apply it. If `orthogonal`, the rows of the frames are slices of a volume, `slice_distance` px apart.
    noise_level : int
        Timestep t at which path A sees the frames; above 0 they are noised accordingly.
    region : Region
        The pixels that count.
    interrupt : callable, optional
        Called before each tile; what it raises ends the work.

    Attributes
    ----------
    options : SegmentOptions
        Those given, with `resize`, `tile` and `bright` decided.
    resize : float
        The factor by which frames are resized before the network.
    odds : float
        What the odds of the network's probability are multiplied by at this size (`Calibration.odds`).
    whole : Window
        A frame as a window.
    rows, columns : Axis
        How a frame is cut into cells.
    context : Contexts
        Looks up what parts of a frame must know of the whole.
    on_tiles : callable, optional
        Called with the number of tiles that have been computed since its last call; None at first.

    Raises
    ------
    InputError
        If the resize factor, the tile or the noise level isn't possible with these frames and this model.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        model: Model,
        options: SegmentOptions,
        *,
        noise_level: int = 0,
        region: Region = EVERYTHING,
        interrupt: Callable[[], None] | None = None,
    ) -> None:
        config = model.network.config
        height, width = shape[-2:]
        # Frames across the slices of a volume are also resized by the distance of their rows.
        row_scale = (options.slice_distance or 1.0) if options.orthogonal else 1.0
        if not 0 <= noise_level < config.schedule.steps:
            raise InputError(
                f"The noise level is {noise_level}. Choose a timestep from 0 to {config.schedule.steps - 1}."
            )
        self.resize = checked_resize(options.resize, round(height * row_scale), width, *config.pixel_size)
        self.tile, self.margin = _side_and_margin(config, options.tile)
        bright = config.bright if options.bright is None else options.bright
        self.options = options.updated(resize=self.resize, tile=self.tile, bright=bright)
        self.whole = Window(slice(0, height), slice(0, width))
        self.predictor = Predictor(model.network, noise_level, interrupt, options.precision == "auto")
        self.context = Contexts(shape, config.normalisation, self.options, region)
        self.on_tiles: Callable[[int], None] | None = None
        self._config = config
        self.odds = config.calibration.odds(self.resize)
        self.rows, self.columns = (
            Axis(length, resize, self.tile, self.margin, config.stride)
            for length, resize in ((height, self.resize * row_scale), (width, self.resize))
        )

    @property
    def tiles(self) -> int:
        """Number of tiles of a frame."""
        return self.rows.count * self.columns.count

    def grey(self, pixels: Array) -> Array:
        """Return the grey values of pixels as stored, (Y, X) or (Y, X, C): masked where a value is missing."""
        grey = to_grey(pixels, self.options.channel) if self.options.rgb else pixels
        missing = missing_pixels(grey)
        return np.ma.getdata(grey) if missing is None else np.ma.array(np.ma.getdata(grey), mask=missing)

    def source(self, window: Window) -> Window:
        """Return the part of a frame that a window is computed from."""
        return Window(self.rows.source(window.rows), self.columns.source(window.columns))

    def at_once(self) -> int:
        """Return how many whole frames make a batch."""
        height, width = self.whole.shape
        return self.predictor.at_once(round(height * width * (self.rows.resize * self.columns.resize)))

    def __call__(self, greys: Sequence[Array], contexts: Sequence[Context], window: Window) -> Probability:
        """Compute a window of each of several frames.

        Parameters
        ----------
        greys : sequence of numpy.ndarray, shape (Y, X)
            What `grey` returned for the pixels at `source(window)`.
        contexts : sequence of Context
            What `context` returned for each frame.
        window : Window
            The window.

        Returns
        -------
        numpy.ndarray of float32, shape (N, height, width)
            In [0, 1]; 0 in frames that show nothing, outside the region, and where a value is missing.

        Raises
        ------
        DarlError
            If memory runs out, or the network returns NaN.
        """
        shown = [context.low < context.high for context in contexts]
        probability = np.zeros((len(greys), *window.shape), np.float32)
        cells = list(product(self.rows.cells(window.rows), self.columns.cells(window.columns)))
        if not any(shown):
            self._computed(len(cells) * len(greys))
            return probability
        try:
            for rows, columns, tiles in self._tiles(greys, contexts, self.source(window), cells):
                found = self.predictor(tiles, (rows.needed, columns.needed))
                segmented = with_odds(found[:, 0, rows.kept, columns.kept], self.odds).numpy()
                place = Window(rows.pixels, columns.pixels).within(window)
                probability[:, *place] = resample(segmented, rows.resize_back, columns.resize_back)
                self._computed(len(greys))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            height, width = window.shape
            raise DarlError(
                f"Memory ran out for {height} x {width} pixels resized by {self.resize}. Choose a smaller factor."
            ) from error
        probability = np.clip(probability, 0, 1, out=probability) * np.array(shown, np.float32)[:, None, None]
        for frame, grey, context in zip(probability, greys, contexts, strict=True):
            if context.inside is not None:
                frame *= context.inside[window]
            if isinstance(grey, np.ma.MaskedArray):
                frame[np.ma.getmaskarray(grey)[window.within(self.source(window))]] = 0
        return probability

    def network_input(self, greys: Sequence[Array], contexts: Sequence[Context]) -> Tensor:
        """Return what the network sees of whole frames: float32 (N, 1, h, w) in [-1, 1], or noised.

        Parameters are those of a call.
        """
        return self._network_input(greys, contexts, self.rows.whole, self.columns.whole)

    def _computed(self, tiles: int) -> None:
        if self.on_tiles:
            self.on_tiles(tiles)

    def _tiles(
        self, greys: Sequence[Array], contexts: Sequence[Context], source: Window, cells: Sequence[tuple[Cell, Cell]]
    ) -> Iterator[tuple[Cell, Cell, Tensor]]:
        """Yield cells, along y and x, with their tiles, made of what was read at `source`; the next are made ahead."""

        def made(rows: Cell, columns: Cell) -> tuple[Cell, Cell, Tensor]:
            part = Window(rows.source, columns.source).within(source)
            tiles = self._network_input([grey[part] for grey in greys], contexts, rows.resize, columns.resize)
            return rows, columns, pad_to_multiple(tiles, self._config.stride)

        found = (made(*cell) for cell in cells)
        return ahead(found) if len(cells) > 1 else found

    def _network_input(
        self, greys: Sequence[Array], contexts: Sequence[Context], rows: Resampling, columns: Resampling
    ) -> Tensor:
        """Return what the network sees of a part of frames: float32 (N, 1, h, w) in [-1, 1], or noised."""
        source = Window(rows.source, columns.source)

        def encoded(frame: tuple[Array, Context]) -> npt.NDArray[np.float32]:
            return self.context.encoded(*frame, source)

        frames = np.stack(each(encoded, zip(greys, contexts, strict=True), self.predictor.device))
        if not (rows.is_identity and columns.is_identity):
            frames = np.clip(resample(frames, rows, columns), -1, 1)
        tensor = torch.from_numpy(np.ascontiguousarray(frames))[:, None]
        level = self.predictor.noise_level
        if not level:
            return tensor
        # The same noise for every frame and call, so that results never differ by their draw.
        noise = np.random.default_rng(level).standard_normal((self.rows.resized, self.columns.resized), np.float32)
        schedule = copy.deepcopy(self.predictor.network.schedule).cpu()
        part = noise[rows.start : rows.stop, columns.start : columns.stop]
        return schedule.add_noise(tensor, torch.tensor([level]), torch.from_numpy(part))


@contextmanager
def reported(frames: Sequence[tuple[Pipeline, int]], progress: Progress | None) -> Iterator[None]:
    """Report the tiles that pipelines compute, each of a number of frames: finished ones and all."""
    total, done = sum(pipeline.tiles * count for pipeline, count in frames), 0

    def report(tiles: int) -> None:
        nonlocal done
        done += tiles
        if progress:
            progress(done, total)

    for pipeline, _ in frames:
        pipeline.on_tiles = report
    try:
        yield
    finally:
        for pipeline, _ in frames:
            pipeline.on_tiles = None


def _side_and_margin(config: ModelConfig, tile: int | None) -> tuple[int, int]:
    """Return side and margin of the tiles, in pixels: the model's, or those that suit the side asked for."""
    if tile is not None and (tile < 64 or tile % config.stride):
        raise InputError(f"The tile is {tile} pixels. Choose a multiple of {config.stride}, of at least 64.")
    side = config.tile if tile is None else tile
    enough = config.overlap // 2 if config.phases == "batch" else max(_MARGIN, 3 * config.stride)
    margin = min(config.overlap // 2, enough, side // 4)
    return side, margin // config.stride * config.stride or margin
