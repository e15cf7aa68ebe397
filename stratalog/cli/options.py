"""Options that many commands share, how they open the store, and how a node is named on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
from click.shell_completion import CompletionItem

from stratalog.eventlog.errors import ErrorCode, InvalidInputError, StoreError
from stratalog.eventlog.events import Kind

if TYPE_CHECKING:
    from stratalog.store.reads import Reads
    from stratalog.store.store import Store

F = TypeVar("F", bound=Callable[..., Any])

TABLE_ROWS = 100
"""Rows of a listing on a terminal unless --limit says otherwise; pipes and JSON get all."""


def complete_types(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the store's types; nothing where the store cannot be opened."""
    try:
        with reading(context.params.get("uri")) as store:
            return [CompletionItem(t.name) for t in store.get_types() if t.name.startswith(incomplete)]
    except StoreError:
        return []


_store = click.option(
    "--store", "uri", metavar="URI", envvar="STRATALOG_URI", show_envvar=True,
    help="The store: a folder, or file:/path.  [default: ./.stratalog]",
)  # fmt: skip
_as_of = click.option(
    "--as-of", "when", metavar="WHEN",
    help="Answer as of then: a seq, '2026-11-01', '2026-11-01T12:30Z', '-2h'.",
)  # fmt: skip
_json_lines = click.option("--json", "as_json", is_flag=True, help="Print JSON Lines: one object a row.")
_json_document = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_limit = click.option(
    "--limit", "-n", type=click.IntRange(min=0), metavar="N",
    help=f"At most N rows; 0 for all.  [default: {TABLE_ROWS} on a terminal, else all]",
)  # fmt: skip
_type = click.option("--type", "-t", "type_name", metavar="TYPE", shell_complete=complete_types, help="Only this type.")


def store_option(command: F) -> F:
    """`--store URI`."""
    return _store(command)


def as_of_option(command: F) -> F:
    """`--as-of WHEN`."""
    return _as_of(command)


def json_lines_option(command: F) -> F:
    """`--json`, for commands that print rows."""
    return _json_lines(command)


def json_document_option(command: F) -> F:
    """`--json`, for commands that print one thing."""
    return _json_document(command)


def limit_option(command: F) -> F:
    """`--limit N`."""
    return _limit(command)


def type_option(command: F) -> F:
    """`--type TYPE`."""
    return _type(command)


@contextmanager
def reading(uri: str | None, when: str | None = None) -> Iterator[Reads]:
    """The store, opened for reading only, at the head or at a moment of the past."""
    import stratalog

    with stratalog.open(uri, read_only=True, create=False) as store:
        yield store if when is None else store.as_of(when)


@contextmanager
def reading_head(uri: str | None) -> Iterator[Store]:
    """The store, opened for reading only: for questions about the store as a whole."""
    import stratalog

    with stratalog.open(uri, read_only=True, create=False) as store:
        yield store


@contextmanager
def writing(uri: str | None, *, create: bool = False) -> Iterator[Store]:
    """The store, opened for writing."""
    import stratalog

    with stratalog.open(uri, create=create) as store:
        yield store


def row_limit(limit: int | None, *, is_table: bool) -> int | None:
    """How many rows a listing prints: None is all."""
    if limit is None:
        return TABLE_ROWS if is_table else None
    return limit or None


def to_names(text: str | None) -> list[str] | None:
    """The names in a list with commas; None for no list."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


class KindWord(click.ParamType[str]):
    """A kind of nodes, in singular or plural."""

    name = "kind"

    def __init__(self, *more: str) -> None:
        """Args: words that are taken beside the kinds, in the plural."""
        self.words = tuple(f"{kind.word}s" for kind in Kind) + more

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word in the plural."""
        word = str(value).lower()
        for known in self.words:
            if word in (known, known.removesuffix("s")):
                return known
        return self.fail(f"{value!r} where one of {', '.join(self.words)} was expected", param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002  # click's
        param: click.Parameter,  # noqa: ARG002  # click's
        incomplete: str,
    ) -> list[CompletionItem]:
        """The words that begin so."""
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


def to_kind(word: str) -> Kind:
    """The kind of a word that `KindWord` let pass."""
    return Kind[word.upper().removesuffix("S")]


class Reference(NamedTuple):
    """What the caller named: a kind (or `type`), and an id or a name after the type's."""

    word: str
    id: int | None
    type_name: str | None
    name: str | None

    def __str__(self) -> str:
        return f"{self.word}/{self.id if self.id is not None else f'{self.type_name}:{self.name}'}"


def parse_reference(words: Sequence[str], *, with_type: bool = False) -> Reference:
    """Read `artifact 3`, `artifact/3`, `artifact Model:iris` or `artifact/Model:iris`.

    Args:
        words: one or two words.
        with_type: whether `type 10` and `type artifact:Model` are taken too.

    Raises:
        InvalidInputError: the words name nothing.
    """
    text = "/".join(words)
    word, _, rest = text.partition("/")
    word = word.lower().removesuffix("s")
    known = [kind.word for kind in Kind] + (["type"] if with_type else [])
    if word not in known or not rest:
        raise InvalidInputError(
            f"{' '.join(words)!r} names no node: {', '.join(known)} and an id were expected",
            code=ErrorCode.INVALID_VALUE,
            hint="write 'artifact 3', 'artifact/3' or 'artifact Model:name'",
        )
    if rest.isascii() and rest.isdigit():
        return Reference(word, int(rest), None, None)
    type_name, colon, name = rest.partition(":")
    if not colon or not type_name or not name:
        raise InvalidInputError(
            f"{rest!r} is neither an id nor TYPE:NAME",
            code=ErrorCode.INVALID_VALUE,
            hint=f"write '{word} 3' or '{word} TYPE:NAME'",
        )
    return Reference(word, None, type_name, name)


def resolve(store: Reads, reference: Reference) -> tuple[Kind, int]:
    """The kind and id of the node that a reference names.

    Raises:
        NotFoundError: a name stands for nothing.
    """
    kind = Kind[reference.word.upper()]
    if reference.id is not None:
        return kind, reference.id
    get = {Kind.ARTIFACT: store.get_artifact, Kind.EXECUTION: store.get_execution, Kind.CONTEXT: store.get_context}
    return kind, get[kind](type=reference.type_name, name=reference.name).id


__all__ = [
    "TABLE_ROWS",
    "KindWord",
    "Reference",
    "as_of_option",
    "json_document_option",
    "json_lines_option",
    "limit_option",
    "parse_reference",
    "reading",
    "reading_head",
    "resolve",
    "row_limit",
    "store_option",
    "to_kind",
    "to_names",
    "type_option",
    "writing",
]
