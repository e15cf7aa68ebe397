"""What writes answer: ids, and where in the log they stand."""

from __future__ import annotations

import msgspec

from stratalog.eventlog.errors import InvalidInputError


class Put(msgspec.Struct, frozen=True):
    """The answer to a put: ids in the order of the request.

    `seq` is the seq of the last event of the commit, or the head if nothing changed; `commit` is its number, None if
    nothing changed.
    """

    ids: list[int]
    seq: int
    commit: int | None = None

    @property
    def id(self) -> int:
        """The only id.

        Raises:
            InvalidInputError: the put had none or several.
        """
        if len(self.ids) != 1:
            raise InvalidInputError(
                f"a put of {len(self.ids)} things has no single id", hint="use .ids, in the order of the request"
            )
        return self.ids[0]


class Step(msgspec.Struct, frozen=True):
    """The answer to `put_execution`: `artifact_ids` in the order of the pairs (-1 for an empty one)."""

    execution_id: int
    artifact_ids: list[int]
    context_ids: list[int]
    seq: int
    commit: int | None = None


class Piece(msgspec.Struct, frozen=True):
    """The answer to `put_lineage`: each list in the order of the request's."""

    execution_ids: list[int]
    artifact_ids: list[int]
    context_ids: list[int]
    seq: int
    commit: int | None = None
