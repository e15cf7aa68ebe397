"""Tokens of pages: a place in an order, as text that callers hand back as it is.

A token holds the place of the last node of a page and the order, nothing of the filter.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any, NamedTuple

import msgspec

from stratalog.eventlog.errors import ErrorCode, InvalidInputError

_FORMAT = 1


class Place(NamedTuple):
    """A place in an order: a node's key in the tables, and its values of the keys that come before it."""

    order: str
    descending: bool
    keys: list[Any]
    nkey: int

    def token(self) -> str:
        """The place as text for URLs."""
        body = msgspec.msgpack.encode([_FORMAT, *self])
        return base64.urlsafe_b64encode(body + zlib.crc32(body).to_bytes(4, "big")).decode().rstrip("=")


def open_token(token: str, order: str, descending: bool) -> Place:
    """The place that a token stands for.

    Raises:
        InvalidInputError: the token is none of ours, or of another order (code `invalid_page_token`).
    """
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        body, check = data[:-4], data[-4:]
        if zlib.crc32(body).to_bytes(4, "big") != check:
            raise ValueError
        format, *fields = msgspec.msgpack.decode(body)
        if format != _FORMAT:
            raise ValueError
        place = Place(*fields)
    except (ValueError, TypeError, msgspec.DecodeError) as error:
        raise InvalidInputError(
            f"find: page_token {token[:60]!r} is no token of ours",
            code=ErrorCode.INVALID_PAGE_TOKEN,
            hint="give next_page_token of the page before as it is",
        ) from error
    if (place.order, place.descending) != (order, descending):
        ways = {True: "descending", False: "ascending"}
        raise InvalidInputError(
            f"find: the page_token is of the order {place.order} {ways[place.descending]}, "
            f"not {order} {ways[descending]}",
            code=ErrorCode.INVALID_PAGE_TOKEN,
            hint="keep order_by and descending from page to page",
        )
    return place
