"""Request ids: a repeat of a command gets the first answer and writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from stratalog.commands.draft import Draft
from stratalog.commands.values import check_text
from stratalog.eventlog.errors import AlreadyExistsError, ErrorCode, InvalidInputError
from stratalog.eventlog.events import RequestAnswer, encode_payload

A = TypeVar("A")


def digest(command: str, arguments: object) -> bytes:
    """SHA-256 over a command's name and arguments, by which a repeat is told from another request."""
    return hashlib.sha256(command.encode() + b"\0" + _encoder.encode(arguments)).digest()


def once(
    draft: Draft,
    request_id: str,
    command: str,
    arguments: object,
    decide: Callable[[Draft], A],
    answer_type: type[A],
) -> A:
    """Decide, and record the answer under `request_id`; or give the answer that is recorded.

    Args:
        draft: the command's desk.
        request_id: the caller's name for this request, unique in the store.
        command: the command's name.
        arguments: all that the caller gave, to tell a repeat from a mistake.
        decide: decides and returns the answer.
        answer_type: what the answer is, to decode it.

    Raises:
        InvalidInputError: the request id is empty or no text.
        AlreadyExistsError: the request id was used for another request (code `request_id_reused`).
    """
    if not check_text(request_id, "request_id"):
        raise InvalidInputError("request_id: empty text", hint="leave it out, or give each request its own")
    try:
        own_digest = digest(command, arguments)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        # Arguments that cannot be encoded cannot be stored either: the command says best what is wrong.
        decide(draft)
        raise InvalidInputError(
            f"request_id {request_id!r}: the arguments cannot be told from others: {error}",
            code=ErrorCode.INVALID_VALUE,
            hint="leave the request id out",
        ) from None
    known = draft.state.answer(request_id)
    if known is None:
        answer = decide(draft)
        draft.add_other(
            RequestAnswer(request_id=request_id, command=command, digest=own_digest, answer=encode_payload(answer))
        )
        return answer
    if known.digest != own_digest:
        raise AlreadyExistsError(
            f"request_id {request_id!r}: it was used for another {known.command} already",
            code=ErrorCode.REQUEST_ID_REUSED,
            hint="give each request an id of its own, and repeat a request with the same arguments only",
        )
    return msgspec.msgpack.decode(known.answer, type=answer_type)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # arrays and numbers of numpy and the like
        return value.tolist()
    return repr(value)


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain, order="deterministic")
