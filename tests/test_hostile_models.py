"""Defects that fuzzing found in readers of models and runs, and attacks: refused with a message, nothing executed."""

import io
import json
import zipfile
from pathlib import Path

import pytest
import torch
from fuzzing.guard import refused
from fuzzing.models import FRAME, Attack, run
from safetensors.torch import load_file, save_file

from napari_darl import InputError, Trainer, load_model, segment_probability, training_config
from napari_darl.darl.checkpoint import load_tensors
from napari_darl.darl.published import import_published
from napari_darl.errors import FileError
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.loading import card_of, describe_model
from napari_darl.models import ModelTraits, model_info, model_traits

DEEP = "[" * 100_000


def test_checkpoints_that_lead_elsewhere_or_claim_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = io.BytesIO()
    torch.save({"denoise_fn.downs.0.weight": torch.zeros(3)}, whole)
    path = tmp_path / "inner" / "X_G.pth"
    path.parent.mkdir()
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(f"../../{name}", source.read(name))
    before = sorted(tmp_path.rglob("*"))
    refused(lambda: import_published(path), "X_G.pth")
    assert sorted(tmp_path.rglob("*")) == before
    path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02X\xff\xff\xff\x7fshort")
    refused(lambda: import_published(path), "X_G.pth")
    for content in (Attack(), {"denoise_fn": Attack()}, [Attack()]):
        for new in (True, False):
            torch.save(content, path, _use_new_zipfile_serialization=new)
            refused(lambda: import_published(path), "not executed")
    assert not Path("executed").exists()


