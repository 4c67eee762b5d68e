"""The site's first page, and what is where: each page of docs/ has one chapter."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["CHAPTERS", "write_index"]

CHAPTERS: Final[dict[str, tuple[str, ...]]] = {
    "User guide": (
        *("README", "docs/tutorial/README", "docs/run", "docs/requirements", "docs/files"),
        *("docs/terminal", "docs/output", "docs/thinking", "docs/egress", "docs/clients"),
    ),
    "Operations": (
        *("docs/fleet", "docs/deploy", "docs/cloud", "docs/systemd", "docs/versions"),
        "docs/performance",
    ),
    "Reference": (
        *("reference/commands/index", "docs/cli", "reference/relay-api", "docs/configuration"),
        *("docs/limits", "docs/wire"),
    ),
    "Security": (
        *("docs/security", "docs/sandbox", "docs/agreement", "docs/owners", "docs/authority"),
        "docs/shares",
    ),
    "Architecture": (
        "docs/architecture",
        "docs/zygote",
        "docs/compiled",
        "docs/libraries",
        "docs/vm",
        "CONTRIBUTING",
    ),
}
"""Pages by chapter, in the order in which they are read; a page of docs/ that is in none is one of operations."""
TITLES: Final = {"README": "Start </{}>", "deploy/README": "Files that are shipped </{}>"}
"""What pages are called in the list of pages where their own title says too little there."""
TUTORIAL: Final = "docs/tutorial"


def write_index(source: Path) -> None:
    """Complete C{index.md} with the chapters, the tutorial's with its pages, and leave out what is no page.

    @param source: what Sphinx reads, with all pages in it.
    """
    named = {page for pages in CHAPTERS.values() for page in pages}
    others = sorted(
        f"docs/{path.stem}"
        for path in (source / "docs").glob("*.md")
        if f"docs/{path.stem}" not in named
    )
    parts = [(source / "index.md").read_text()]
    for chapter, pages in CHAPTERS.items():
        listed = [page for page in pages if (source / f"{page}.md").exists()]
        if chapter == "Operations":
            listed += [*others, *_pages_below(source, "deploy")]
        if chapter == "User guide":
            listed += _pages_below(source, "examples")
        lines = "\n".join(TITLES.get(page, "/{}").format(page) for page in listed)
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {chapter}\n{lines}\n```\n")
    (source / "index.md").write_text("\n".join(parts))
    tutorial = source / TUTORIAL / "README.md"
    lines = "\n".join(path.stem for path in sorted((source / TUTORIAL).glob("[0-9]*.md")))
    tutorial.write_text(f"{tutorial.read_text()}\n```{{toctree}}\n:hidden:\n{lines}\n```\n")


def _pages_below(source: Path, directory: str) -> list[str]:
    """The pages beside what is shipped, or shown."""
    found = sorted((source / directory).rglob("*.md"))
    return [str(path.relative_to(source).with_suffix("")) for path in found]
