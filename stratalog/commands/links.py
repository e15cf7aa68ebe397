"""Putting links: events, attributions, associations, parent contexts. None is ever changed or taken away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from stratalog.commands.draft import Draft
from stratalog.commands.values import check_integer, check_text
from stratalog.eventlog.errors import AlreadyExistsError, ErrorCode, InvalidInputError
from stratalog.eventlog.events import Association, Attribution, Kind, Link, LinkType, ParentContext

_LINK_TYPES = frozenset(LinkType)


class _Ends(NamedTuple):
    """What a link is called in messages; the text is made only if there is one."""

    text: str
    first: int
    second: int

    def __str__(self) -> str:
        return self.text.format(self.first, self.second)


def put_link(draft: Draft, request: Link) -> None:
    """Decide on a link between an execution and an artifact (MLMD's event). Without a time it gets the commit's.

    Raises:
        InvalidInputError: an id or the type is missing or not there, or the path holds something else than int and str.
        AlreadyExistsError: this execution, artifact and type are linked already.
    """
    where = _Ends("link of execution {} and artifact {}", request.execution_id, request.artifact_id)
    link_type = check_integer(request.type, f"{where}, type")
    if link_type not in _LINK_TYPES:
        raise InvalidInputError(
            f"{where}: type {request.type!r} where one of {', '.join(f'{t.name} {t.value}' for t in LinkType)} "
            "was expected",
            code=ErrorCode.INVALID_VALUE if request.type else ErrorCode.MISSING_FIELD,
        )
    artifact_id = require_node(draft, Kind.ARTIFACT, request.artifact_id, where)
    execution_id = require_node(draft, Kind.EXECUTION, request.execution_id, where)
    if draft.has_link(execution_id, artifact_id, link_type):
        raise AlreadyExistsError(
            f"{where}: there is one of type {LinkType(link_type).name} already",
            hint="links are never changed; a repeat can be left out",
        )
    steps: object = request.path
    if isinstance(steps, str) or not isinstance(steps, Iterable):
        raise InvalidInputError(
            f"{where}: path {steps!r} where a list of keys and indexes was expected",
            code=ErrorCode.INVALID_VALUE,
            hint="write path=['inputs', 0]",
        )
    path: list[int | str] = [
        check_text(step, where) if isinstance(step, str) else check_integer(step, where) for step in steps
    ]
    time_ms = draft.time_ms if request.time_ms is None else check_integer(request.time_ms, where)
    draft.add_link(
        Link(
            execution_id=execution_id,
            artifact_id=artifact_id,
            type=link_type,
            path=path,
            time_ms=time_ms,
        )
    )


def put_links(draft: Draft, requests: Iterable[Link]) -> None:
    """Decide on several links, in order."""
    for request in requests:
        put_link(draft, request)


def put_attribution(draft: Draft, context_id: int, artifact_id: int) -> None:
    """Put an artifact into a context; one that is in it already stays.

    Raises:
        InvalidInputError: one of the two is not there.
    """
    where = _Ends("attribution of artifact {} to context {}", artifact_id, context_id)
    artifact_id = require_node(draft, Kind.ARTIFACT, artifact_id, where)
    context_id = require_node(draft, Kind.CONTEXT, context_id, where)
    join(draft, context_id, Kind.ARTIFACT, artifact_id)


def put_association(draft: Draft, context_id: int, execution_id: int) -> None:
    """Put an execution into a context; one that is in it already stays.

    Raises:
        InvalidInputError: one of the two is not there.
    """
    where = _Ends("association of execution {} to context {}", execution_id, context_id)
    execution_id = require_node(draft, Kind.EXECUTION, execution_id, where)
    context_id = require_node(draft, Kind.CONTEXT, context_id, where)
    join(draft, context_id, Kind.EXECUTION, execution_id)


def join(draft: Draft, context_id: int, kind: int, id: int) -> None:
    """Put a node, known to be there, into a context, known to be there."""
    if not draft.is_member(context_id, kind, id):
        fact = Attribution(context_id, id) if kind == Kind.ARTIFACT else Association(context_id, id)
        draft.add_member(fact)


def put_parent_context(draft: Draft, child_id: int, parent_id: int) -> None:
    """Put a context below another.

    Raises:
        InvalidInputError: one of the two is not there, or the parent lies below the child.
        AlreadyExistsError: it lies there already.
    """
    where = _Ends("parent context {} of context {}", parent_id, child_id)
    child_id = require_node(draft, Kind.CONTEXT, child_id, where)
    parent_id = require_node(draft, Kind.CONTEXT, parent_id, where)
    if draft.is_member(parent_id, Kind.CONTEXT, child_id):
        raise AlreadyExistsError(f"{where}: it is that already", hint="a repeat can be left out")
    above, seen = [parent_id], {parent_id}
    while above:
        context_id = above.pop()
        if context_id == child_id:
            raise InvalidInputError(
                f"{where}: context {child_id} would be its own ancestor",
                code=ErrorCode.CONTEXT_CYCLE,
                hint="swap child and parent, or leave one of the links out",
            )
        fresh = draft.parents(context_id) - seen
        seen |= fresh
        above.extend(fresh)
    draft.add_member(ParentContext(child_id, parent_id))


def require_node(draft: Draft, kind: Kind, id: int, where: object) -> int:
    """The id of a node that is there, as an int.

    Raises:
        InvalidInputError: `id` is missing, no int, or of no node of this kind.
    """
    if type(id) is not int:
        id = 0 if id is None else check_integer(id, f"{where}, {kind.word} id")
    if not id:
        raise InvalidInputError(f"{where}: no {kind.word} id", code=ErrorCode.MISSING_FIELD)
    if draft.get(kind, id) is None:
        raise InvalidInputError(
            f"{where}: there is no {kind.word} {id}",
            code=ErrorCode.UNKNOWN_REFERENCE,
            hint=f"put the {kind.word} first and give the id that this returns",
        )
    return id
