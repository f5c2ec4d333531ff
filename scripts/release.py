"""Prepare a release: check the tag, and fill in the address of the repository.

    python scripts/release.py check v0.1.0
    python scripts/release.py addresses https://github.com/OWNER/REPOSITORY COMMIT
    python scripts/release.py recipe https://github.com/OWNER/REPOSITORY dist/napari_darl-0.1.0.tar.gz

`check` fails if the tag isn't the version in pyproject.toml, or if CHANGELOG.md has no dated section for it.

`addresses` writes `[project.urls]` into pyproject.toml, makes the README's relative links absolute, as PyPI and the
napari hub need them, and puts badges below its title. Nothing of it is committed: the address is that of the repository
in which the workflow runs.

`recipe` writes the recipe for conda-forge beside the source distribution, with its hash and the repository's address.
"""

import hashlib
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LINK = re.compile(r"(!?)(\[[^\]]*\])\((?!\w+:|#)([^)]+)\)")
"""A Markdown link or image with a relative target."""

BADGES = {
    "PyPI": ("https://img.shields.io/pypi/v/napari-darl", "https://pypi.org/project/napari-darl"),
    "Python": ("https://img.shields.io/pypi/pyversions/napari-darl", "https://pypi.org/project/napari-darl"),
    "Licence": ("https://img.shields.io/pypi/l/napari-darl", "{repository}/blob/{commit}/LICENSE"),
    "CI": ("{repository}/actions/workflows/ci.yml/badge.svg", "{repository}/actions/workflows/ci.yml"),
    "napari hub": ("https://img.shields.io/badge/napari-hub-blue", "https://napari-hub.org/plugins/napari-darl"),
}
"""Name, picture and target of each badge."""


def check(tag: str, root: Path = ROOT) -> None:
    """Exit with a message unless the tag, pyproject.toml and CHANGELOG.md agree."""
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if tag != f"v{version}":
        sys.exit(f"The tag is {tag}, but pyproject.toml has version {version}: the tag must be v{version}.")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}$", changelog, re.MULTILINE):
        sys.exit(f"CHANGELOG.md has no dated section for {version}: add '## [{version}] - YYYY-MM-DD'.")


def fill_addresses(repository: str, commit: str, root: Path = ROOT) -> None:
    """Write the repository's address into pyproject.toml and README.md."""
    project = root / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    if "urls" in tomllib.loads(text)["project"]:
        sys.exit("pyproject.toml has [project.urls] already: remove them, they are filled in at release.")
    urls = {
        "Homepage": repository,
        "Source Code": repository,
        "Documentation": site(repository),
        "Changelog": f"{repository}/blob/{commit}/CHANGELOG.md",
        "Bug Tracker": f"{repository}/issues",
    }
    lines = "".join(f'"{name}" = "{url}"\n' for name, url in urls.items())
    project.write_text(f"{text.rstrip()}\n\n[project.urls]\n{lines}", encoding="utf-8")

    def absolute(link: re.Match[str]) -> str:
        image, label, target = link.groups()
        return f"{image}{label}({repository}/{'raw' if image else 'blob'}/{commit}/{target})"

    badges = " ".join(f"[![{name}]({picture})]({target})" for name, (picture, target) in BADGES.items())
    readme = root / "README.md"
    title, text = LINK.sub(absolute, readme.read_text(encoding="utf-8")).split("\n", 1)
    filled = badges.format(repository=repository, commit=commit)
    readme.write_text(f"{title}\n\n{filled}\n{text}", encoding="utf-8")


def site(repository: str) -> str:
    """Return the address of the docs site: GitHub Pages gives each repository one."""
    host, owner, name = repository.removeprefix("https://").split("/")
    return f"https://{owner.lower()}.github.io/{name}/" if host == "github.com" else f"{repository}#readme"


def write_recipe(repository: str, distribution: Path, root: Path = ROOT) -> Path:
    """Write recipe.yaml beside a source distribution; return its path."""
    template = (root / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    recipe = "".join(line for line in template.splitlines(keepends=True) if not line.startswith("#"))
    values = {"REPOSITORY": repository, "SHA256": hashlib.sha256(distribution.read_bytes()).hexdigest()}
    for name, value in values.items():
        recipe = recipe.replace(f": {name}\n", f": {value}\n")
    path = distribution.parent / "recipe.yaml"
    path.write_text(recipe, encoding="utf-8")
    return path


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check", tag]:
            check(tag)
        case ["addresses", repository, commit]:
            fill_addresses(repository, commit)
        case ["recipe", repository, distribution]:
            write_recipe(repository, Path(distribution))
        case _:
            sys.exit(__doc__)
