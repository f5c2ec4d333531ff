"""README.md and docs/: Python blocks run, commands and options exist, links have targets, the site has all pages."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import typer.main
from command_line import run
from PIL import Image
from site_links import PAGES as ROOT_PAGES
from site_links import relink

import napari_darl
from napari_darl.cli.commands import app
from napari_darl.samples import sample_angiogram, sample_fundus

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:)([^)#]*)(?:#([^)]*))?\)")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield a name and the text of each code block in a language."""
    for page in PAGES:
        texts = [text for name, text in BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]
        yield from ((f"{page.stem} {number}", text) for number, text in enumerate(texts, 1))


OTHER_LINES = (
    (r"(pip|conda) ", "installs packages"),
    (r"python3 -m venv |source |napari$", "an environment, and napari itself"),
    (r"make ", "the Makefile, which runs these tests"),
    (r"python -c ", "needs napari"),
)
"""Lines of shell blocks that aren't checked here, and why."""

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
"""`make docs` runs them."""

PYTHON = {name: text for name, text in blocks("python") if ".onnx" not in text}
"""Python blocks but the one with an exported model, which tests/exporting runs."""

COMMANDS = [line for _, text in blocks("sh") for line in text.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.mark.usefixtures("quick_refining")
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


def test_every_block_is_checked_or_excepted() -> None:
    assert {name for page in PAGES for name, _ in BLOCK.findall(page.read_text(encoding="utf-8"))} <= {
        "sh",
        "python",
        "powershell",  # the same as for other systems
        "mermaid",  # diagrams
    }
    others = "|".join(pattern for pattern, _ in OTHER_LINES)
    known = rf"napari-darl |(\w+=\S+ |xvfb-run .*)?python (benchmarks|scripts)/|xvfb-run .*python scripts/|{others}"
    assert not [line for line in COMMANDS if not re.match(known, line)]


NOT_RUN = (
    (r"\.\./data/", "needs data sets that aren't in the repository"),
    (r"--cluster", "needs a scheduler; tests/inference/test_zarr_output.py starts one"),
    (r"--channel CD31", "needs a microscope's file; tests/cli/test_reading_options.py makes one"),
    (r"refine |refined\.safetensors", "takes a minute; tests/cli/test_refining.py refines in less"),
    (r"train |runs/", "takes minutes to hours; tests/cli/test_cli.py trains for some steps"),
)
"""Commands of the docs that are parsed, but not run, and why."""

RUN = [line for line in COMMANDS if line.startswith("napari-darl ") and "..." not in line]
RUN = sorted(
    {line.split(" #")[0].strip() for line in RUN if not any(re.search(pattern, line) for pattern, _ in NOT_RUN)}
)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the commands of the docs name."""
    frame = sample_angiogram()[128:288, 128:288]
    vessel = np.zeros((256, 256), np.uint8)
    for y in range(110, 211):
        middle = round(80 + (y - 120) * 15 / 80)
        vessel[y, middle - 6 : middle + 7] = 255
    monkeypatch.chdir(tmp_path)
    for folder in ("frames", "experts", "empty"):
        (tmp_path / folder).mkdir()
    for name in ("frames/1.png", "empty/1.png", "angiogram.png", "angiogram.tif"):
        Image.fromarray(frame).save(name)
    Image.fromarray(sample_fundus()[440:560, 440:560]).save("fundus.jpg")
    Image.fromarray(vessel[:160, :160]).save("experts/1.png")
    Image.fromarray(np.full_like(frame, 255)).save("fov.png")
    tifffile.imwrite("movie.tif", np.stack([frame] * 3), photometric="minisblack")
    tifffile.imwrite("octa.tif", 255 - np.stack([frame[:64, :64]] * 2), photometric="minisblack")
    tifffile.imwrite("slide.tif", frame, tile=(64, 64))
    tifffile.imwrite("run.tif", np.stack([255 - vessel // 2] * 13))
    tifffile.imwrite("run_mask.tif", np.stack([vessel] * 13))
    return tmp_path


@pytest.mark.parametrize("line", RUN)
def test_commands_run(line: str, lab: Path) -> None:
    words = shlex.split(line)[1:]
    if "run.dcm" in words:
        pytest.importorskip("pydicom")
        from dicom_files import dataset, saved

        saved(lab / "run.dcm", dataset(np.stack([sample_angiogram()[128:192, 128:192]] * 21)))
    if "slide.zarr" in words or "--zarr" in words:
        zarr = pytest.importorskip("zarr")
        zarr.create_array("slide.zarr", shape=(64, 64), chunks=(64, 64), dtype="u1")[:] = np.eye(64) * 255
    if words[0] == "measure":
        (lab / "masks").mkdir()
        Image.open("experts/1.png").save("masks/1_mask.tif")
    before = set(lab.rglob("*"))
    assert run(*(word if word != "100" else 1 for word in words)) == 0  # of 100 pairs, one is enough
    assert words[0] in ("assess", "noise", "stenosis") or set(lab.rglob("*")) > before, "nothing was written"


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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs_and_use_public_names(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    tree = ast.parse("\n".join("".join(cell["source"]) for cell in code))
    imported = [
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and "napari_darl" in str(node.module)
    ]
    assert imported
    for node in imported:
        assert node.module == "napari_darl"
        assert {alias.name for alias in node.names} <= set(napari_darl.__all__)
    for target, anchor in LINK.findall("".join("".join(cell["source"]) for cell in cells if cell not in code)):
        page = (path.parent / target).resolve()
        assert page.exists()
        assert not anchor or anchor in anchors(page)


def test_the_site_has_all_pages_and_all_public_names() -> None:
    nav = set(re.findall(r": ([\w/]+\.(?:md|ipynb))$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (*(ROOT / "docs").glob("*.md"), *NOTEBOOKS)}
    assert nav == pages | set(ROOT_PAGES.values())
    reference = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    names = re.findall(r"^::: napari_darl\.(\w+)$", reference, re.MULTILINE)
    assert sorted([*names, "__version__"]) == sorted(napari_darl.__all__)


def test_menus_that_are_named_exist() -> None:
    text = " ".join(" ".join(page.read_text(encoding="utf-8").split()) for page in PAGES)
    manifest = (ROOT / "src" / "napari_darl" / "napari.yaml").read_text(encoding="utf-8")
    widgets = re.findall(r"\*Plugins > (?!Install)([^*]+)\*", text)
    assert {"DARL > Segment vessels", "DARL > Measure vessels"} <= set(widgets)
    for name in widgets:
        assert name == "DARL" or f"display_name: {name.removeprefix('DARL > ')}\n" in manifest, name
    for name in re.findall(r"\*Layers > \w+ > ([^*]+) \(DARL\)\*", text):
        assert f"title: {name}\n" in manifest, name


def test_links_between_the_site_and_the_repository() -> None:
    docs, address = ROOT / "docs", "https://example.org/a/b"
    text = "[a](results.md#x) ![b](images/b.png) [c](../ARCHITECTURE.md#y) [d](../LICENSE) [e](https://f.org) [g](#h)"
    same = "[a](results.md#x) ![b](images/b.png) [c](architecture.md#y) {} [e](https://f.org) [g](#h)"
    assert relink(text, docs, "", "main") == same.format("d")
    assert relink(text, docs, address, "abc") == same.format(f"[d]({address}/blob/abc/LICENSE)")
    assert relink("[a](docs/files.md) [b](src/napari_darl)", ROOT, "", "main") == "[a](files.md) b"


def test_named_tests_exist() -> None:
    named = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", "".join(page.read_text(encoding="utf-8") for page in PAGES))
    assert named
    for path, name in named:
        assert f"def {name}" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"
