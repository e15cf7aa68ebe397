"""How the in-process client calls methods: requests of ours made from messages of any family, results handed back."""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from stratalog.eventlog.errors import InvalidInputError, StoreError
from stratalog.mlmd.call import Message, Served
from stratalog.mlmd.errors import to_status_error
from stratalog.mlmd.pool import message_class
from stratalog.mlmd.service import METHODS, answer
from stratalog.store.opening import open_store
from stratalog.store.reads import Reads
from stratalog.store.store import Store

_ALL = 2**31 - 1
"""The largest page that can be asked for. Within the process a listing is one page: one query, one moment."""


class OrderByField(enum.Enum):
    """What a listing is ordered by."""

    CREATE_TIME = 1
    UPDATE_TIME = 2
    ID = 3


class ListOptions(NamedTuple):
    """How a listing is cut, ordered and filtered.

    Args:
        limit: how many nodes at most; None and 0: all.
        order_by: an `OrderByField`, ours or MLMD's; None: by id.
        is_asc: the smallest first.
        filter_query: only nodes that match.
    """

    limit: int | None = None
    order_by: OrderByField | None = None
    is_asc: bool = True
    filter_query: str | None = None


class Caller:
    """A store, and the calls that the client's methods are made of; see `MetadataStore`."""

    def __init__(
        self,
        store: str | os.PathLike[str] | Reads | None = None,
        enable_upgrade_migration: bool = False,  # noqa: ARG002  # MLMD's signature
        *,
        messages: Any = None,
    ) -> None:
        self._is_owner = not isinstance(store, Reads)
        self.store: Reads = store if isinstance(store, Reads) else open_store(store)
        self._served = Served(self.store, page_node_count_max=_ALL)
        self._messages = messages

    def close(self) -> None:
        """Close the store, if this object has opened it."""
        if self._is_owner and isinstance(self.store, Store):
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, name: str, request: Message) -> Message:
        try:
            return answer(self._served, METHODS[name], request)
        except StoreError as error:
            raise to_status_error(error) from error

    def _ask(self, name: str, **fields: Any) -> Message:
        request = METHODS[name].request(**{field: value for field, value in fields.items() if value is not None})
        return self._call(name, request)

    def _results(self, name: str, field: str, **fields: Any) -> list[Message]:
        response = self._ask(name, **fields)
        return self._give(_MESSAGE_OF[field], getattr(response, field))

    def _one(self, title: str, **fields: Any) -> Message | None:
        response = self._ask(f"Get{title}ByTypeAndName", **fields)
        field = title.lower()
        return self._give(title, [getattr(response, field)])[0] if response.HasField(field) else None

    def _give(self, title: str, messages: Iterable[Message]) -> list[Message]:
        """Messages of ours in the family that the caller uses."""
        family = self._messages or sys.modules.get("ml_metadata.proto.metadata_store_pb2")
        cls = getattr(family, title, None)
        if cls is None or cls is message_class(f"ml_metadata.{title}"):
            return list(messages)
        return [cls.FromString(message.SerializeToString()) for message in messages]

    def _put_type(self, title: str, type: Message, can_add_fields: bool, can_omit_fields: bool) -> int:
        name = f"Put{title}Type"
        request = METHODS[name].request(can_add_fields=can_add_fields, can_omit_fields=can_omit_fields)
        take(getattr(request, f"{title.lower()}_type"), type)
        type_id: int = self._call(name, request).type_id
        return type_id

    def _get_type(self, title: str, type_name: str, type_version: str | None) -> Message:
        response = self._ask(f"Get{title}Type", type_name=type_name, type_version=type_version)
        [found] = self._give(f"{title}Type", [getattr(response, f"{title.lower()}_type")])
        return found

    def _put_nodes(self, title: str, nodes: Sequence[Message], field_mask_paths: Sequence[str] | None) -> list[int]:
        name, word = f"Put{title}s", title.lower()
        request = METHODS[name].request()
        take_all(getattr(request, f"{word}s"), nodes)
        if field_mask_paths:
            request.update_mask.paths.extend(field_mask_paths)
        return list(getattr(self._call(name, request), f"{word}_ids"))

    def _list(self, name: str, field: str, options: Any, **fields: Any) -> list[Message]:
        if options is None:
            return self._results(name, field, **fields)
        limit = options.limit or 0
        if limit < 0:
            raise to_status_error(InvalidInputError(f"limit {limit} where 0 or more was expected"))
        request = METHODS[name].request(**fields)
        target = request.options
        target.max_result_size = limit or _ALL
        target.order_by_field.is_asc = options.is_asc
        if options.order_by is not None:
            target.order_by_field.field = options.order_by.value
        if options.filter_query is not None:
            target.filter_query = options.filter_query
        return self._give(_MESSAGE_OF[field], getattr(self._call(name, request), field))


_MESSAGE_OF = {
    "artifacts": "Artifact",
    "executions": "Execution",
    "contexts": "Context",
    "events": "Event",
    "artifact_types": "ArtifactType",
    "execution_types": "ExecutionType",
    "context_types": "ContextType",
}


def take(target: Message, message: Message) -> None:
    """Copy a message of either family into one of ours."""
    if message.__class__ is target.__class__:
        target.CopyFrom(message)
    else:
        target.MergeFromString(message.SerializeToString())


def take_all(target: Any, messages: Iterable[Message]) -> None:
    """Copy messages of either family into a repeated field of ours."""
    for message in messages:
        take(target.add(), message)
