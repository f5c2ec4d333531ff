"""Files of microscopes: real CZI files, written by Zeiss's own library, whole and damaged."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_darl import FileError, cli, open_image, segment
from napari_darl.frames.channels import as_grey
from napari_darl.frames.stacks import read_stack
from napari_darl.io import microscopes
from napari_darl.io.images import read_images
from napari_darl.io.output import read_provenance
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[:96, :112]


@pytest.fixture
def czi() -> object:
    """Zeiss's library; the extra `formats` brings it along."""
    pytest.importorskip("bioio", reason="napari-darl[formats] isn't installed")
    return pytest.importorskip("pylibCZIrw.czi", reason="napari-darl[formats] isn't installed")


def write(czi: object, path: Path, planes: dict[tuple[int, int], np.ndarray], **metadata: object) -> Path:
    with czi.create_czi(str(path)) as file:  # type: ignore[attr-defined]
        for (time, channel), plane in planes.items():
            pixels = plane if plane.ndim == 3 else plane[..., None]
            file.write(data=np.ascontiguousarray(pixels), plane={"T": time, "C": channel, "Z": 0})
        file.write_metadata(document_name="cells", **metadata)
    return path


def test_channels_frames_and_sizes(
    tmp_path: Path, czi: object, untrained_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = FRAME.astype(np.uint16) * 16
    planes = {(t, c): np.roll(deep, t, 1) // (2 - c) for t in range(3) for c in range(2)}
    scale = {"scale_x": 0.5e-6, "scale_y": 0.25e-6}
    path = write(czi, tmp_path / "a.czi", planes, channel_names={0: "DAPI", 1: "CD31"}, **scale)
    image = open_image(path)
    assert (image.data.shape, image.data.dtype, image.axes) == ((3, 2, *FRAME.shape), np.uint16, "TCYX")
    assert image.channels == ("DAPI", "CD31")
    assert (image.pixel_size, image.unit) == ((0.25, 0.5), "µm")
    for (t, c), plane in planes.items():
        np.testing.assert_array_equal(image.data[t, c], plane)
    assert [len(one) for one in read_stack(path, "CD31").series] == [3]

    arguments = ["segment", path, "--output", tmp_path, "--model", untrained_path, "--channel", "cd31"]
    monkeypatch.setattr(sys, "argv", ["napari-darl", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert not exit_.value.code
    mask = tifffile.imread(tmp_path / "a_mask.tif")
    np.testing.assert_array_equal(mask[:, 0], 255 * segment(image.data[:, 1], untrained_path))
    made = read_provenance(tmp_path / "a_mask.tif")
    assert (made["source"], json.loads(str(made["settings"]))) == ("a.czi", {"channel": "cd31"})


def test_colours_are_red_green_blue(tmp_path: Path, czi: object) -> None:
    red_green_blue = np.stack([FRAME, FRAME // 2, FRAME // 3], -1)
    path = write(czi, tmp_path / "a.czi", {(0, 0): red_green_blue[..., ::-1]})  # the library takes blue first
    image = open_image(path)
    assert (image.rgb, image.axes, image.pixel_size) == (True, "YXS", None)
    np.testing.assert_array_equal(image.data, red_green_blue)
    np.testing.assert_array_equal(as_grey(read_images(path)[0], "red").data, FRAME)


def test_damaged_files_are_refused(tmp_path: Path, czi: object) -> None:
    whole = write(czi, tmp_path / "whole.czi", {(0, 0): FRAME}).read_bytes()
    for name, content in (("cut.czi", whole[: len(whole) // 2]), ("none.czi", b"none"), ("other.nd2", whole)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileError, match=f"{name} is damaged, or cut short"):
            open_image(tmp_path / name)


@pytest.mark.parametrize("suffix", microscopes.MICROSCOPE_SUFFIXES)
def test_one_sentence_says_what_to_install(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microscopes, "find_spec", lambda _: None)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"content")
    with pytest.raises(FileError, match=r'Install what reads it: pip install "napari-darl\[formats\]"\.$'):
        open_image(path)
