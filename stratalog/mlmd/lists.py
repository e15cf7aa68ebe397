"""The methods that list nodes, with an order, pages and a filter: ListOperationOptions.

Without options the answer is everything, and no token. A page of a context's members is cut from the state, which costs
microseconds; every other page is a query.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from stratalog.eventlog.errors import ErrorCode, InvalidInputError
from stratalog.eventlog.events import Kind, Node
from stratalog.mlmd.call import Call, Message
from stratalog.mlmd.convert import VOCABULARIES
from stratalog.mlmd.gets import Method, select
from stratalog.query.page_token import Place, open_token
from stratalog.store.store import Store

SMALL_CONTEXT_NODE_COUNT = 1000
"""Up to this many members are read whole to order them by time: about 5 µs each, against some ms for a query."""

_ORDERS = {1: "create_time", 2: "update_time", 3: "id"}


class Options(NamedTuple):
    """List options, checked."""

    order: str
    descending: bool
    limit: int
    where: str | None
    page_token: str | None


def read_options(message: Message, page_node_count_max: int) -> Options:
    """Read ListOperationOptions; a page holds `page_node_count_max` nodes at most, whatever is asked for.

    Raises:
        InvalidInputError: a page of less than one node, or an order of nothing.
    """
    size = message.max_result_size
    if size < 1:
        raise InvalidInputError(
            f"max_result_size {size} where 1 or more was expected",
            code=ErrorCode.INVALID_VALUE,
            hint=f"leave it out for 20; a page holds at most {page_node_count_max}",
        )
    order_by = message.order_by_field
    order = _ORDERS.get(order_by.field)
    if order is None:
        raise InvalidInputError(
            "order_by_field FIELD_UNSPECIFIED where CREATE_TIME, LAST_UPDATE_TIME or ID was expected",
            code=ErrorCode.INVALID_VALUE,
        )
    return Options(
        order,
        not order_by.is_asc,
        min(size, page_node_count_max),
        message.filter_query or None,
        message.next_page_token or None,
    )


def get_all(kind: Kind) -> Method:
    """GetXs."""
    return _lister(kind, lambda _: {})


def get_by_type(kind: Kind) -> Method:
    """GetXsByType: empty when there is no such type."""
    return _lister(kind, lambda request: {"type": request.type_name, "type_version": request.type_version})


def get_by_context(kind: Kind) -> Method:
    """GetXsByContext: empty for a context that is empty or not there."""
    return _lister(kind, lambda request: {"context": request.context_id})


def _lister(kind: Kind, conditions_of: Callable[[Message], dict[str, Any]]) -> Method:
    field = f"{VOCABULARIES[kind].word}s"

    def method(call: Call, request: Message, response: Message) -> None:
        conditions = conditions_of(request)
        if not request.HasField("options"):
            call.fill_nodes(getattr(response, field), kind, select(call, kind, **conditions))
            return
        nodes, token = _page(call, kind, read_options(request.options, call.served.page_node_count_max), conditions)
        call.fill_nodes(getattr(response, field), kind, nodes)
        if token is not None:
            response.next_page_token = token

    return method


def _page(call: Call, kind: Kind, options: Options, conditions: dict[str, Any]) -> tuple[list[Node], str | None]:
    if options.where is None and "context" in conditions and isinstance(call.reads, Store):
        page = _page_of_context(call, kind, options, conditions["context"])
        if page is not None:
            return page
    found = call.reads.find(
        kind,
        options.where,
        order_by=options.order,
        descending=options.descending,
        limit=options.limit,
        page_token=options.page_token,
        **conditions,
    )
    return found.nodes(), found.next_page_token


def _page_of_context(call: Call, kind: Kind, options: Options, context_id: int) -> tuple[list[Node], str | None] | None:
    """A page of a context's members; None if there are too many to order them by time here."""
    order, descending, limit, _, token = options
    place = None if token is None else open_token(token, order, descending)
    after = None if place is None else place.nkey >> 2
    if order == "id":
        ids = call.reads.get_member_ids(context_id, kind, after=after, limit=limit + 1, descending=descending)
        found = {node.id: node for node in select(call, kind, ids=ids[:limit])}
        chosen, has_more = ids[:limit], len(ids) > limit
    else:
        ids = call.reads.get_member_ids(context_id, kind, limit=SMALL_CONTEXT_NODE_COUNT + 1)
        if len(ids) > SMALL_CONTEXT_NODE_COUNT:
            return None
        found = {node.id: node for node in select(call, kind, ids=ids)}
        times = sorted(((_time(node, order), node.id) for node in found.values()), reverse=descending)
        if place is not None:
            last = (place.keys[0], after)
            times = [time for time in times if (time < last if descending else time > last)]
        chosen, has_more = [id for _, id in times[:limit]], len(times) > limit
    nodes = [found[id] for id in chosen]
    if not has_more:
        return nodes, None
    keys = [] if order == "id" else [_time(nodes[-1], order)]
    return nodes, Place(order, descending, keys, nodes[-1].id << 2 | kind).token()


def _time(node: Node, order: str) -> int:
    return node.create_time_ms if order == "create_time" else node.update_time_ms
