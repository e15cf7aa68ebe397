"""Answers: an Arrow table, and the same as pandas, Polars or Python on request."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stratalog.eventlog.errors import ErrorCode, InvalidInputError

if TYPE_CHECKING:
    import pyarrow as pa


class Result:
    """A table that answers a question. The same question as of the same seq gives the same bytes."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def arrow(self) -> pa.Table:
        """The answer as an Arrow table."""
        return self._table

    def df(self) -> Any:
        """The answer as a pandas data frame.

        Raises:
            InvalidInputError: pandas is not installed (code `missing_dependency`).
        """
        _require("pandas")
        return self.arrow().to_pandas()

    def pl(self) -> Any:
        """The answer as a Polars data frame.

        Raises:
            InvalidInputError: Polars is not installed (code `missing_dependency`).
        """
        return _require("polars").from_arrow(self.arrow())

    def rows(self) -> list[dict[str, Any]]:
        """The answer as one dictionary a row."""
        rows: list[dict[str, Any]] = self.arrow().to_pylist()
        return rows

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        names: list[str] = self.arrow().column_names
        return names

    def __len__(self) -> int:
        return int(self.arrow().num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.arrow().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} rows: {', '.join(self.columns)})"


def _require(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InvalidInputError(
            f"{module} is not installed",
            code=ErrorCode.MISSING_DEPENDENCY,
            hint=f"pip install {module}, or use .arrow()",
        ) from error
