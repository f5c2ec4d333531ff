"""Invalid input raises a DarlError that names the problem; the command line prints it and exits with status 2."""

import os
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch
from fuzzing.guard import check_sentence
from fuzzing.models import Attack

from napari_darl import Trainer, cli, load_model, segment, segment_probability
from napari_darl.darl.published import import_published
from napari_darl.errors import DarlError
from napari_darl.evaluation.report import evaluate
from napari_darl.frames.stacks import read_stack
from napari_darl.inference.synthesize import synthesize
from napari_darl.io.images import read_image
from napari_darl.io.output import write_mask
from napari_darl.training.config import training_config

FRAME = np.random.default_rng(0).random((64, 64))
LITE = training_config("lite", steps=1)


def with_values(value: float) -> np.ndarray:
    frame = FRAME.copy()
    frame[3, 5] = value
    return frame


def file(folder: Path, name: str, content: bytes = b"") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def png(folder: Path, cut: int | None = None) -> Path:
    return file(folder, "frame.png", iio.imwrite("<bytes>", (FRAME * 255).astype(np.uint8), extension=".png")[:cut])


def npy(folder: Path, array: np.ndarray, name: str = "a.npy") -> Path:
    np.save(folder / name, array)
    return folder / name


def huge_tiff(folder: Path) -> Path:
    path = folder / "huge.tif"
    tifffile.imwrite(path, (FRAME * 255).astype(np.uint8))
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        for tag in ("ImageWidth", "ImageLength"):
            place = tiff.pages.first.tags[tag]
            data[place.valueoffset : place.valueoffset + 4] = (2**31 - 1).to_bytes(
                4, tiff.byteorder.replace("<", "little")
            )  # type: ignore[arg-type]
    path.write_bytes(data)
    return path


def with_run(folder: Path) -> Path:
    list(Trainer(tiny(), folder / "run", [FRAME]).run())
    return folder / "run"


def tiny():  # type: ignore[no-untyped-def]
    return LITE.model_copy(update={"draws": LITE.draws.model_copy(update={"size": 32}), "batch": 1})


def train(folder: Path, angiograms: list[np.ndarray], **more: object) -> Trainer:
    return Trainer(tiny(), folder / "run", angiograms, **more)  # type: ignore[arg-type]


# Name -> the call, and a fact that its message contains.
ARRAYS: dict[str, tuple[Callable[[], object], str]] = {
    "empty array": (lambda: segment(np.zeros((0, 64))), "is empty"),
    "NaN": (lambda: segment(FRAME * np.nan), "no finite value"),
    "infinite": (lambda: segment(np.full((64, 64), -np.inf)), "no finite value"),
    "constant": (lambda: segment(np.full((64, 64), 5)), "the value 5 at every pixel"),
    "no axis": (lambda: segment(5.0), "shape"),
    "one axis": (lambda: segment(np.arange(64)), "shape"),
    "complex": (lambda: segment(FRAME * 1j), "complex128"),
    "text": (lambda: segment(np.full((64, 64), "a")), "type"),
    "too small": (lambda: segment(FRAME[:31]), "32"),
    "no colours": (lambda: segment(FRAME, rgb=True), "colour"),
    "threshold 0": (lambda: segment(FRAME, threshold=0.0), "threshold"),
    "threshold 2": (lambda: segment(FRAME, threshold=2.0), "threshold"),
    "resize 0": (lambda: segment_probability(FRAME, resize=0), "resize"),
    "resized away": (lambda: segment_probability(FRAME, resize=0.1), "less than 32"),
    "bits": (lambda: segment_probability((FRAME * 99).astype(np.uint16), bits=99), "bits"),
    "unknown model": (lambda: load_model("nothing"), "no model 'nothing'"),
    "unknown device": (lambda: load_model(device="tpu"), "Unknown device"),
    "missing device": (lambda: load_model(device="cuda:99"), "'cuda:99' is not available"),
    "no backgrounds": (lambda: next(synthesize("default", [], 1)), "no backgrounds"),
    "no pairs": (lambda: next(synthesize("default", [FRAME], 0)), "number of pairs is 0"),
    "noise level": (lambda: next(synthesize("default", [FRAME], 1, noise_level=2000)), "0 to 1999"),
    "unknown preset": (lambda: training_config("huge"), "Unknown preset"),
}

FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing file": (lambda f: read_image(f / "none.png"), "none.png"),
    "empty file": (lambda f: read_image(file(f, "empty.png")), "empty.png"),
    "foreign file": (lambda f: read_image(file(f, "text.png", b"hello, I am no picture")), "text.png"),
    "unknown kind": (lambda f: read_image(file(f, "movie.avi", b"RIFF")), "movie.avi"),
    "truncated PNG": (lambda f: read_image(png(f, 2000)), "frame.png"),
    "oversized TIFF": (lambda f: read_image(huge_tiff(f)), "huge.tif"),
    "pickled array": (
        lambda f: read_image(file(f, "a.npy", pickle.dumps(Attack()))),
        "a.npy",
    ),
    "folder for a file": (lambda f: read_image(f), "folder"),
    "empty folder": (lambda f: read_stack(f / "here"), "holds no image"),
    "empty stack": (lambda f: train(f, []), "stack of angiograms is empty"),
    "constant background": (lambda f: train(f, [FRAME], backgrounds=[np.ones((64, 64))]), "ackground 0"),
    "NaN in a stack": (lambda f: train(f, [FRAME * np.nan, FRAME * np.nan]), "ngiogram 0 has no finite value"),
    "nothing to resume": (lambda f: Trainer.resume(f / "run", [FRAME]), "no run in"),
    "run is there": (lambda f: (with_run(f), train(f, [FRAME])), "already holds a run"),
    "output is a file": (
        lambda f: next(Trainer(tiny(), file(f, "taken"), [FRAME]).run()),
        "taken",
    ),
    "model is text": (lambda f: load_model(file(f, "m.safetensors", b"no tensors here")), "damaged"),
    "oversized header": (lambda f: load_model(file(f, "m.safetensors", (2**60).to_bytes(8, "little"))), "damaged"),
    "released file as model": (lambda f: load_model(file(f, "X_G.pth")), "import-checkpoint"),
    "pickle with code": (lambda f: import_published(file(f, "X_G.pth", pickle.dumps(Attack()))), "not executed"),
    "missing checkpoint": (lambda f: import_published(f / "X_G.pth"), "no checkpoint at"),
    "truncated checkpoint": (lambda f: import_published(file(f, "X_G.pth", b"PK\x03\x04 cut")), "X_G.pth"),
    "text as checkpoint": (lambda f: import_published(file(f, "X_G.pth", b"some text")), "X_G.pth"),
    "stack of volumes": (lambda f: train(f, [np.zeros((2, 64, 64))]), "grey frame"),
    "frame of 5 px": (lambda f: train(f, [FRAME[:5, :5]]), "32 x 32"),
    "pixels without any": (lambda f: read_stack(npy(f, np.zeros((2, 0, 64)))), "without pixels"),
    "mismatched shapes": (lambda f: evaluate(npy(f, FRAME > 0.5), npy(f, FRAME[:40] > 0.5, "b.npy")), "64 x 64"),
    "mismatched counts": (lambda f: evaluate(npy(f, np.ones((2, 64, 64))), npy(f, FRAME > 0.5, "b.npy")), "2 frames"),
    "truth missing": (lambda f: evaluate(png(f), f / "truth.png"), "truth.png"),
    "output is there": (
        lambda f: [write_mask(f / "m.tif", FRAME > 0.5, provenance={}) for _ in range(2)],
        "m.tif exists",
    ),
    "output in a file": (lambda f: write_mask(file(f, "x") / "m.tif", FRAME > 0.5, provenance={}), "can't be written"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_and_options(name: str) -> None:
    call, part = ARRAYS[name]
    with pytest.raises(DarlError) as error:
        call()
    assert part in str(error.value)
    check_sentence(str(error.value))


@pytest.mark.parametrize("name", FOLDERS)
def test_files_and_folders(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    call, part = FOLDERS[name]
    with pytest.raises(DarlError) as error:
        call(tmp_path)
    assert part in str(error.value)
    check_sentence(str(error.value))
    assert not Path("executed").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DarlError, match="can't be written"):
        write_mask(tmp_path / "m.tif", FRAME > 0.5, provenance={})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, which /dev/full simulates, leaves former results as they are."""
    write_mask(tmp_path / "m.tif", FRAME > 0.5, provenance={})
    before = (tmp_path / "m.tif").read_bytes()
    real = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda self, mode="r", *a, **k: real(
            Path("/dev/full") if mode == "xb" else self, "wb" if mode == "xb" else mode, *a, **k
        ),
    )
    with pytest.raises(DarlError, match="No space left"):
        write_mask(tmp_path / "m.tif", FRAME > 0.4, provenance={}, overwrite=True)
    assert (tmp_path / "m.tif").read_bytes() == before


# Name -> the command, in which OUT stands for `--output OUT`, and a file, a value or an option that its error names.
COMMANDS = {
    "no file": ("segment none.png OUT", "none.png"),
    "no image": ("segment text.png OUT", "text.png"),
    "truncated": ("segment frame.png cut.png OUT", "cut.png"),
    "constant": ("segment constant.tif OUT", "constant.tif"),
    "NaN": ("segment nan.tif OUT", "nan.tif"),
    "too small": ("segment small.tif OUT", "small.tif"),
    "empty folder": ("segment void OUT", "void"),
    "unknown model": ("segment frame.png --model nothing OUT", "nothing"),
    "text as model": ("segment frame.png --model text.png OUT", "text.png"),
    "impossible threshold": ("segment frame.png --threshold 7 OUT", "7"),
    "impossible hysteresis": ("segment frame.png --hysteresis -1 OUT", "-1"),
    "impossible piece": ("segment frame.png --smallest-piece -1 OUT", "-1"),
    "impossible hole": ("segment frame.png --largest-hole 2.5 OUT", "--largest-hole"),
    "threshold in words": ("segment frame.png --threshold high OUT", "--threshold"),
    "unknown device": ("segment frame.png --device tpu OUT", "tpu"),
    "impossible resize": ("segment frame.png --resize -1 OUT", "-1"),
    "result is there": ("segment frame.png --output taken", "frame_mask.tif"),
    "output is a file": ("segment frame.png --output text.png", "text.png"),
    "no angiograms": ("train --angiograms void OUT", "void"),
    "constant angiogram": ("train --angiograms constant.tif OUT", "ngiogram 0"),
    "run into a file": ("train --angiograms frame.png --output text.png", "text.png"),
    "nothing to resume": ("train --angiograms frame.png OUT --resume", "OUT"),
    "unknown preset": ("train --angiograms frame.png OUT --preset huge", "huge"),
    "no steps": ("train --angiograms frame.png OUT --steps 0", "--steps"),
    "no pairs": ("synthesize --backgrounds frame.png OUT --count 0", "--count"),
    "noise level": ("synthesize --backgrounds frame.png OUT --count 1 --noise-level 9999", "9999"),
    "chain of real backgrounds": ("synthesize --backgrounds frame.png OUT --count 1 --chain", "--chain"),
    "one reverse step": ("synthesize OUT --count 1 --reverse-steps 1", "1"),
    "nothing to assess": ("assess none.png", "none.png"),
    "odd noise levels": ("noise frame.png --noise-levels few", "few"),
    "late noise level": ("noise frame.png --noise-levels 2000", "2000"),
    "no noise": ("noise frame.png --sigmas 0", "0"),
    "noise without its truth": ("noise frame.png --truth none.png", "none.png"),
    "no truth": ("evaluate frame.png none.png", "none.png"),
    "other shape": ("evaluate frame.png small.tif", "20 x 20"),
    "pickle": ("import-checkpoint X_G.pth OUT.safetensors", "X_G.pth"),
    "import over a file": ("import-checkpoint X_G.pth taken.safetensors", "taken.safetensors"),
    "unknown card": ("models nothing", "nothing"),
    "card of a file": ("models taken.safetensors", "taken.safetensors"),
    "start of another preset": ("train --angiograms frame.png OUT --start default --preset published", "lite"),
    "unknown command": ("segmnt frame.png", "segmnt"),
    "unknown option": ("segment frame.png --colour OUT", "--colour"),
    "missing option": ("segment frame.png", "--output"),
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all kinds of files, as the working directory."""
    monkeypatch.chdir(tmp_path)
    png(tmp_path)
    file(tmp_path, "cut.png", (tmp_path / "frame.png").read_bytes()[:2000])
    file(tmp_path, "text.png", b"hello, I am no picture")
    file(tmp_path, "X_G.pth", pickle.dumps(Attack()))
    file(tmp_path, "taken.safetensors", b"a user's own")
    tifffile.imwrite(tmp_path / "constant.tif", np.full((64, 64), 7, np.uint8))
    tifffile.imwrite(tmp_path / "nan.tif", np.full((64, 64), np.nan, np.float32))
    tifffile.imwrite(tmp_path / "small.tif", (FRAME[:20, :20] * 255).astype(np.uint8))
    (tmp_path / "void").mkdir()
    (tmp_path / "taken").mkdir()
    file(tmp_path / "taken", "frame_mask.tif", b"a user's own")
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_command_line(
    name: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command, fact = COMMANDS[name]
    before = {path: path.read_bytes() for path in desk.rglob("*") if path.is_file()}
    monkeypatch.setattr(sys, "argv", ["napari-darl", *re.sub("OUT$|OUT(?= )", "--output OUT", command).split()])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert fact in errors[0]
    assert captured.err.rstrip().endswith(errors[0])
    assert "Traceback" not in captured.err + captured.out
    assert {path: path.read_bytes() for path in before} == before
    assert not Path("executed").exists()


def test_an_oom_in_training_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = train(tmp_path, [FRAME])

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(trainer.state.model, "path_a", full)
    with pytest.raises(DarlError, match="Memory ran out"):
        next(trainer.run())
