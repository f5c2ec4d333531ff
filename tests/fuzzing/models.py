"""Models, refined ones, checkpoints, runs and configurations, intact and damaged, and checks of those that are read."""

import io
import json
import pickle
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.torch import load, save

from fuzzing.damage import VALUES, Field, Seed, damaged, hostile_json
from fuzzing.guard import BrokenPropertyError
from fuzzing.images import Files
from napari_darl import Refinement, SegmentOptions, Trainer, load_model, segment, segment_probability
from napari_darl.darl.config import DenoiserConfig, GeneratorConfig
from napari_darl.darl.published import import_published
from napari_darl.exporting.facts import facts_of
from napari_darl.inference.cleaning import Cleaning, clean_mask
from napari_darl.inference.loading import card_of, describe_model
from napari_darl.models import model_info, model_traits
from napari_darl.refining import refine
from napari_darl.refining.corrections import read_corrections
from napari_darl.training.config import TrainingConfig, training_config
from napari_darl.training.run_folder import RunFolder

FIXTURES = Path(__file__).parents[1] / "fixtures"
FRAME = np.random.default_rng(0).random((64, 64)).astype(np.float32)


@cache
def tiny() -> TrainingConfig:
    """Return the configuration of a run with the smallest networks."""
    lite = training_config("lite", steps=2)
    networks = {
        "side": 64,
        "denoiser": DenoiserConfig(
            channels=2, multipliers=(1,), blocks=1, attention_levels=(), time_channels=2, norm="channel"
        ),
        "generator": GeneratorConfig(
            widths=(2, 2), blocks=1, kernel=3, spade_channels=1, norm="batch", spectral_norm=False, skips=True
        ),
        "discriminator": lite.model.discriminator.updated(widths=(2, 2)),
    }
    return lite.updated(
        model=lite.model.updated(**networks), draws=lite.draws.model_copy(update={"size": 32}), batch=1, pool=2
    )


@cache
def run() -> Files:
    """Return the files of a run of two steps."""
    with tempfile.TemporaryDirectory() as folder:
        list(Trainer(tiny(), folder, [FRAME], device="cpu").run())
        names = ("config.json", "checkpoint.safetensors", "losses.csv", "model.safetensors")
        return {name: (Path(folder) / name).read_bytes() for name in names}


@st.composite
def hostile_tensors(draw: st.DrawFn, data: bytes) -> bytes:
    """Draw a safetensors file that is damaged, or has another header, other contents or other tensors."""
    kind = draw(st.sampled_from(("bytes", "header", "contents", "tensors")))
    if kind == "bytes":
        return draw(damaged(Seed(data, (Field(0, 8),))))
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if kind == "header":
        return _with_header(draw(hostile_json(header)), data[8 + length :])
    if kind == "contents":
        header["__metadata__"]["contents"] = draw(hostile_json(json.loads(header["__metadata__"]["contents"])))
        return _with_header(json.dumps(header), data[8 + length :])
    tensors = load(data)
    for name in draw(st.lists(st.sampled_from(sorted(tensors)), min_size=1, max_size=3, unique=True)):
        tensor = tensors[name]
        value = draw(st.sampled_from((None, "reshape", torch.float64, torch.int64, torch.bool, *_NUMBERS)))
        if value is None:
            del tensors[name]
        elif value == "reshape":
            tensors[name] = tensor.reshape(-1, 1).clone()
        elif isinstance(value, torch.dtype):
            tensors[name] = tensor.to(value)
        else:
            with np.errstate(all="ignore"):
                numbers = np.full(tensor.shape, value).astype(tensor.numpy().dtype)
            tensors[name] = torch.from_numpy(numbers)
    return save(tensors, header["__metadata__"])


_NUMBERS = (float("nan"), float("inf"), -float("inf"), 6e4, 3e38, -3e38, 0.0, -1.0, 1e-38)


def _with_header(text: str, rest: bytes) -> bytes:
    header = text.encode("utf-8", "surrogatepass")
    return len(header).to_bytes(8, "little") + header + rest


