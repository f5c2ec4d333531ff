"""Defects that fuzzing found in image readers, and attacks: huge claims, code, names outside a folder, odd values.

Each file is refused with a message, before memory is allocated for what it claims.
"""

import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import tifffile
import zarr
from dicom_files import dataset, saved
from fuzzing.damage import png_repaired
from fuzzing.guard import BrokenPropertyError, accepts, refused
from fuzzing.models import FRAME, Attack
from PIL import Image

from napari_darl import segment_probability
from napari_darl.errors import DarlWarning, FileError
from napari_darl.inference.loading import Model
from napari_darl.inference.windows import Windows
from napari_darl.io.bounded import BoundedFile
from napari_darl.io.dicom import read_dicom
from napari_darl.io.images import read_image
from napari_darl.io.lazy import ZarrPixels, open_lazily
from napari_darl.io.size_limits import MAX_RATIO

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (64, 64), np.uint8)


def test_the_guard_itself() -> None:
    assert accepts(lambda: None)
    for call in (lambda: 1 / 0, lambda: np.empty(2**30, np.uint8), lambda: np.float32(1e38) * np.float32(10)):
        with pytest.raises(BrokenPropertyError):
            accepts(call)

    def leaks() -> None:
        raise FileError("It is Erika's: choose another.")

    with pytest.raises(BrokenPropertyError):
        accepts(leaks, secrets=("Erika",))


def test_a_file_is_never_asked_for_more_than_it_has(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    with BoundedFile(tmp_path / "a") as file:
        assert (file.read(2), file.read(2**60), file.read(), file.read(7)) == (b"12", b"345", b"", b"")
        file.seek(1)
        assert file.read(None) == b"2345"


def tiff_of(path: Path, options: dict[str, Any], **tags: int) -> Path:
    tifffile.imwrite(path, GREY, metadata=None, photometric="minisblack", **options)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for name, value in tags.items():
            tiff.pages.first.tags[name].overwrite(value, dtype=4)
    return path


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "packbits"])
def test_compressed_tiffs_that_claim_too_much(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "a.tif"
    tiff_of(path, {"compression": compression}, ImageLength=60_000, ImageWidth=60_000, RowsPerStrip=60_000)
    refused(lambda: read_image(path), "cut short")
    blank = np.zeros((4000, 4000), np.uint8)  # as much as pixels can shrink
    tifffile.imwrite(path, blank, compression=compression)
    assert read_image(path).data.shape == blank.shape


def test_lengths_that_no_image_has(tmp_path: Path) -> None:
    path = tiff_of(tmp_path / "a.tif", {})
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags["ImageWidth"].overwrite(63.5, dtype="f")
    refused(lambda: open_lazily(path), "no image has the shape")
    zarr.create_array(tmp_path / "a.zarr", shape=(2**40, 2**40), chunks=(64, 64), dtype="u1")
    refused(lambda: open_lazily(tmp_path / "a.zarr"), "no image has the shape")


@pytest.mark.parametrize("bigtiff", [False, True])
def test_pages_that_go_in_circles(tmp_path: Path, bigtiff: bool) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([GREY] * 3), metadata=None, photometric="minisblack", bigtiff=bigtiff)
    with tifffile.TiffFile(path) as tiff:
        first, last, layout = tiff.pages[1].offset, tiff.pages[2].offset, tiff.tiff
        count = len(tiff.pages[2].tags)
    data = bytearray(path.read_bytes())
    at = last + layout.tagnosize + count * layout.tagsize
    data[at : at + layout.offsetsize] = first.to_bytes(layout.offsetsize, "little")
    path.write_bytes(data)
    for reader in (read_image, open_lazily):
        refused(lambda reader=reader: reader(path), "go in circles")  # type: ignore[misc]


