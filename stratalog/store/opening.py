"""Opening a store by its URI."""

from __future__ import annotations

import getpass
import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.settings import LogSettings
from stratalog.eventlog.store import LogStore
from stratalog.eventlog.stores.local import LocalLog
from stratalog.eventlog.stores.memory import MemoryLog
from stratalog.store.store import Store
from stratalog.store.upkeep import UpkeepSettings

URI_VARIABLE = "STRATALOG_URI"
DEFAULT_URI = "./.stratalog"
DURABILITIES = ("commit", "group")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


def clock_us() -> int:
    """Now, in µs since 1970 UTC."""
    return time.time_ns() // 1000


def default_actor() -> str:
    """`user@host` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def open_store(
    uri: str | os.PathLike[str] | None = None,
    *,
    actor: str | None = None,
    read_only: bool = False,
    create: bool = True,
    durability: Literal["commit", "group"] = "commit",
    clock: Callable[[], int] = clock_us,
    log_settings: LogSettings | None = None,
    upkeep: UpkeepSettings | None = None,
) -> Store:
    """Open a store, making it if it is not there.

    Args:
        uri: `memory:`, a path, or `file:` with a path; unless given, `$STRATALOG_URI`, else `./.stratalog`.
        actor: who writes, as it stands in the log; `user@host` unless given.
        read_only: refuse writes, and touch nothing in the folder.
        create: make the store if the folder is missing or empty.
        durability: `"commit"`: a write returns once it is on disk. `"group"`: the disk is asked every few
            milliseconds, and a power cut may cost the writes since.
        clock: µs since 1970 UTC.
        log_settings: sizes of the log's files.
        upkeep: when to seal in the background.

    Raises:
        NotFoundError: there is no store, and `create` is False or the store is to be opened read-only.
        StorageError: the folder is no store (`not_a_store`), of a newer format, or cannot be read or written.
        CorruptLogError: bytes are not what was written.
        InvalidInputError: the URI is of no known kind.
    """
    if durability not in DURABILITIES:
        raise InvalidInputError(
            f"durability {durability!r} where one of {DURABILITIES!r} was expected", code=ErrorCode.INVALID_VALUE
        )
    who = default_actor() if actor is None else actor
    path = to_path(uri)
    if path is None:
        memory = MemoryLog()
        return Store(lambda: memory, None, actor=who, read_only=read_only, clock_us=clock, upkeep=upkeep)
    settings = log_settings or LogSettings()

    def make_log() -> LogStore:
        return LocalLog(
            path,
            settings=settings,
            read_only=read_only,
            create=create and not read_only,
            durability=durability,
        )

    return Store(make_log, path / "views", actor=who, read_only=read_only, clock_us=clock, upkeep=upkeep)


def to_path(uri: str | os.PathLike[str] | None) -> Path | None:
    """The folder that a URI names, None for `memory:`.

    Raises:
        InvalidInputError: the URI is empty or of an unknown kind.
    """
    if uri is None:
        uri = os.environ.get(URI_VARIABLE) or DEFAULT_URI
    text = os.fspath(uri)
    if not isinstance(text, str) or not text:
        raise InvalidInputError(
            f"store URI {text!r} where memory:, a path or file:PATH was expected", code=ErrorCode.INVALID_URI
        )
    if isinstance(uri, os.PathLike):
        return Path(text)
    if text in ("memory:", ":memory:"):
        return None
    match = _SCHEME.match(text)
    if match is None:
        return Path(text).expanduser()
    if match[1].lower() == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost") or not parts.path or parts.query or parts.fragment:
            raise InvalidInputError(
                f"store URI {text!r} where file:PATH or file:///PATH was expected",
                code=ErrorCode.INVALID_URI,
                hint="write file:///absolute/path, file:relative/path, or just the path",
            )
        return Path(unquote(parts.path)).expanduser()
    raise InvalidInputError(
        f"store URI {text!r}: kind {match[1]!r} where memory:, a path or file:PATH was expected",
        code=ErrorCode.INVALID_URI,
        hint="a path with a colon in it can be written with ./ before it",
    )