@st.composite
def model_cases(draw: st.DrawFn) -> Files:
    """Draw a damaged or hostile model file."""
    return {"model.safetensors": draw(hostile_tensors(run()["model.safetensors"]))}


def load_and_use(path: Path) -> None:
    """Load a model, describe it, and segment a frame with it."""
    traits = model_traits(path)
    if not isinstance(traits.side, int) or not traits.reach >= 1:
        raise BrokenPropertyError(f"traits {traits!r}")
    model = load_model(path, "cpu")
    describe_model(path)
    found = segment_probability(FRAME, model, resize=1)
    if found.shape != FRAME.shape or not (found >= 0).all() or not (found <= 1).all():
        raise BrokenPropertyError("probabilities that are none")


@cache
def refined() -> bytes:
    """Return the file of a refined model, with the threshold and the origin that refining adds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(run()["model.safetensors"])
        original = load_model(path, "cpu")
        corrected = read_corrections([(FRAME, np.zeros(FRAME.shape, np.int8))], original, SegmentOptions(resize=1))
        model = refine._derived(original, original.network, "threshold", 0.4, corrected, 0)
        Refinement(model, 0.4, "threshold").save(Path(folder) / "refined.safetensors")
        return (Path(folder) / "refined.safetensors").read_bytes()


@st.composite
def refined_cases(draw: st.DrawFn) -> Files:
    """Draw a refined model that is damaged, or says something hostile about its threshold and origin."""
    data = refined()
    if draw(st.integers(0, 2)) == 0:
        return {"refined.safetensors": draw(hostile_tensors(data))}
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    contents = json.loads(header["__metadata__"]["contents"])
    told = {name: contents["info"].pop(name) for name in ("threshold", "refined")}
    hostile = draw(hostile_json(told)).strip()
    if hostile.startswith("{") and hostile != "{}":
        inside = json.dumps(contents["info"])[:-1]
        text = json.dumps(contents | {"info": "INFO"}).replace('"INFO"', f"{inside}, {hostile[1:]}")
    else:
        text = json.dumps(contents | {"info": "INFO"}).replace('"INFO"', hostile)
    header["__metadata__"]["contents"] = text
    return {"refined.safetensors": _with_header(json.dumps(header), data[8 + length :])}


def use_refined(path: Path) -> None:
    """Load a refined model, describe it, segment a frame at its threshold, and derive another model from it."""
    model = load_model(path, "cpu")
    if not 0 < model.threshold < 1 or Cleaning.of_model(model_info(path)) != model.cleaning:
        raise BrokenPropertyError(f"cleanings {model.cleaning!r} and {Cleaning.of_model(model_info(path))!r}")
    for card in (describe_model(path), card_of(model)):
        if any(line and not line.startswith(("# ", "- **")) for line in card.splitlines()):
            raise BrokenPropertyError(f"a card with another line: {card[:300]!r}")
        card.encode()
    json.dumps(facts_of(model), allow_nan=False)
    cleaned = clean_mask(segment_probability(FRAME, model, resize=1), model.cleaning)
    if (segment(FRAME, model, resize=1) != cleaned).any():
        raise BrokenPropertyError(f"a mask of another cleaning than {model.cleaning}")
    again = path.with_name("again.safetensors")
    Refinement(model, model.threshold, "threshold").save(again)
    if json.dumps(load_model(again, "cpu").info) != json.dumps(model.info):
        raise BrokenPropertyError("another origin when it is saved again")


class Attack:
    """Creates the file `executed` when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path("executed"),)


@cache
def pickles() -> list[bytes]:
    """Return checkpoints in both formats of torch, plain pickles, attacks, and an archive with names outside it."""
    state = {"denoise_fn.downs.0.weight": torch.ones(3, 2), "module.segment_fn.model.1.bias": torch.arange(4)}
    made = []
    for content in (state, {"denoise_fn": Attack()}, [state], {"nested": state}):
        for new in (True, False):
            file = io.BytesIO()
            torch.save(content, file, _use_new_zipfile_serialization=new)
            made.append(file.getvalue())
    escaping = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(made[0])) as source, zipfile.ZipFile(escaping, "w") as target:
        for name in source.namelist():
            target.writestr(f"../../{name}", source.read(name))
    return [*made, escaping.getvalue(), pickle.dumps(Attack()), pickle.dumps(state), pickle.dumps({"a": 1}, protocol=0)]


