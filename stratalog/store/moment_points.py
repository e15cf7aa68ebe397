"""Point reads as of a moment of the past, answered from the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stratalog.eventlog.events import Kind, Link, Node, PropertyType, Type
from stratalog.projections.state import Types
from stratalog.projections.tail import ARTIFACT
from stratalog.query.nodes import load_nodes
from stratalog.query.snapshot import Snapshot
from stratalog.store.points import in_range

_path_decoder: msgspec.json.Decoder[list[int | str]] = msgspec.json.Decoder(list[int | str])


class MomentPoints:
    """Point reads as of a snapshot's seq."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._types: Types | None = None

    def types(self) -> Types:
        """The types as they were."""
        if self._types is None:
            rows = self._snapshot.query(
                f"select id, kind, name, version, description, external_id, properties, base_type, input_type, "
                f"output_type, seq from {self._snapshot.table('type')} where seq > 0 order by id"
            ).to_pylist()
            self._types = Types((row.pop("seq"), _type(row)) for row in rows)
        return self._types

    def node(self, kind: Kind, id: int) -> Node | None:
        """A node by id."""
        return next(iter(self.nodes(kind, [id])), None)

    def nodes(self, kind: Kind, ids: Sequence[int]) -> list[Node]:
        """Those of `ids` that are there, each once."""
        known = sorted({id for id in ids if in_range(id)})
        return load_nodes(self._snapshot, kind, known) if known else []

    def _ids(self, condition: str, *parameters: object) -> list[int]:
        table = self._snapshot.query(
            f"select id from {self._snapshot.table('node')} where {condition} order by id", list(parameters)
        )
        ids: list[int] = table["id"].to_pylist()
        return ids

    def by_name(self, kind: Kind, type_id: int, name: str) -> Node | None:
        """The node of a type with a name."""
        ids = self._ids("kind = $1 and type_id = $2 and name = $3", int(kind), type_id, name)
        return self.node(kind, ids[0]) if ids else None

    def by_external(self, kind: Kind, external_id: str) -> Node | None:
        """The node of a kind with an external id."""
        ids = self._ids("kind = $1 and external_id = $2", int(kind), external_id)
        return self.node(kind, ids[0]) if ids else None

    def by_uri(self, uri: str) -> list[Node]:
        """The artifacts with a uri."""
        return self.nodes(Kind.ARTIFACT, self._ids("kind = $1 and uri = $2", ARTIFACT, uri))

    def ids_by_type(self, kind: Kind, type_id: int) -> list[int]:
        """Ids of the nodes of a type."""
        return self._ids("kind = $1 and type_id = $2", int(kind), type_id)

    def ids_of_kind(self, kind: Kind) -> list[int]:
        """Ids of all nodes of a kind."""
        return self._ids("kind = $1", int(kind))

    def _links(self, column: str, id: int) -> list[Link]:
        if not in_range(id):
            return []
        rows = self._snapshot.query(
            f"select execution, artifact, type, path, ms from {self._snapshot.table('edge')} "
            f"where {column} = $1 order by seq",
            [id],
        ).to_pylist()
        return [
            Link(
                execution_id=row["execution"],
                artifact_id=row["artifact"],
                type=row["type"],
                path=_path_decoder.decode(row["path"] or "[]"),
                time_ms=row["ms"],
            )
            for row in rows
        ]

    def links_of_execution(self, execution_id: int) -> list[Link]:
        """Links of an execution."""
        return self._links("execution", execution_id)

    def links_of_artifact(self, artifact_id: int) -> list[Link]:
        """Links of an artifact."""
        return self._links("artifact", artifact_id)

    def members(self, context_id: int, kind: Kind) -> list[int]:
        """Ids of the nodes of a kind in a context; contexts among them are its children."""
        if not in_range(context_id):
            return []
        table = self._snapshot.query(
            f"select nkey >> 2 as id from {self._snapshot.table('link')} where context = $1 and nkey & 3 = $2 "
            "order by id",
            [context_id, int(kind)],
        )
        ids: list[int] = table["id"].to_pylist()
        return ids

    def member_page(self, context_id: int, kind: Kind, after: int | None, limit: int, descending: bool) -> list[int]:
        """The first `limit` of `members` that come after the id `after` (None: from the start); descending if asked."""
        ids = self.members(context_id, kind)
        if descending:
            ids.reverse()
        if after is not None:
            ids = [id for id in ids if (id < after if descending else id > after)]
        return ids[:limit]

    def contexts(self, kind: Kind, id: int) -> list[int]:
        """Ids of the contexts that hold a node; for a context these are its parents."""
        if not in_range(id):
            return []
        table = self._snapshot.query(
            f"select context from {self._snapshot.table('link')} where nkey = $1 order by context", [id << 2 | kind]
        )
        ids: list[int] = table["context"].to_pylist()
        return ids


def _type(row: dict[str, Any]) -> Type:
    words = msgspec.json.decode(row["properties"], type=dict[str, str])
    return Type(**{**row, "properties": {name: int(PropertyType[word]) for name, word in words.items()}})
