"""README.md and docs/: Python blocks run, commands and options exist, links have targets."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer.main
from PIL import Image

import napari_darl
from napari_darl.cli.commands import app
from napari_darl.samples import sample_angiogram

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:)([^)#]*)(?:#([^)]*))?\)")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield a name and the text of each code block in a language."""
    for page in PAGES:
        texts = [text for name, text in BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]
        yield from ((f"{page.stem} {number}", text) for number, text in enumerate(texts, 1))


PYTHON = dict(blocks("python"))
COMMANDS = [line for _, text in blocks("sh") for line in text.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.mark.parametrize("name", PYTHON)
def test_python_runs_with_public_names_only(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = ast.parse(PYTHON[name])
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [module for module in imported if str(module).startswith("napari_darl.")], "not a public name"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "napari_darl":
            assert {alias.name for alias in node.names} <= set(napari_darl.__all__)
    for module in imported - {"pathlib", "napari_darl"}:
        pytest.importorskip(str(module))
    monkeypatch.chdir(tmp_path)
    frame = sample_angiogram()[128:288, 128:288]
    Image.fromarray(frame).save("angiogram.png")
    if "slide.zarr" in PYTHON[name]:
        zarr = pytest.importorskip("zarr")
        zarr.create_array("slide.zarr", shape=frame.shape, chunks=(64, 64), dtype=np.uint8)[:] = frame
    layer = SimpleNamespace(data=frame)
    mask = np.zeros((256, 256), np.uint8)
    mask[100:220, 90:102] = 1
    given = {
        "frame": frame,
        "mask": mask,
        "image": 255 - 100 * mask,
        "viewer": SimpleNamespace(layers={"angiogram": layer}),
    }
    exec(compile(tree, name, "exec"), given)


@pytest.mark.parametrize("line", sorted({line for line in COMMANDS if line.startswith("napari-darl ")}))
def test_commands_and_options_exist(line: str) -> None:
    _, command, *arguments = shlex.split(line.replace("...", "x"), comments=True)
    commands = typer.main.get_group(app).commands
    assert command in commands
    commands[command].make_context(command, arguments)


@pytest.mark.parametrize(
    "line", sorted({line for line in COMMANDS if re.search(r"python (benchmarks|scripts)/", line)})
)
def test_scripts_and_their_options_exist(line: str) -> None:
    words = shlex.split(line, comments=True)
    script = ROOT / next(word for word in words if word.startswith(("benchmarks/", "scripts/")))
    text = script.read_text(encoding="utf-8")
    for option in words[words.index(str(script.relative_to(ROOT))) :]:
        assert not option.startswith("--") or option in text, option


def test_the_architecture_names_all_folders_and_only_files_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "napari_darl"
    folders = {path.name for path in source.iterdir() if (path / "__init__.py").exists()}
    assert not [name for name in folders if f"`{name}/`" not in text]
    for name in re.findall(r"`([\w/]+/|[\w/]+\.(?:py|md|toml))`", text):
        assert (source / name).exists() or (ROOT / name).exists(), name


def anchors(page: Path) -> set[str]:
    """Return the names by which GitHub links to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_named_tests_exist() -> None:
    named = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", "".join(page.read_text(encoding="utf-8") for page in PAGES))
    assert named
    for path, name in named:
        assert f"def {name}" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"
