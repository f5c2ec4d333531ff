"""Image files of all formats, intact and damaged, and checks of the images that are read from them."""

import io
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import imagecodecs
import imageio.v3 as iio
import numpy as np
import tifffile
import zarr
from hypothesis import strategies as st
from PIL import Image

from fuzzing.damage import Field, Seed, damaged, hostile_json, png_repaired
from fuzzing.guard import BrokenPropertyError
from napari_darl.io.arrays import ImageArray, ImageData
from napari_darl.io.images import FileImage, read_image, read_images
from napari_darl.io.lazy import open_lazily
from napari_darl.io.ome_tiff import ome_metadata
from napari_darl.io.output import write_frames

Files = dict[str, bytes]
"""File name -> content; the first file is the one to read."""

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (2, 40, 50), np.uint8)
DEEP = RNG.integers(0, 4096, (3, 40, 50), np.uint16)
COLOURS = RNG.integers(0, 256, (40, 50, 3), np.uint8)
SIGNED = DEEP[0].astype(np.int16) - 2048


_OF_FILES = ("byteorder", "bigtiff", "imagej", "ome")  # options of TIFFs, the others are of their pages


def _own_metadata(movie: np.ndarray) -> dict[str, Any]:
    """Return the metadata of an OME-TIFF as this program writes it."""
    image = ImageData(movie, axes="TYX", pixel_size=(0.3, 0.2), unit="mm", frame_time=40.0)
    return ome_metadata(Path("a.ome.tif"), image, movie.dtype, {"provenance": {}, "frame_time": 40.0})


@cache
def tiffs() -> list[Seed]:
    """Return TIFFs of most kinds, with the parts of each tag as fields."""
    palette = RNG.integers(0, 2**16, (3, 256), np.uint16)
    kinds: list[tuple[Any, dict[str, Any]]] = [
        (DEEP, {}),
        (DEEP, {"byteorder": ">", "compression": "zlib", "metadata": None}),
        (DEEP, {"imagej": True, "metadata": {"unit": "um"}, "resolution": (4, 2)}),
        (DEEP, {"bigtiff": True, "tile": (16, 16), "compression": "zlib", "predictor": True}),
        (DEEP.astype(np.float32), {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.3}}),
        (GREY[:1], {"ome": True, "metadata": _own_metadata(GREY[:1])}),
        (COLOURS, {"photometric": "rgb", "compression": "lzw"}),
        (COLOURS, {"photometric": "rgb", "compression": "jpeg"}),
        (GREY[0], {"photometric": "palette", "colormap": palette}),
        (GREY[0] > 100, {"photometric": "miniswhite", "rowsperstrip": 7, "compression": "packbits"}),
        (DEEP[0], {"byteorder": ">", "metadata": None}),
        (COLOURS, {"photometric": "ycbcr", "compression": "jpeg", "tile": (16, 16)}),
        (np.moveaxis(COLOURS, -1, 0), {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib"}),
        (SIGNED, {"photometric": "miniswhite", "metadata": {"axes": "YX"}, "ome": True}),
        (GREY, {"photometric": "minisblack", "compression": "zstd"}),
        (DEEP, {"photometric": "rgb", "planarconfig": "separate", "compression": "zlib"}),  # as napari saves frames
        (np.dstack([COLOURS, GREY[0]]), {"photometric": "rgb", "extrasamples": ["unassalpha"], "tile": (16, 16)}),
        (DEEP.astype(np.float16), {"compression": "zlib", "predictor": True}),
    ]
    pyramid = _tiff(DEEP[0], {"tile": (16, 16), "subifds": 1}, DEEP[0, ::2, ::2])
    return [*(_tiff(data, options) for data, options in kinds), pyramid, *_written_by_us()]


def _written_by_us() -> list[Seed]:
    """Return a movie and a volume as this program writes them, as TIFF and OME-TIFF."""
    known: dict[str, Any] = {"pixel_size": (0.3, 0.2), "unit": "mm"}
    movie = ImageData(DEEP, bits=12, axes="TYX", at_detector=True, frame_time=66.7, **known)
    volume = ImageData(GREY, axes="ZYX", slice_distance=0.5, **known)
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("movie.tif", "movie.ome.tif", "volume.ome.tif")]
        for path, image in zip(paths, (movie, movie, volume), strict=True):
            write_frames(path, image, provenance={"model": "default"})
        return [_seed(path.read_bytes()) for path in paths]


def _tiff(data: Any, options: dict[str, Any], *levels: Any) -> Seed:
    file = io.BytesIO()
    options = {"photometric": "minisblack"} | options
    with tifffile.TiffWriter(file, **{name: options.pop(name) for name in _OF_FILES if name in options}) as writer:
        writer.write(data, **options)
        for level in levels:
            writer.write(level, subfiletype=1)
    return _seed(file.getvalue())


