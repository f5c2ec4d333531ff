"""Hooks of MkDocs: pages that are read in the repository and on the site have links that work in both.

Links from docs/ to files outside of it lead to the repository, whose address is REPOSITORY_URL at the commit REVISION.
Without an address, as in a local build, their text is left without a link. The pages in the root of the repository are
part of the site.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ICON = ROOT / "src" / "napari_darl" / "icon.png"

PAGES = {"ARCHITECTURE.md": "architecture.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages in the root of the repository, and their names on the site."""

LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
"""A Markdown link or image with a relative target."""


def on_files(files: "Files", config: "MkDocsConfig") -> None:
    """Add the pages in the root of the repository, and the icon."""
    from mkdocs.structure.files import File

    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    files.append(File.generated(config, "images/icon.png", abs_src_path=str(ICON)))


def on_page_markdown(markdown: str, page: "Page", **_: object) -> str:
    """Give the links of a page targets on the site or in the repository."""
    folder = ROOT if page.file.src_uri in PAGES.values() else DOCS
    return relink(markdown, folder, os.environ.get("REPOSITORY_URL", ""), os.environ.get("REVISION", "main"))


def relink(markdown: str, folder: Path, repository: str, revision: str) -> str:
    """Return the text of a page in a folder of the repository, with links as the site needs them."""

    def target(link: re.Match[str]) -> str:
        text, path, anchor = link[1], (folder / link[2]).resolve(), link[3] or ""
        if path.is_relative_to(DOCS):
            return f"[{text}]({path.relative_to(DOCS).as_posix()}{anchor})"
        name = path.relative_to(ROOT).as_posix()
        if name in PAGES:
            return f"[{text}]({PAGES[name]}{anchor})"
        return f"[{text}]({repository}/blob/{revision}/{name}{anchor})" if repository else text

    return LINK.sub(target, markdown)
