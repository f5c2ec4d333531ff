"""Prepare a release: check the tag, and fill in the address of the repository.

    python scripts/release.py check v0.1.0
    python scripts/release.py addresses https://github.com/OWNER/REPOSITORY COMMIT

`check` fails if the tag isn't the version in pyproject.toml, or if CHANGELOG.md has no dated section for it.

`addresses` writes `[project.urls]` into pyproject.toml and makes the README's relative links absolute, as PyPI and the
napari hub need them. Neither is committed: the address is that of the repository in which the workflow runs.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LINK = re.compile(r"(!?)(\[[^\]]*\])\((?!\w+:|#)([^)]+)\)")
"""A Markdown link or image with a relative target."""


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
        "Documentation": f"{repository}#readme",
        "Changelog": f"{repository}/blob/{commit}/CHANGELOG.md",
        "Bug Tracker": f"{repository}/issues",
    }
    lines = "".join(f'"{name}" = "{url}"\n' for name, url in urls.items())
    project.write_text(f"{text.rstrip()}\n\n[project.urls]\n{lines}", encoding="utf-8")

    def absolute(link: re.Match[str]) -> str:
        image, label, target = link.groups()
        return f"{image}{label}({repository}/{'raw' if image else 'blob'}/{commit}/{target})"

    readme = root / "README.md"
    readme.write_text(LINK.sub(absolute, readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check", tag]:
            check(tag)
        case ["addresses", repository, commit]:
            fill_addresses(repository, commit)
        case _:
            sys.exit(__doc__)
