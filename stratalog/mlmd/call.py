"""What a method of the protocol is given: the store as it is served, who calls, and the names of types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import Kind, Node
from stratalog.mlmd.convert import WRITERS, write_type
from stratalog.store.reads import Reads
from stratalog.store.store import Store

Message = Any
"""A protobuf message."""


PAGE_NODE_COUNT_MAX = 100
"""How many nodes a page of the protocol holds at most, whatever is asked for."""


class Served:
    """A store, or a moment of it, as the protocol sees it. Any number of threads may use one.

    Args:
        reads: the store, or the moment.
        page_node_count_max: how many nodes a page holds at most.
    """

    def __init__(self, reads: Reads, *, page_node_count_max: int = PAGE_NODE_COUNT_MAX) -> None:
        self.reads = reads
        self.page_node_count_max = page_node_count_max
        # A type keeps its id and name for ever: once known, always known.
        self._type_names: dict[int, str] = {type.id: type.name for type in reads.get_types(with_system=True)}

    def type_name(self, type_id: int) -> str:
        """The name of a type that some node has."""
        name = self._type_names.get(type_id)
        if name is None:
            name = self._type_names[type_id] = self.reads.get_types(ids=[type_id])[0].name
        return name


class Call:
    """One call of a method."""

    __slots__ = ("actor", "reads", "served")

    def __init__(self, served: Served, actor: str | None = None) -> None:
        self.served = served
        self.reads = served.reads
        self.actor = actor
        """Who calls; None: the store's own actor."""

    @property
    def store(self) -> Store:
        """The store, to write to it.

        Raises:
            InvalidInputError: a moment of the past is served (code `read_only`).
        """
        if not isinstance(self.reads, Store):
            raise InvalidInputError(
                f"this server shows the store as it was at seq {getattr(self.reads, 'seq', '?')}: nothing can be put",
                code=ErrorCode.READ_ONLY,
                hint="write through a server without --as-of",
            )
        return self.reads

    def fill_nodes(self, target: Any, kind: Kind, nodes: Iterable[Node]) -> None:
        """Add nodes to a repeated field."""
        write, add, type_name = WRITERS[kind], target.add, self.served.type_name
        for node in nodes:
            write(add(), node, type_name(node.type_id))

    def fill_node(self, target: Message, kind: Kind, node: Node) -> None:
        """Fill one message."""
        WRITERS[kind](target, node, self.served.type_name(node.type_id))

    def fill_types(self, target: Any, kind: Kind, ids: Iterable[int] | None = None) -> None:
        """Add types of a kind to a repeated field: those with some ids, in their order, or all, the system's too."""
        for type in self.reads.get_types(kind, ids=ids, with_system=True):
            write_type(target.add(), type)