def published_checkpoint() -> Files:
    """Return a checkpoint of the published networks, all zeros; each tensor is stored as one number."""
    keys = json.loads((FIXTURES / "published_keys.json").read_text())["G"]
    file = io.BytesIO()
    torch.save({name: torch.zeros(()).expand(shape) for name, shape in keys.items()}, file)
    return {"X_G.pth": file.getvalue()}


@st.composite
def pickle_cases(draw: st.DrawFn) -> Files:
    """Draw a checkpoint that is damaged, hostile, or of other networks."""
    data = draw(st.sampled_from(pickles()))
    return {"X_G.pth": draw(damaged(Seed(data), 6)) if draw(st.integers(0, 9)) else data}


def import_checkpoint(path: Path) -> None:
    """Import a checkpoint, and check that nothing in it was executed."""
    try:
        import_published(path)
    finally:
        if Path("executed").exists() or (path.parent / "executed").exists():
            raise BrokenPropertyError("what is in it was executed")


@st.composite
def run_cases(draw: st.DrawFn) -> Files:
    """Draw a run folder with one or two damaged, hostile or missing files."""
    files = dict(run())
    for name in draw(st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=2, unique=True)):
        if name.endswith(".safetensors"):
            files[name] = draw(hostile_tensors(files[name]))
        elif name == "config.json" and draw(st.booleans()):
            files[name] = draw(hostile_json(json.loads(files[name]))).encode("utf-8", "surrogatepass")
        else:
            files[name] = draw(damaged(Seed(files[name])))
        if draw(st.integers(0, 20)) == 0:
            del files[name]
    return {f"run/{name}": content for name, content in files.items()}


def resume(path: Path) -> None:
    """Resume a run, up to its first step."""
    trainer = Trainer.resume(path, [FRAME], steps=3, device="cpu")
    if trainer.step < 0 or not all(torch.isfinite(tensor).all() for tensor in trainer.state.tensors().values()):
        raise BrokenPropertyError(f"a state that is none, after {trainer.step} steps")
    trainer.folder.read_losses(trainer.step)
    if (trainer.config.draws, trainer.config.model, trainer.config.batch) == (tiny().draws, tiny().model, 1):
        for progress in trainer.run():
            if not np.isfinite(list(progress.losses.values())).all():
                raise BrokenPropertyError("losses that are no numbers")


@st.composite
def config_cases(draw: st.DrawFn) -> Files:
    """Draw a damaged or hostile config.json, or options of this kind."""
    text = run()["config.json"]
    if draw(st.integers(0, 3)) == 0:
        return {"run/config.json": draw(damaged(Seed(text)))}
    if draw(st.integers(0, 3)) == 0:
        fields = draw(st.lists(st.sampled_from((*TrainingConfig.model_fields, "other")), min_size=1, max_size=2))
        changes = {field: draw(st.sampled_from(VALUES)) for field in fields}
        return {"options.json": json.dumps(changes).encode("utf-8", "surrogatepass")}
    return {"run/config.json": draw(hostile_json(json.loads(text))).encode("utf-8", "surrogatepass")}


def configure(path: Path) -> None:
    """Read or change a configuration, write it, and read it again."""
    if path.name == "options.json":
        config = tiny().updated(**json.loads(path.read_bytes().decode("utf-8", "surrogatepass")))
    else:
        config = RunFolder(path).read_config()
    folder = RunFolder(path.parent / "again")
    folder.write_config(config)
    if folder.read_config() != config:
        raise BrokenPropertyError("another configuration when it is read again")
    json.dumps(config.model_dump(mode="json"), allow_nan=False)
