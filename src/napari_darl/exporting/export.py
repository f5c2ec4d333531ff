"""Export a model for programs that don't have this package."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_args

from napari_darl.errors import FileError, InputError
from napari_darl.exporting.facts import facts_of
from napari_darl.exporting.graph import INPUT, OPSET, OUTPUT, on_cpu, onnx_graph
from napari_darl.exporting.package import write_package
from napari_darl.inference.loading import Model, as_model, card_of
from napari_darl.io.atomic import replacing

Format = Literal["onnx", "bioimageio"]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "bioimageio": ".zip"}
"""Format -> how the file's name ends."""


def export_model(
    model: Model | str | Path | None,
    path: str | Path,
    format: Format = "onnx",
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Export path A at t = 0, which segments a frame in one step, for programs that don't have this package.

    - `onnx`: a graph of float32 (N, 1, H, W) in [-1, 1], H and W multiples of the stride, to the probability of vessel
      of the same shape. A JSON file beside it, of the same name with `.json` at the end, says how frames are brought
      there: normalisation, polarity, side, stride and threshold. It also holds the hashes and the model's card.
    - `bioimageio`: a package for the BioImage Model Zoo and its programs, with a graph that takes intensities.
      Programs stretch them first, as the package says. Frames have to have the pixel size of the training.

    The graph is run once and compared with the model before it is written.

    Parameters
    ----------
    model : Model, str or Path, optional
        What `load_model` returned or takes; by default the bundled model `default`.
    path : str or Path
        The file to write, named `.onnx` or `.zip`; missing folders are created.
    format : {"onnx", "bioimageio"}
        What to write.
    overwrite : bool
        Whether existing files may be replaced.

    Returns
    -------
    list of Path
        The written files.

    Raises
    ------
    InputError
        If there is no such model or format, the name has another suffix, or the extra `export` isn't installed.
    FileError
        If a file exists already, or can't be written.
    DarlError
        If the graph's values differ from the model's by more than 1e-4.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from napari_darl import export_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in export_model("default", Path(folder) / "default.onnx")]
    ['default.onnx', 'default.onnx.json']
    """
    path = Path(path)
    if format not in get_args(Format):
        raise InputError(f"The format is {format!r}. Choose one of {', '.join(get_args(Format))}.")
    if path.suffix != SUFFIXES[format]:
        raise InputError(f"{path} doesn't end in {SUFFIXES[format]}. Choose a name that does.")
    beside = [path.with_name(f"{path.name}.json")] if format == "onnx" else []
    for file in (path, *beside):
        if file.is_dir():
            raise FileError(f"{file} is a folder. Choose the name of a file.")
        if file.exists() and not overwrite:
            raise FileError(f"{file} exists already. Choose another name, or pass --overwrite (overwrite=True).")
    loaded = as_model(model, "cpu")
    network = on_cpu(loaded.network)
    if format == "bioimageio":
        write_package(path, loaded, network, overwrite=overwrite)
        return [path]
    graph = onnx_graph(network, network.config.stride)
    described = json.dumps(
        {
            **facts_of(loaded),
            "graph": path.name,
            "graph_sha256": sha256(graph).hexdigest(),
            "opset": OPSET,
            "input": INPUT,
            "output": OUTPUT,
            "card": card_of(loaded),
        },
        indent=1,
    )
    for file, content in zip((*beside, path), (described.encode(), graph), strict=True):
        with replacing(file, overwrite=overwrite) as opened:
            opened.write(content)
    return [path, *beside]