def rewritten(path: Path, contents: str | None = None, **tensors: torch.Tensor | None) -> Path:
    """Replace contents or tensors of a safetensors file, and return its path."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    kept = load_file(path) | tensors
    told = header if contents is None else header | {"contents": contents}
    save_file({name: value for name, value in kept.items() if value is not None}, path, told)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(run()["model.safetensors"])
    return path


def test_numbers_of_kinds_that_nothing_here_counts_with(model: Path) -> None:
    name, weight = next(iter(load_file(model).items()))
    rewritten(model, **{name: weight.to(torch.float8_e4m3fn)})
    refused(lambda: load_model(model, "cpu"), "is damaged")


def test_models_that_make_no_numbers(model: Path) -> None:
    name, weights = next((name, value) for name, value in load_file(model).items() if value.ndim == 4)
    rewritten(model, **{name: torch.full_like(weights, float("nan"))})
    refused(lambda: load_model(model), "damaged: it holds NaN or infinite")
    kernels = {key: value.float() for key, value in load_file(model).items() if value.ndim == 4}
    rewritten(model, **{key: torch.full_like(value, 3e38) for key, value in kernels.items()})
    refused(lambda: segment_probability(FRAME, load_model(model, "cpu"), resize=1), "NaN or infinite values")


def test_thresholds_that_are_none(model: Path) -> None:
    told = load_tensors(model, "model", only_contents=True)[1]
    for threshold, wanted in ((0.3, 0.3), ("0.3", 0.5), (True, 0.5), (7, 0.5), (float("nan"), 0.5), ([0.3], 0.5)):
        rewritten(model, contents=json.dumps(told | {"info": {"threshold": threshold}}))
        assert Cleaning.of_model(model_info(model)).threshold == load_model(model, "cpu").threshold == wanted
    rewritten(model, contents=json.dumps(told | {"info": [0.3]}))
    assert Cleaning.of_model(model_info(model)).threshold == load_model(model, "cpu").threshold == 0.5


def test_cards_are_text_with_a_line_for_each_fact(model: Path) -> None:
    told = load_tensors(model, "model", only_contents=True)[1]
    info = {"refined": "a\n\n# Another model\r\u2028- **Dice**: 1", "from": "\ud800"}
    rewritten(model, contents=json.dumps(told | {"info": info}))
    for card in (describe_model(model), card_of(load_model(model, "cpu"))):
        assert card.splitlines()[-2:] == ["- **refined**: a # Another model - **Dice**: 1", "- **from**: ?"]
        assert card.encode().startswith(b"# model\n\n- **")


def test_headers_that_never_end(model: Path) -> None:
    told = load_tensors(model, "model", only_contents=True)[1]
    rewritten(model, contents=DEEP)
    for call in (load_model, describe_model):
        refused(lambda call=call: call(model), "is damaged")  # type: ignore[misc]
    assert model_traits(model) == ModelTraits()
    rewritten(model, contents=json.dumps(told | {"info": 5}))
    assert load_model(model, "cpu").info == {}
    assert "SHA-256" in describe_model(model)
    for text in ("5", "null", '{"config": {"side": 1e999}}'):
        rewritten(model, contents=text)
        refused(lambda: load_model(model), "download it again")
        assert model_traits(model) == ModelTraits()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in run().items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def resumed(folder: Path) -> Trainer:
    trainer = Trainer.resume(folder, [FRAME], steps=3, device="cpu")
    list(trainer.run())
    return trainer


def test_losses_that_are_damaged_cost_their_rows_only(folder: Path) -> None:
    losses = folder / "losses.csv"
    with losses.open("ab") as file:
        file.write(b"\xff\xfe\x00,\n" + b"9" * 5000 + b",1\n" + "²,1\n".encode() + b'",1\n')
    assert resumed(folder).step == 3
    assert [row.split(",")[0] for row in losses.read_text().splitlines()] == ["step", "1", "2", "3"]


def test_checkpoints_of_other_runs(folder: Path) -> None:
    whole, path = run()["checkpoint.safetensors"], folder / "checkpoint.safetensors"
    moments = "optimiser.generator.0.exp_avg"
    first = load_file(path)
    others: list[dict[str, torch.Tensor | None]] = [
        {moments: torch.zeros(3)},
        {moments: first[moments].to(torch.bool)},
        {moments: None},
        {moments.replace("exp_avg", "step"): torch.tensor(-3e38)},
        {moments + "_sq": torch.full_like(first[moments], -1.0)},
        {moments.replace(".0.", ".9999."): torch.zeros(3)},
        {"pool.mask": torch.zeros(2, 1, 5, 5)},
        {"pool.mask": torch.zeros(999, 1, 32, 32)},
    ]
    for other in others:
        path.write_bytes(whole)
        rewritten(path, **other)
        refused(lambda: resumed(folder), "doesn't fit the run's config.json")
    for contents in ("{}", '{"step": -1}', '{"step": "2"}', '{"step": 1e999}', "[]"):
        rewritten(path, contents=contents)
        refused(lambda: resumed(folder), "is damaged")


@pytest.mark.parametrize("part", ["denoiser", "generator", "discriminator"])
def test_configurations_that_ask_for_all_memory(folder: Path, part: str) -> None:
    config = json.loads(run()["config.json"])
    hostile = {
        "denoiser": {"channels": 2048, "multipliers": [64] * 4},
        "generator": {"widths": [2048] * 2},
        "discriminator": {"widths": [2048] * 6},
    }
    config["model"][part] |= hostile[part]
    (folder / "config.json").write_text(json.dumps(config))
    refused(lambda: resumed(folder), "doesn't fit the run's config.json")


def test_a_configuration_that_never_ends(folder: Path) -> None:
    (folder / "config.json").write_text(DEEP)
    with pytest.raises(FileError, match=r"config\.json is damaged"):
        resumed(folder)


@pytest.mark.parametrize("value", ["x" * 5000, float("inf"), float("nan")])
def test_hostile_values_of_configurations_are_refused_in_a_short_sentence(value: object) -> None:
    with pytest.raises(InputError, match=r"Invalid value .* for clip: ") as caught:
        training_config("lite").updated(clip=value)
    assert len(str(caught.value)) < 250
