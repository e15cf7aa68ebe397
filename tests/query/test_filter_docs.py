"""The examples of docs/reference/filters.md run, and its words of enumerations are all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stratalog.eventlog.events import Kind
from stratalog.query.filter import parse_filter
from stratalog.query.filter_fields import ARTIFACT_STATES, ATTRIBUTES, EVENT_TYPES, EXECUTION_STATES, VALUE_FIELDS
from tests.query.graph import PlainSnapshot
from tests.query.story import story

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "filters.md").read_text()
BLOCKS = re.findall(r"```filter (\w+)s\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = [(Kind[kind.upper()], line) for kind, block in BLOCKS for line in block.splitlines()]


@pytest.fixture(scope="module")
def snapshot() -> PlainSnapshot:
    return PlainSnapshot(story()[0])


def test_the_page_has_examples_of_every_kind() -> None:
    assert {kind for kind, _ in EXAMPLES} == set(Kind)


@pytest.mark.parametrize(("kind", "text"), EXAMPLES)
def test_the_examples_run(snapshot: PlainSnapshot, kind: Kind, text: str) -> None:
    selection = parse_filter(text, kind).select(snapshot)

    assert snapshot.query(selection.sql, selection.parameters).column_names == ["nkey"]


def test_the_page_names_every_field_and_word() -> None:
    words = {*ARTIFACT_STATES, *EXECUTION_STATES, *EVENT_TYPES, *VALUE_FIELDS}
    for kind in Kind:
        words |= ATTRIBUTES[kind].keys()
    assert {word for word in words if not re.search(rf"\b{word}\b", PAGE)} == set()
