"""Errors as MLMD's client library raises them: one class a gRPC status.

With `ml_metadata` loaded in the process they are of its classes as well, so that `except ml_metadata.errors...` works.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from stratalog.eventlog.errors import CODES, StoreError


class StatusError(Exception):
    """Base of the errors; `error_code` is the number of the gRPC status."""

    error_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CancelledError(StatusError):
    """The caller gave up."""

    error_code = 1


class UnknownError(StatusError):
    """No status tells what it was."""

    error_code = 2


class InvalidArgumentError(StatusError):
    """The request is wrong."""

    error_code = 3


class DeadlineExceededError(StatusError):
    """It took too long."""

    error_code = 4


class NotFoundError(StatusError):
    """What was asked for is not there."""

    error_code = 5


class AlreadyExistsError(StatusError):
    """A name, an external id or a link is taken."""

    error_code = 6


class PermissionDeniedError(StatusError):
    """The caller may not do this."""

    error_code = 7


class UnauthenticatedError(StatusError):
    """The caller did not say who they are."""

    error_code = 16


class ResourceExhaustedError(StatusError):
    """A message is too large, or the disk is full."""

    error_code = 8


class FailedPreconditionError(StatusError):
    """The store is not as the call wants it: changed meanwhile, read-only, closed."""

    error_code = 9


class AbortedError(StatusError):
    """Another writer was there first: try again."""

    error_code = 10


class OutOfRangeError(StatusError):
    """An index lies outside its list."""

    error_code = 11


class UnimplementedError(StatusError):
    """The method or option is not supported."""

    error_code = 12


class InternalError(StatusError):
    """A bug of the store."""

    error_code = 13


class UnavailableError(StatusError):
    """The place that keeps the bytes failed."""

    error_code = 14


class DataLossError(StatusError):
    """The log is damaged."""

    error_code = 15


_CLASSES: dict[str, type[StatusError]] = {
    "CANCELLED": CancelledError,
    "UNKNOWN": UnknownError,
    "INVALID_ARGUMENT": InvalidArgumentError,
    "DEADLINE_EXCEEDED": DeadlineExceededError,
    "NOT_FOUND": NotFoundError,
    "ALREADY_EXISTS": AlreadyExistsError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "UNAUTHENTICATED": UnauthenticatedError,
    "RESOURCE_EXHAUSTED": ResourceExhaustedError,
    "FAILED_PRECONDITION": FailedPreconditionError,
    "ABORTED": AbortedError,
    "OUT_OF_RANGE": OutOfRangeError,
    "UNIMPLEMENTED": UnimplementedError,
    "INTERNAL": InternalError,
    "UNAVAILABLE": UnavailableError,
    "DATA_LOSS": DataLossError,
}


def status_of(error: StoreError) -> str:
    """The name of the gRPC status of an error."""
    return CODES[error.code].grpc_status


def describe(error: StoreError) -> str:
    """The text of an error, with how to mend it."""
    return error.message if error.hint is None else f"{error.message}; hint: {error.hint}"


def to_status_error(error: StoreError) -> Exception:
    """The error that MLMD's client library would raise."""
    return _class_of(status_of(error), sys.modules.get("ml_metadata.errors"))(describe(error))


@lru_cache(maxsize=64)
def _class_of(status: str, theirs: Any) -> type[Exception]:
    ours = _CLASSES[status]
    other = getattr(theirs, ours.__name__, None)
    if other is None:
        return ours
    # Theirs come first: their constructor is the one that they rely on.
    return type(ours.__name__, (other, ours), {"__module__": __name__, "__doc__": ours.__doc__})
