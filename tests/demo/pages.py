"""The code blocks of a Markdown page."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[tuple[int, str]]:
    """The blocks of one language, each with the number of its first line."""
    text = (PROJECT / page).read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    return [(text[: match.start(1)].count("\n") + 1, match[1]) for match in found]


def run_python(page: str) -> dict[str, object]:
    """Run a page's Python blocks one after the other, as one program; give its variables.

    Line numbers in tracebacks are those of the page.
    """
    variables: dict[str, object] = {"__name__": "__page__"}
    for line, block in blocks(page, "python"):
        exec(compile("\n" * (line - 1) + block, page, "exec"), variables)
    return variables
