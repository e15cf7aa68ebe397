"""The story as of any seq, before and after a merge."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stratalog.query.points import Reader
from tests.query.graph import real_snapshot
from tests.query.story import story

AsOf = Callable[[str], Reader]


@pytest.fixture(scope="session", params=["recent", "merged"])
def as_of(request: pytest.FixtureRequest) -> AsOf:
    """A function from a chapter of the story to a snapshot at its end."""
    history, chapters = story()
    whole = real_snapshot(history, merged=request.param == "merged")
    return lambda chapter: type(whole)(whole.tables, chapters[chapter])
