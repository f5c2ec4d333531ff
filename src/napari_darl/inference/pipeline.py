"""Path A in use: from the stored pixels of a frame to the probability of vessel.

Every probability of this package is computed here, whether of a whole frame or of a window of one, in this order:

1. colours become grey, and pixels without a value are masked (`Pipeline.grey`);
2. what parts of a frame must know of the whole is looked up, such as the intensities that become -1 and 1
   (`Pipeline.context`, in `context`);
3. missing values are filled, and pixels are normalised, resized, cut into tiles, segmented by the network, put together
   and resized back (`Pipeline.__call__`, planned by `axes`).
"""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_darl.darl.config import ModelConfig
from napari_darl.darl.device import is_out_of_memory
from napari_darl.errors import DarlError, InputError
from napari_darl.frames.channels import to_grey
from napari_darl.frames.missing import missing_pixels
from napari_darl.frames.regions import EVERYTHING, Region
from napari_darl.inference.axes import Axis, Plan
from napari_darl.inference.context import Array, Context, Contexts, Window
from napari_darl.inference.loading import Model
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.parallel import each
from napari_darl.inference.predictor import Predictor
from napari_darl.inference.resampling import resample
from napari_darl.inference.scale import checked_resize
from napari_darl.inference.tiling import Tile, apply_tiled, tile_grid

Probability = npt.NDArray[np.float32]


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
    whole : Window
        A frame as a window.
    context : Contexts
        Looks up what parts of a frame must know of the whole.

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
        self.resize = checked_resize(options.resize, round(height * row_scale), width, config.side, config.reach)
        self.tile, self.overlap = _tiles(config, options.tile)
        bright = config.bright if options.bright is None else options.bright
        self.options = options.updated(resize=self.resize, tile=self.tile, bright=bright)
        self.whole = Window(slice(0, height), slice(0, width))
        self.predictor = Predictor(model.network, noise_level, interrupt, options.precision == "auto")
        self.context = Contexts(shape, config.normalisation, self.options, region)
        self._config = config
        self._rows = Axis(height, self.resize * row_scale, self.tile, self.overlap)
        self._columns = Axis(width, self.resize, self.tile, self.overlap)

    def grey(self, pixels: Array) -> Array:
        """Return the grey values of pixels as stored, (Y, X) or (Y, X, C): masked where a value is missing."""
        grey = to_grey(pixels, self.options.channel) if self.options.rgb else pixels
        missing = missing_pixels(grey)
        return np.ma.getdata(grey) if missing is None else np.ma.array(np.ma.getdata(grey), mask=missing)

    def source(self, window: Window) -> Window:
        """Return the part of a frame that a window is computed from."""
        return Window(self._rows.plan(window.rows).source, self._columns.plan(window.columns).source)

    def at_once(self) -> int:
        """Return how many whole frames make a batch."""
        height, width = self.whole.shape
        return self.predictor.at_once(round(height * width * (self._rows.resize * self._columns.resize)))

    def __call__(
        self,
        greys: Sequence[Array],
        contexts: Sequence[Context],
        window: Window,
        run: Callable[[Tensor, Tile], Tensor] | None = None,
    ) -> Probability:
        """Compute a window of each of several frames.

        Parameters
        ----------
        greys : sequence of numpy.ndarray, shape (Y, X)
            What `grey` returned for the pixels at `source(window)`.
        contexts : sequence of Context
            What `context` returned for each frame.
        window : Window
            The window.
        run : callable, optional
            Called instead of `predictor`, with a batch of tiles (N, 1, h, w) and where they lie; it may cache results.

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
        if not any(shown):
            return np.zeros((len(greys), *window.shape), np.float32)
        try:
            rows, columns = self._rows.plan(window.rows), self._columns.plan(window.columns)
            frames = self._network_input(greys, contexts, rows, columns)
            segmented = apply_tiled(
                run or (lambda tiles, _: self.predictor(tiles)),
                frames,
                tile_grid(rows.tiles, columns.tiles),
                self._config.stride,
                (rows.region.start, columns.region.start),
            )
            kept = segmented[:, 0, rows.kept, columns.kept].numpy()
            probability = resample(kept, rows.resize_back, columns.resize_back)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            height, width = window.shape
            raise DarlError(
                f"Memory ran out for {height} x {width} pixels resized by {self.resize}. Choose a smaller factor."
            ) from error
        probability = np.clip(probability, 0, 1) * np.array(shown, np.float32)[:, None, None]
        for frame, grey, context in zip(probability, greys, contexts, strict=True):
            if context.inside is not None:
                frame *= context.inside[window]
            if isinstance(grey, np.ma.MaskedArray):
                frame[np.ma.getmaskarray(grey)[window.within(self.source(window))]] = 0
        return probability

    def network_input(self, greys: Sequence[Array], contexts: Sequence[Context], window: Window) -> Tensor:
        """Return what the network sees of a window of frames: float32 (N, 1, h, w) in [-1, 1], or noised.

        Parameters are those of a call.
        """
        return self._network_input(greys, contexts, self._rows.plan(window.rows), self._columns.plan(window.columns))

    def _network_input(self, greys: Sequence[Array], contexts: Sequence[Context], rows: Plan, columns: Plan) -> Tensor:
        """Return what the network sees of the frames: float32 (N, 1, h, w) in [-1, 1], or noised."""
        source = Window(rows.source, columns.source)

        def encoded(frame: tuple[Array, Context]) -> npt.NDArray[np.float32]:
            return self.context.encoded(*frame, source)

        frames = np.stack(each(encoded, zip(greys, contexts, strict=True), self.predictor.device))
        if not (rows.resize.is_identity and columns.resize.is_identity):
            frames = np.clip(resample(frames, rows.resize, columns.resize), -1, 1)
        tensor = torch.from_numpy(np.ascontiguousarray(frames))[:, None]
        level = self.predictor.noise_level
        if not level:
            return tensor
        # The same noise for every frame and call, so that results never differ by their draw.
        noise = np.random.default_rng(level).standard_normal((self._rows.resized, self._columns.resized), np.float32)
        schedule = copy.deepcopy(self.predictor.network.schedule).cpu()
        return schedule.add_noise(tensor, torch.tensor([level]), torch.from_numpy(noise[rows.region, columns.region]))


def _tiles(config: ModelConfig, tile: int | None) -> tuple[int, int]:
    """Return side and overlap of the tiles, in pixels: the model's, or those asked for."""
    if tile is None:
        return config.tile, config.overlap
    if tile < 64 or tile % config.stride:
        raise InputError(f"The tile is {tile} pixels. Choose a multiple of {config.stride}, of at least 64.")
    return tile, min(config.overlap, tile // 2)
