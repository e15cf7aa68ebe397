"""Base: a file that may be deleted, damaged or of another log at any time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from stratalog.eventlog.events import Artifact, Recorded, encode_payload
from stratalog.projections import base as bases
from stratalog.projections.base import Base, BaseStamp, external_key, name_key, uri_key


def filled(path: Path, *, log_id: str = "l") -> Base:
    base = Base.open(path, log_id=log_id)
    events = [Recorded(i, Artifact(id=i, type_id=10, name=f"n{i}", external_id=f"x{i}", uri="u")) for i in (1, 2, 3)]
    stamp = base.stamp()
    assert base.absorb(events, stamp, BaseStamp(log_id=log_id, applied_seq=3, applied_commit=1, time_us=5))
    return base


def is_empty(base: Base) -> bool:
    return base.stamp() == BaseStamp() and not list(base.versions())


def test_what_was_absorbed_is_there_after_reopening(tmp_path: Path) -> None:
    filled(tmp_path / "base.sqlite").close()
    base = Base.open(tmp_path / "base.sqlite", log_id="l")

    assert base.stamp().applied_seq == 3
    assert [key for key, _ in base.versions()] == [1 << 2 | 1, 2 << 2 | 1, 3 << 2 | 1]
    assert [key >> 2 for key, _ in base.candidates(name_key(1, 10, "n2"))] == [2]
    assert [key >> 2 for key, _ in base.candidates(external_key(1, "x3"))] == [3]
    assert sorted(key >> 2 for key, _ in base.candidates(uri_key("u"))) == [1, 2, 3]
    base.close()


@pytest.mark.parametrize("damage", ["other log", "other format", "no database", "cut", "stamp"])
def test_a_file_that_cannot_be_used_is_begun_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "base.sqlite"
    filled(path).close()
    log_id = "l"
    if damage == "other log":
        log_id = "m"
    elif damage in ("other format", "stamp"):
        body = encode_payload(BaseStamp(format=99, log_id="l")) if damage == "other format" else b"\xc1"
        with sqlite3.connect(path) as connection:
            connection.execute("update meta set body = ?", (body,))
        connection.close()
    elif damage == "no database":
        path.write_bytes(b"not a database at all, but long enough to look at" * 300)
    else:
        path.write_bytes(path.read_bytes()[:5000])

    base = Base.open(path, log_id=log_id)

    assert is_empty(base)
    base.close()


def test_a_file_that_was_removed_or_replaced_is_known_to_be(tmp_path: Path) -> None:
    path = tmp_path / "base.sqlite"
    base = filled(path)
    assert base.is_in_place()

    bases.delete(path)
    assert not base.is_in_place()
    with pytest.raises(sqlite3.Error):
        base.absorb([], base.stamp(), BaseStamp())
    assert not path.exists()
    other = Base.open(path, log_id="l")
    assert other.is_in_place()
    assert not base.is_in_place()
    base.close()
    other.close()


@pytest.mark.parametrize("name", ["plain", "a?b", "a#b", "50%25", "with space", "\u00e4"])
def test_any_name_of_a_folder_will_do(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    filled(folder / "base.sqlite").close()

    base = Base.open(folder / "base.sqlite", log_id="l", read_only=True)

    assert base.stamp().applied_seq == 3
    assert sorted(file.name for file in folder.iterdir()) == ["base.sqlite"]
    base.close()


def test_a_file_of_another_log_is_not_replaced_where_nothing_may_be_written(tmp_path: Path) -> None:
    filled(tmp_path / "base.sqlite").close()

    with pytest.raises(sqlite3.DatabaseError, match="another log"):
        Base.open(tmp_path / "base.sqlite", log_id="m", read_only=True)