def _seed(content: bytes) -> Seed:
    fields = [Field(4, 4)]
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        order = {"<": "little", ">": "big"}[tiff.byteorder]
        width = 8 if tiff.is_bigtiff else 4
        for page in tiff.pages:
            for tag in page.tags:  # type: ignore[union-attr]
                fields += [Field(tag.offset, 2, order), Field(tag.offset + 2, 2, order)]
                fields += [Field(tag.offset + 4, width, order), Field(tag.valueoffset, 4, order)] * 2
                fields += [Field(tag.valueoffset, 2, order)]
    return Seed(content, tuple(fields))


@cache
def pictures() -> list[tuple[str, Seed]]:
    """Return PNG, JPEG, BMP, GIF and PGM files, with the fields of their sizes and types."""
    found = []
    for data in (GREY[0], COLOURS, DEEP[0]):
        fields = [Field(16, 4, "big"), Field(20, 4, "big"), *(Field(at, 1) for at in range(24, 29))]
        found.append((".png", Seed(iio.imwrite("<bytes>", data, extension=".png"), tuple(fields))))
    for data in (GREY[0], COLOURS):
        jpeg = iio.imwrite("<bytes>", data, extension=".jpg")
        at = jpeg.index(b"\xff\xc0")
        fields = [Field(at + 5, 2, "big"), Field(at + 7, 2, "big"), Field(at + 1, 1), Field(at + 9, 1)]
        found.append((".jpg", Seed(jpeg, tuple(fields))))
        bmp = [Field(at, 4) for at in (2, 10, 14, 18, 22, 30, 34, 46)] + [Field(26, 2), Field(28, 2)]
        gif = [Field(6, 2), Field(8, 2), *(Field(at, 1) for at in (10, 11, 12))]
        found.append((".gif", Seed(iio.imwrite("<bytes>", data, extension=".gif"), tuple(gif))))
        found.append((".bmp", Seed(iio.imwrite("<bytes>", data, extension=".bmp"), tuple(bmp))))
    deep = [np.stack([DEEP[0]] * channels, axis=-1) for channels in (2, 3, 4)]
    palette = Image.fromarray(GREY[0]).convert("P", palette=Image.Palette.ADAPTIVE)
    bits = Image.fromarray(GREY[0]).convert("1")
    pngs = [*(imagecodecs.png_encode(frame) for frame in deep), _saved(palette, "PNG"), _saved(bits, "PNG")]
    found += [(".png", Seed(png, tuple(Field(at, 1) for at in range(16, 29)))) for png in pngs]
    found += [(".bmp", Seed(_saved(picture, "BMP"), tuple(bmp))) for picture in (palette, bits)]
    header = tuple(Field(at, 1) for at in range(14))
    found += [(".pgm", Seed(b"P5\n50 40\n255\n" + GREY[0].tobytes(), header))]
    found += [(".pgm", Seed(b"P5\n50 40\n4095\n" + DEEP[0].astype(">u2").tobytes(), header))]
    found += [(".ppm", Seed(b"P6\n50 40\n255\n" + COLOURS.tobytes(), header))]
    found += [(".pbm", Seed(_saved(bits, "PPM"), header))]
    return found