def test_tiles_that_unpack_to_more_than_their_page(tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs")
    path = tiff_of(tmp_path / "a.tif", {"compression": "jpeg"})
    assert read_image(path).data.shape == GREY.shape
    data = bytearray(path.read_bytes())
    at = data.rindex(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xff\xdc\xff\xdc"
    path.write_bytes(data)
    refused(lambda: read_image(path), "a tile of 65500 x 65500 pixels")


def test_pictures_that_claim_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(GREY).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (8).to_bytes(4, "big") + (20_000_000).to_bytes(4, "big")
    path.write_bytes(png_repaired(bytes(data)))
    refused(lambda: read_image(path), "cut short")
    data[16:24] = (2**31 - 1).to_bytes(4, "big") * 2
    path.write_bytes(png_repaired(bytes(data)))
    refused(lambda: read_image(path), "too many pixels")
    data = bytearray(path.read_bytes())
    data[33:37] = (2**31 - 1).to_bytes(4, "big")
    path.write_bytes(data)
    refused(lambda: read_image(path), r"a\.png")
    Image.fromarray(np.zeros((4000, 4000), np.uint8)).save(path)  # as much as pixels can shrink
    assert read_image(path).data.shape == (4000, 4000)


@pytest.mark.parametrize("name", ["mask.tif", "mask.png"])
def test_masks_with_next_to_nothing_in_them(tmp_path: Path, name: str) -> None:
    mask = np.zeros((4000, 4000), bool)
    mask[100, 100:500] = True
    if name == "mask.tif":
        tifffile.imwrite(tmp_path / name, mask.view(np.uint8), compression="zstd", tile=(1024, 1024))
    else:
        Image.fromarray(mask).save(tmp_path / name)
    assert mask.size > MAX_RATIO * (tmp_path / name).stat().st_size
    found = read_image(tmp_path / name).data
    assert found.shape == mask.shape
    assert np.count_nonzero(found) == 400


def test_arrays_that_claim_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x03\x00" + (2**31).to_bytes(4, "little") + b"{'descr': '<u2'")
    refused(lambda: read_image(path), "cut short")
    for shape in ("(4294967296, 4294967296)", "(1099511627776,)", "(-1, 64)"):
        header = f"{{'descr': '<u2', 'fortran_order': False, 'shape': {shape}, }}".encode()
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(100))
        refused(lambda: read_image(path), "cut short")
    np.save(path, np.zeros((64, 64), ",".join(["f4"] * 99)))
    refused(lambda: read_image(path), "no image")


def test_dicom_lengths_that_claim_too_much(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.dcm", dataset(GREY))
    whole = path.read_bytes()
    for old in (b"\x02\x00\x10\x00UI", b"\x28\x00\x10\x00US"):
        at = whole.index(old) + 4
        path.write_bytes(whole[:at] + b"OB\0\0\xff\xff\xff\x7f" + whole[at + 8 :])
        refused(lambda: read_dicom(path), r"a\.dcm")
    refused(lambda: read_dicom(saved(path, dataset(GREY, BitsAllocated=19640))), "is damaged")


def zarr_of(folder: Path, **metadata: Any) -> Path:
    """Write a zarr array (version 2) with one chunk; `metadata` replaces entries of its metadata."""
    told = {"zarr_format": 2, "shape": [64, 64], "chunks": [64, 64], "dtype": "|u1", "order": "C", "fill_value": 0}
    folder.mkdir()
    (folder / ".zarray").write_text(json.dumps(told | {"compressor": None, "filters": None} | metadata))
    (folder / "0.0").write_bytes(GREY.tobytes())
    return folder


def test_zarr_of_objects_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kinds: list[dict[str, Any]] = [
        {"compressor": {"id": "pickle"}},
        {"filters": [{"id": "pickle"}]},
        {"dtype": "|O", "filters": [{"id": "pickle"}]},
        {"dtype": "|O", "filters": [{"id": "vlen-bytes"}, {"id": "pickle"}]},
    ]
    for number, kind in enumerate(kinds):
        path = zarr_of(tmp_path / f"{number}.zarr", **kind)
        (path / "0.0").write_bytes(pickle.dumps(Attack()))
        refused(lambda path=path: open_lazily(path).data[:], "zarr")  # type: ignore[misc]
    assert not Path("executed").exists()


def test_zarr_with_a_codec_that_unpickles_is_refused_by_us_too(tmp_path: Path) -> None:
    class Codec:
        codec_id = "pickle"

    array = zarr.open_array(zarr_of(tmp_path / "a.zarr"), mode="r")

    class Lenient:
        shape, dtype, chunks, filters, compressors = array.shape, array.dtype, array.chunks, (), (Codec(),)

    refused(lambda: ZarrPixels(tmp_path, Lenient()), "Python objects")


def test_damaged_zarr(tmp_path: Path, untrained: Model) -> None:
    refused(lambda: open_lazily(zarr_of(tmp_path / "huge.zarr", chunks=[2**40, 2**40])), "chunks of")
    refused(lambda: open_lazily(zarr_of(tmp_path / "text.zarr", dtype="<U8", fill_value="")), "no image")
    packed = zarr_of(tmp_path / "packed.zarr", compressor={"id": "zlib", "level": 1})
    refused(lambda: open_lazily(packed).data[:], "can't be read as zarr")
    refused(lambda: Windows(open_lazily(packed).data, untrained).context(()), "can't be read as zarr")
    short = zarr_of(tmp_path / "short.zarr")
    (short / "0.0").write_bytes(b"short")
    refused(lambda: open_lazily(short).data[:], "can't be read as zarr")


def test_remarks_of_zarr_on_metadata_are_not_shown(tmp_path: Path) -> None:
    image = tmp_path / "image.zarr"
    zarr.open_group(image, mode="w", zarr_format=2).attrs["multiscales"] = [{"datasets": [{"path": "0"}]}]
    zarr_of(image / "0", filters=[])  # zarr: "This is contrary to the Zarr V2 specification"
    with warnings.catch_warnings(action="error"):
        assert open_lazily(image / "0").data.shape == open_lazily(image).data.shape == (64, 64)


def test_names_that_lead_out_of_a_folder(tmp_path: Path) -> None:
    outside = zarr_of(tmp_path / "outside.zarr")
    inside = zarr.open_group(tmp_path / "deep" / "group.zarr", mode="w")
    for way in ("../../outside.zarr", str(outside), "..\\..\\outside.zarr", "a/../../../outside.zarr"):
        inside.attrs["multiscales"] = [{"datasets": [{"path": way}]}]
        refused(lambda: open_lazily(tmp_path / "deep" / "group.zarr"), "can't be read as zarr")


def test_shards_whose_index_asks_for_too_much(tmp_path: Path) -> None:
    crc32c = pytest.importorskip("google_crc32c").value  # zarr brings it, from 3.1 on
    path = tmp_path / "a.zarr"
    array = zarr.create_array(path, shape=(40, 60), chunks=(20, 20), shards=(40, 60), dtype="u2")
    array[:] = np.arange(40 * 60).reshape(40, 60)
    np.testing.assert_array_equal(open_lazily(path).data[20:, :30], array[20:, :30])
    shard = path / "c" / "0" / "0"
    data = bytearray(shard.read_bytes())
    at = len(data) - 4 - 6 * 16  # of the index: offset and length of each chunk, and a checksum
    data[at + 8 : at + 16] = (2**40).to_bytes(8, "little")
    data[-4:] = crc32c(bytes(data[at:-4])).to_bytes(4, "little")
    shard.write_bytes(data)
    refused(lambda: open_lazily(path).data[:, :30], "can't be read as zarr")


def test_a_pixel_of_zarr_has_a_size_or_none(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("0", shape=(64, 64), dtype="u1")
    for scale in ([-1.0, 1.0], [0, 1], ["a", 1], [1e999, 1]):
        axes = [{"unit": "micrometer"}] * 2
        transformation = {"type": "scale", "scale": scale}
        level = {"path": "0", "coordinateTransformations": [transformation]}
        group.attrs["multiscales"] = [{"axes": axes, "datasets": [level]}]
        image = open_lazily(tmp_path / "a.zarr")
        assert (image.pixel_size, image.unit, image.axes) == (None, None, None)


def test_a_frame_of_infinity_in_a_stack(untrained: Model) -> None:
    stack = np.stack([FRAME, FRAME * 0 + np.inf])
    with pytest.warns(
        DarlWarning, match=r"frame \(1,\), and perhaps others, has 4,096 of 4,096 pixels without a value"
    ):
        found = segment_probability(stack, untrained, resize=1)
    assert found[0].any()
    assert not found[1].any()
    assert accepts(lambda: segment_probability(np.stack([FRAME, FRAME * 0]), untrained, resize=1))


def test_frames_at_the_ends_of_what_floats_hold(untrained: Model) -> None:
    frame = np.where(RNG.random((64, 64)) < 0.5, 1.7e308, -1.7e308)
    near = np.where(frame > 0, 1.0, -1.0)
    assert accepts(lambda: segment_probability(frame, untrained, resize=1))
    np.testing.assert_allclose(
        segment_probability(frame, untrained, resize=1), segment_probability(near, untrained, resize=1), atol=1e-6
    )


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (32, 32)}])
def test_pixels_cannot_lie_in_the_header_of_a_tiff(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, metadata=None, photometric="minisblack", **options)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tag = tiff.pages.first.tags["TileOffsets" if "tile" in options else "StripOffsets"]
        tag.overwrite((0, *tag.value[1:]))
    refused(lambda: read_image(path), "cut short")
    refused(lambda: open_lazily(path), "cut short")


@pytest.mark.parametrize(
    ("tag", "value", "options"),
    [
        ("TileByteCounts", (0, 1024, 1024, 1024), {}),  # a tile that lies somewhere and is empty
        ("TileByteCounts", (1023, 1024, 1024, 1024), {}),
        ("TileLength", 128, {"compression": "jpeg"}),  # half as many tiles as there are
        ("TileLength", 2**30, {"compression": "zlib"}),
        ("PlanarConfiguration", 8, {}),
    ],
)
def test_tiles_that_are_not_there_are_no_black_pixels(
    tmp_path: Path, tag: str, value: Any, options: dict[str, Any]
) -> None:
    path = tmp_path / "a.tif"
    extra = [("PlanarConfiguration", "H", 1, 1, True)] if tag == "PlanarConfiguration" else []
    options |= {"tile": (32, 32), "metadata": None, "photometric": "minisblack", "extratags": extra}
    tifffile.imwrite(path, GREY, **options)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags[tag].overwrite(value)
    for read in (read_image, open_lazily):
        refused(lambda read=read: read(path), "cut short|damaged|too large")  # type: ignore[misc]


def test_tiles_that_were_left_out_are_black(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, tile=(32, 32), metadata=None, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for name in ("TileOffsets", "TileByteCounts"):
            tag = tiff.pages.first.tags[name]
            tag.overwrite((*tag.value[:3], 0))
    wanted = GREY.copy()
    wanted[32:, 32:] = 0
    for pixels in (read_image(path).data, open_lazily(path).data[...]):
        np.testing.assert_array_equal(pixels, wanted)


@pytest.mark.parametrize("version", [2, 3])
def test_a_cut_chunk_of_blosc_is_never_filled_from_memory(tmp_path: Path, version: int) -> None:
    path = tmp_path / "a.zarr"
    codec = zarr.codecs.BloscCodec() if version == 3 else numcodecs.Blosc()
    zarr.create_array(str(path), data=GREY, chunks=(32, 32), zarr_format=version, compressors=codec)
    np.testing.assert_array_equal(open_lazily(path).data[...], GREY)
    chunk = path / ("c/1/1" if version == 3 else "1.1")
    chunk.write_bytes(chunk.read_bytes()[:-20])
    image = open_lazily(path)
    np.testing.assert_array_equal(image.data[:32, :32], GREY[:32, :32])
    refused(lambda: image.data[...], "cut short")
    chunk.write_bytes(b"\2\1\x21\1" + (2**30).to_bytes(4, "little") * 2 + (16).to_bytes(4, "little"))
    refused(lambda: open_lazily(path).data[...], "cut short")
