"""What commands print: tables on a terminal, tab-separated text in a pipe, JSON on request.

Only tables load rich. Values that come out of a store never reach a terminal as control characters or as markup.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

import click
import msgspec

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console, RenderableType
    from rich.text import Text

Row = Sequence[object]

WIDTH_KEPT = 14
"""Cells are not folded below this width; a table that does not fit then is printed as one block a row."""

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROL |= {ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}
_PLAIN = _CONTROL | {ord("\\"): "\\\\"}

RIGHT_ALIGNED = (int, float)


class Format(Enum):
    """How results are written."""

    TABLE = "table"
    PLAIN = "plain"
    JSON = "json"


class Printer:
    """Writes results in one format to stdout, or tables to a given console."""

    def __init__(self, format: Format, console: Console | None = None) -> None:
        self.format = format
        self._console = console

    @property
    def is_table(self) -> bool:
        """True where people look at the result: the place for trees, notes and colours."""
        return self.format is Format.TABLE

    @property
    def console(self) -> Console:
        """The console of tables, made when first needed."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(highlight=False, emoji=False)
        return self._console

    def rows(self, columns: Sequence[str], rows: Iterable[Row], *, title: str | None = None) -> None:
        """Print rows. Plain: a header line and one line a row. JSON: one object a line.

        Args:
            columns: the columns' names.
            rows: any number of rows; plain and JSON write them as they come.
            title: stands above a table.
        """
        match self.format:
            case Format.TABLE:
                self._table(columns, list(rows), title)
            case Format.PLAIN:
                self._lines(_tab_lines(columns, rows))
            case Format.JSON:
                self._lines(json_text(dict(zip(columns, row, strict=True))) for row in rows)

    def arrow(self, table: pa.Table, *, title: str | None = None) -> None:
        """Print an Arrow table as `rows` does."""
        self.rows(unique(table.column_names), arrow_rows(table), title=title)

    def json_lines(self, objects: Iterable[object]) -> None:
        """Print objects as JSON Lines, as they come."""
        self._lines(json_text(one) for one in objects)

    def document(self, document: object) -> None:
        """Print one JSON document, whatever the format."""
        self._lines([json_text(document, indent=2)])

    def note(self, text: str) -> None:
        """A remark for people: printed beneath tables, left out of everything that programs read."""
        if self.is_table:
            self.console.print(printable(text), style="dim", markup=False)

    def show(self, *renderables: RenderableType) -> None:
        """Print what rich can print; only for tables."""
        for renderable in renderables:
            self.console.print(renderable)

    def _lines(self, lines: Iterable[str]) -> None:
        write = sys.stdout.write
        for line in lines:
            write(line)
            write("\n")

    def _table(self, columns: Sequence[str], rows: Sequence[Row], title: str | None) -> None:
        if not rows:
            self.note(f"{title}: nothing" if title else "nothing")
            return
        if fits(self.console.width, columns, rows):
            self.show(grid(columns, rows, title=title))
        else:
            self._blocks(columns, rows, title)

    def _blocks(self, columns: Sequence[str], rows: Sequence[Row], title: str | None) -> None:
        from rich.text import Text

        if title:
            self.show(Text(title, style="bold"))
        for number, row in enumerate(rows, start=1):
            pairs = [(Text(name, style="bold"), value) for name, value in zip(columns, row, strict=True)]
            self.show(Text(f"-- {number} --", style="dim"), grid(("", ""), pairs, header=False))


def fits(width: int, columns: Sequence[str], rows: Sequence[Row]) -> bool:
    """Whether a table of these rows is readable in `width` columns: no cell is folded below `WIDTH_KEPT`."""
    needed = [
        min(max(len(name), *(len(cell_text(row[i])) for row in rows)), WIDTH_KEPT) for i, name in enumerate(columns)
    ]
    return sum(needed) + 2 * (len(columns) - 1) <= width


def printer_for(as_json: bool) -> Printer:
    """The printer for a command: what the caller of the program chose, else by what stdout is.

    A program that runs commands inside itself (the demo) gives its `Printer` as the click context's object.
    """
    context = click.get_current_context(silent=True)
    given = context.find_object(Printer) if context is not None else None
    if given is not None:
        return given
    if as_json:
        return Printer(Format.JSON)
    return Printer(Format.TABLE if sys.stdout.isatty() else Format.PLAIN)


def grid(
    columns: Sequence[str], rows: Sequence[Row], *, title: str | None = None, header: bool = True
) -> RenderableType:
    """A rich table; columns of numbers stand to the right."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=printable(title) if title else None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD if header else None,
        show_edge=False,
        header_style="bold",
        show_header=header,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for index, name in enumerate(columns):
        values = [row[index] for row in rows if row[index] is not None]
        is_number = bool(values) and all(isinstance(v, RIGHT_ALIGNED) and not isinstance(v, bool) for v in values)
        width = max((len(cell_text(value)) for value in values), default=0)
        is_short = is_number or width <= WIDTH_KEPT or all(isinstance(value, datetime) for value in values)
        table.add_column(
            printable(name),
            justify="right" if is_number and header else "left",
            overflow="fold",
            min_width=width if is_short and header else None,
        )
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    return table


def cell(value: object) -> Text:
    """One value as a table shows it; a value that is not there is a dim point."""
    from rich.text import Text

    if isinstance(value, Text):
        return value
    if value is None:
        return Text("·", style="dim")
    return Text(cell_text(value))


def cell_text(value: object) -> str:
    """One value as text for people: numbers to six digits, times in UTC to the second."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return f"{_utc(value):%Y-%m-%d %H:%M:%S}"
    return printable(value if isinstance(value, str) else plain_text(value))


def plain_text(value: object) -> str:
    """One value as text for programs: nothing cut, numbers with every digit, times in ISO 8601 UTC."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return f"{_utc(value).isoformat().removesuffix('+00:00')}Z"
    if isinstance(value, str | int | float):
        return str(value)
    return json_text(value)


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON: bytes as base64, times in ISO 8601 UTC, numbers that JSON does not know as null."""
    data = msgspec.json.encode(value, enc_hook=_to_json)
    if indent is not None:
        data = msgspec.json.format(data, indent=indent)
    return data.decode()


def printable(text: str) -> str:
    """`text` with control characters written out, so that no name can steer a terminal."""
    return text.translate(_CONTROL)


def unique(names: Sequence[str]) -> list[str]:
    """Column names, with `_2`, `_3` ... behind those that were there before."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return result


def arrow_rows(table: pa.Table) -> Iterator[Row]:
    """The rows of an Arrow table as Python values, a batch at a time."""
    for batch in table.to_batches(max_chunksize=4096):
        columns = [column.to_pylist() for column in batch.columns]
        yield from zip(*columns, strict=True)


def _tab_lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    yield "\t".join(name.translate(_PLAIN) for name in columns)
    for row in rows:
        yield "\t".join(plain_text(value).translate(_PLAIN) for value in row)


def _utc(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _to_json(value: Any) -> object:
    return str(value)


__all__ = [
    "Format",
    "Printer",
    "Row",
    "arrow_rows",
    "cell",
    "cell_text",
    "fits",
    "grid",
    "json_text",
    "plain_text",
    "printable",
    "printer_for",
    "unique",
]