def _saved(picture: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


@st.composite
def tiff_cases(draw: st.DrawFn) -> Files:
    """Draw a damaged TIFF."""
    return {"a.tif": draw(damaged(draw(st.sampled_from(tiffs()))))}


@st.composite
def picture_cases(draw: st.DrawFn) -> Files:
    """Draw a damaged PNG, JPEG, BMP, GIF or PGM."""
    suffix, seed = draw(st.sampled_from(pictures()))
    data = draw(damaged(seed))
    return {f"a{suffix}": png_repaired(data) if suffix == ".png" and draw(st.booleans()) else data}


_SHAPES = ("(2, 40, 50)", "(0, 40)", "(-1, 40)", "()", "(5,)", "None", "(2**40, 2**40)", "(True, 40)", "(1.0, 4)")
_TYPES = (
    "<u1",
    "|O",
    ">f8",
    "<c16",
    "<U5",
    "<M8[s]",
    "|V8",
    "[('a', '<f4')]",
    "<f2",
    "x",
    "|b1",
    "<g",
    ",".join("f" * 99),
)


def npy(data: Any) -> bytes:
    """Return the content of an .npy file."""
    file = io.BytesIO()
    np.save(file, data)
    return file.getvalue()


@st.composite
def npy_cases(draw: st.DrawFn) -> Files:
    """Draw an .npy file that is damaged or has a hostile header."""
    if draw(st.booleans()):
        whole = npy(draw(st.sampled_from((GREY, DEEP, COLOURS, DEEP.astype(">f4")))))
        return {"a.npy": draw(damaged(Seed(whole, (Field(6, 1), Field(8, 2)))))}
    big = ", ".join(str(draw(st.sampled_from((1, 40, 2**20, 2**31, 2**62, 2**64, 10**40)))) for _ in range(3))
    shape = draw(st.sampled_from((*_SHAPES, f"({big})", f"({'1, ' * 70})", "(" * 300 + ")" * 300)))
    kind = draw(st.sampled_from(_TYPES))
    header = (
        f"{{'descr': {kind!r}, 'fortran_order': {draw(st.sampled_from((True, False, None, 7)))}, 'shape': {shape}, }}"
    )
    told = header.encode()
    return {"a.npy": b"\x93NUMPY\x01\x00" + len(told).to_bytes(2, "little") + told + bytes(draw(st.integers(0, 4000)))}


@cache
def zarrs() -> list[Files]:
    """Return zarr arrays and an OME-Zarr image in both versions of the format."""
    from zarr.storage import MemoryStore

    found = []
    for version in (2, 3):
        for options in ({}, {"compressors": None}, {"shards": (1, 40, 60)} if version == 3 else {"filters": None}):
            store = MemoryStore()
            group = zarr.open_group(store, mode="w", zarr_format=version)
            array = group.create_array("0", shape=DEEP.shape, chunks=(1, 20, 20), dtype=DEEP.dtype, **options)
            array[:] = DEEP
            axes = [{"name": "t"}, *({"name": name, "unit": "micrometer"} for name in "yx")]
            scale = {"type": "scale", "scale": [1.0, 0.5, 0.25]}
            told = {"multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}]}
            group.attrs.update({"ome": {"version": "0.5", **told}} if version == 3 else told)
            found.append({name: value.to_bytes() for name, value in store._store_dict.items()})
    store = MemoryStore()
    zarr.create_array(store, data=COLOURS)
    found.append({name: value.to_bytes() for name, value in store._store_dict.items()})
    return found


@st.composite
def zarr_cases(draw: st.DrawFn) -> Files:
    """Draw a zarr group with hostile or damaged metadata or chunks."""
    files = dict(draw(st.sampled_from(zarrs())))
    metadata = [name for name in files if name.rsplit("/")[-1] in ("zarr.json", ".zarray", ".zattrs", ".zgroup")]
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from([*metadata * 8, *files]))
        if name in metadata and draw(st.integers(0, 4)):
            files[name] = draw(hostile_json(json.loads(zarrs_document(name, files)), 2)).encode(
                "utf-8", "surrogatepass"
            )
        else:
            files[name] = draw(damaged(Seed(files[name] or b"\0", (Field(0, 4), Field(4, 4), Field(8, 4)))))
    return {f"a.zarr/{name}": content for name, content in files.items()}


def zarrs_document(name: str, files: Files) -> bytes:
    """Return metadata as they are, or intact ones if they were damaged before."""
    try:
        json.loads(files[name])
        return files[name]
    except (ValueError, RecursionError):
        return b'{"zarr_format": 3, "node_type": "array", "attributes": {}}'


def check_image_file(image: FileImage) -> None:
    """Check that an image is what its reader promises."""
    data = image.data
    if (
        data.ndim < (3 if image.rgb else 2)
        or data.size == 0
        or data.dtype.kind not in "buif"
        or not data.dtype.isnative
    ):
        raise BrokenPropertyError(f"no image: {data.shape} {data.dtype}")
    if image.rgb and data.shape[-1] != 3:
        raise BrokenPropertyError(f"no colours: {data.shape}")
    if image.bits is not None and not 1 <= image.bits < data.dtype.itemsize * 8:
        raise BrokenPropertyError(f"{image.bits} bits of {data.dtype}")
    check_pixel_size(image.pixel_size, image.unit)


def check_pixel_size(size: tuple[float, float] | None, unit: str | None) -> None:
    """Check that a pixel size has two positive lengths and a unit, or is missing."""
    if (size is None) != (unit is None):
        raise BrokenPropertyError(f"{size} without a unit, or {unit} without lengths")
    if size is not None and not (len(size) == 2 and all(0 < length < np.inf for length in size)):
        raise BrokenPropertyError(f"a pixel of {size}")
    if unit is not None and (not isinstance(unit, str) or not unit.strip()):
        raise BrokenPropertyError(f"a unit of {unit!r}")


def read(path: Path) -> list[FileImage]:
    """Read a whole image, as one image and as a stack."""
    images = read_images(path)
    for image in images:
        check_image_file(image)
    check_image_file(read_image(path))
    return images


def read_lazily(path: Path) -> ImageData[ImageArray]:
    """Open an image lazily, and read its first corner."""
    image: ImageData[ImageArray] = open_lazily(path)
    check_pixel_size(image.pixel_size, image.unit)
    shape = image.data.shape
    if image.data.dtype.kind not in "buif" or len(shape) < 2 or not all(isinstance(length, int) for length in shape):
        raise BrokenPropertyError(f"no image: {shape} {image.data.dtype}")
    frame = (0,) * (len(shape) - (3 if image.rgb else 2))
    if 0 not in shape:
        corner = np.asarray(image.data[(*frame, slice(0, 40), slice(0, 40))])
        wanted = (min(shape[len(frame)], 40), min(shape[len(frame) + 1], 40), *shape[len(frame) + 2 :])
        if corner.shape != wanted or corner.dtype != image.data.dtype:
            raise BrokenPropertyError(f"a part of {corner.shape} {corner.dtype}, not {wanted} {image.data.dtype}")
    return image
