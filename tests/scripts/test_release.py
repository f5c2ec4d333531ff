"""What the release workflow does before anything is published."""

import re
import tomllib
from pathlib import Path

import pytest
from release import LINK, ROOT, check, fill_addresses, site, write_recipe

ADDRESS = "https://example.org/someone/somewhere"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files of a release, which the test may change."""
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_the_repositorys_address_is_nowhere_in_the_sources() -> None:
    assert "urls" not in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_addresses_are_filled_in_once(tree: Path) -> None:
    before = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
    fill_addresses(ADDRESS, "abc123", tree)
    after = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
    urls = after["project"].pop("urls")
    assert after == before
    assert urls["Source Code"] == ADDRESS
    assert urls["Bug Tracker"] == f"{ADDRESS}/issues"
    assert urls["Documentation"] == f"{ADDRESS}#readme"
    readme = (tree / "README.md").read_text(encoding="utf-8")
    assert not LINK.search(readme)
    title, _, badges, *_ = readme.splitlines()
    assert title == "# napari-darl"
    assert badges.count("[![") == 5
    assert f"({ADDRESS}/actions/workflows/ci.yml/badge.svg)" in badges
    assert f"]({ADDRESS}/raw/abc123/docs/images/three_clicks.gif)" in readme
    assert f"]({ADDRESS}/blob/abc123/docs/figures.md)" in readme
    with pytest.raises(SystemExit, match="already"):
        fill_addresses(ADDRESS, "abc123", tree)


def test_a_tag_must_be_the_version_and_the_changelog_must_have_it(tree: Path) -> None:
    version = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for tag in (version, f"v{version}.1", "v9.9.9", f"v{version}rc1"):
        with pytest.raises(SystemExit, match=f"must be v{version}"):
            check(tag, tree)
    (tree / "CHANGELOG.md").write_text(f"## [{version}] - Unreleased\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"CHANGELOG\.md has no dated section"):
        check(f"v{version}", tree)
    (tree / "CHANGELOG.md").write_text(f"## [{version}] - 2026-11-26\n", encoding="utf-8")
    check(f"v{version}", tree)


def test_the_site_is_on_github_pages() -> None:
    assert site("https://github.com/Someone/somewhere") == "https://someone.github.io/somewhere/"
    assert site(ADDRESS) == f"{ADDRESS}#readme"


def test_the_recipe_for_conda_forge_renders_and_needs_what_the_package_needs(tmp_path: Path) -> None:
    rattler_build = pytest.importorskip("rattler_build")
    distribution = tmp_path / "napari_darl-0.1.0.tar.gz"
    distribution.write_bytes(b"source")
    recipe = rattler_build.Stage0Recipe.from_file(write_recipe(ADDRESS, distribution))
    (variant,) = recipe.render(rattler_build.VariantConfig())
    rendered = variant.recipe.to_dict()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert rendered["package"] == {"name": project["name"], "version": project["version"]}
    assert rendered["source"][0]["sha256"].startswith("41cf6794ba4200b8")  # of b"source"
    assert rendered["about"]["homepage"] == ADDRESS
    assert all((ROOT / name).is_file() for name in rendered["about"]["license_file"])
    wanted = {re.sub("^torch>", "pytorch>", name) for name in project["dependencies"]}
    wanted.add(f"python{project['requires-python']}")
    assert {name.replace(" ", "") for name in rendered["requirements"]["run"]} == wanted
