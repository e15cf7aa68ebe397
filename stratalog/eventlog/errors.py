"""The error tree: a class says what a caller can do about it, a code says exactly what happened.

Codes are promises: they are only ever added. `CODES` is the one table that maps a code to its class and to the
status it has on other surfaces (gRPC, HTTP, exit code of the command line).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class ErrorCode(StrEnum):
    """What happened, in one word that never changes."""

    # invalid input: fix the call
    INVALID_ARGUMENT = "invalid_argument"
    MISSING_FIELD = "missing_field"
    INVALID_VALUE = "invalid_value"
    UNKNOWN_PROPERTY = "unknown_property"
    PROPERTY_TYPE_MISMATCH = "property_type_mismatch"
    UNKNOWN_REFERENCE = "unknown_reference"
    TYPE_MISMATCH = "type_mismatch"
    CONTEXT_CYCLE = "context_cycle"
    INVALID_FILTER = "invalid_filter"
    INVALID_SQL = "invalid_sql"
    INVALID_PAGE_TOKEN = "invalid_page_token"
    INVALID_TIME = "invalid_time"
    INVALID_URI = "invalid_uri"
    INDEX_OUT_OF_RANGE = "index_out_of_range"
    UNSUPPORTED_REQUEST = "unsupported_request"
    READ_ONLY = "read_only"
    STORE_CLOSED = "store_closed"
    MISSING_DEPENDENCY = "missing_dependency"
    # not there
    NOT_FOUND = "not_found"
    TYPE_NOT_FOUND = "type_not_found"
    STORE_NOT_FOUND = "store_not_found"
    # there already
    ALREADY_EXISTS = "already_exists"
    TYPE_CONFLICT = "type_conflict"
    REQUEST_ID_REUSED = "request_id_reused"
    # somebody else was there first: read again, try again
    CONFLICT = "conflict"
    STALE_UPDATE = "stale_update"
    # the place that keeps the bytes
    STORAGE_FAILED = "storage_failed"
    DISK_FULL = "disk_full"
    SYNC_FAILED = "sync_failed"
    WRITER_DEAD = "writer_dead"
    PERMISSION_DENIED = "permission_denied"
    NOT_A_STORE = "not_a_store"
    FORMAT_TOO_NEW = "format_too_new"
    # the bytes are not what was written
    CORRUPT_LOG = "corrupt_log"
    MISSING_FILE = "missing_file"
    UNKNOWN_EVENT_KIND = "unknown_event_kind"
    # ours to mend
    INTERNAL = "internal"


class StoreError(Exception):
    """Base of every error that Stratalog raises on purpose.

    Args:
        message: where, what against what was expected; lower case, values in `repr`.
        code: what happened, stable for ever.
        hint: how to mend it; shown as a note under the message.
    """

    default_code = ErrorCode.INTERNAL

    def __init__(self, message: str, *, code: ErrorCode | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code: ErrorCode = self.default_code if code is None else code
        self.hint = hint
        if hint is not None:
            self.add_note(f"hint: {hint}")

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, str(self.code), self.hint))


def _rebuild(cls: type[StoreError], message: str, code: str, hint: str | None) -> StoreError:
    return cls(message, code=ErrorCode(code), hint=hint)


class ConflictError(StoreError):
    """Somebody else changed it first: read again and retry."""

    default_code = ErrorCode.CONFLICT


class NotFoundError(StoreError, LookupError):
    """A thing that was asked for by its id or name is not there."""

    default_code = ErrorCode.NOT_FOUND


class AlreadyExistsError(StoreError):
    """A name, an external id or a link is taken."""

    default_code = ErrorCode.ALREADY_EXISTS


class InvalidInputError(StoreError, ValueError):
    """The call is wrong; fix it."""

    default_code = ErrorCode.INVALID_ARGUMENT


class StorageError(StoreError):
    """The place that keeps the bytes failed; a retry may help after it is mended."""

    default_code = ErrorCode.STORAGE_FAILED


class CorruptLogError(StoreError):
    """The bytes are not those that were written: stop, and restore a copy."""

    default_code = ErrorCode.CORRUPT_LOG


class InternalError(StoreError):
    """A bug of ours; please report it."""

    default_code = ErrorCode.INTERNAL


class CodeInfo(NamedTuple):
    """What a code means on every surface."""

    error_class: type[StoreError]
    grpc_status: str
    http_status: int
    exit_code: int


_INVALID = CodeInfo(InvalidInputError, "INVALID_ARGUMENT", 400, 2)
_NOT_FOUND = CodeInfo(NotFoundError, "NOT_FOUND", 404, 3)
_EXISTS = CodeInfo(AlreadyExistsError, "ALREADY_EXISTS", 409, 4)
_STORAGE = CodeInfo(StorageError, "UNAVAILABLE", 503, 6)
_CORRUPT = CodeInfo(CorruptLogError, "DATA_LOSS", 500, 7)

CODES: dict[ErrorCode, CodeInfo] = {
    ErrorCode.INVALID_ARGUMENT: _INVALID,
    ErrorCode.MISSING_FIELD: _INVALID,
    ErrorCode.INVALID_VALUE: _INVALID,
    ErrorCode.UNKNOWN_PROPERTY: _INVALID,
    ErrorCode.PROPERTY_TYPE_MISMATCH: _INVALID,
    ErrorCode.UNKNOWN_REFERENCE: _INVALID,
    ErrorCode.TYPE_MISMATCH: _INVALID,
    ErrorCode.CONTEXT_CYCLE: _INVALID,
    ErrorCode.INVALID_FILTER: _INVALID,
    ErrorCode.INVALID_SQL: _INVALID,
    ErrorCode.INVALID_PAGE_TOKEN: _INVALID,
    ErrorCode.INVALID_TIME: _INVALID,
    ErrorCode.INVALID_URI: _INVALID,
    ErrorCode.INDEX_OUT_OF_RANGE: CodeInfo(InvalidInputError, "OUT_OF_RANGE", 400, 2),
    ErrorCode.UNSUPPORTED_REQUEST: CodeInfo(InvalidInputError, "UNIMPLEMENTED", 501, 2),
    ErrorCode.READ_ONLY: CodeInfo(InvalidInputError, "FAILED_PRECONDITION", 403, 2),
    ErrorCode.STORE_CLOSED: CodeInfo(InvalidInputError, "FAILED_PRECONDITION", 503, 2),
    ErrorCode.MISSING_DEPENDENCY: CodeInfo(InvalidInputError, "FAILED_PRECONDITION", 501, 2),
    ErrorCode.NOT_FOUND: _NOT_FOUND,
    ErrorCode.TYPE_NOT_FOUND: _NOT_FOUND,
    ErrorCode.STORE_NOT_FOUND: _NOT_FOUND,
    ErrorCode.ALREADY_EXISTS: _EXISTS,
    ErrorCode.TYPE_CONFLICT: _EXISTS,
    ErrorCode.REQUEST_ID_REUSED: _EXISTS,
    ErrorCode.CONFLICT: CodeInfo(ConflictError, "ABORTED", 409, 5),
    ErrorCode.STALE_UPDATE: CodeInfo(ConflictError, "FAILED_PRECONDITION", 412, 5),
    ErrorCode.STORAGE_FAILED: _STORAGE,
    ErrorCode.DISK_FULL: CodeInfo(StorageError, "RESOURCE_EXHAUSTED", 507, 6),
    ErrorCode.SYNC_FAILED: _STORAGE,
    ErrorCode.WRITER_DEAD: _STORAGE,
    ErrorCode.PERMISSION_DENIED: CodeInfo(StorageError, "PERMISSION_DENIED", 403, 6),
    ErrorCode.NOT_A_STORE: CodeInfo(StorageError, "FAILED_PRECONDITION", 503, 6),
    ErrorCode.FORMAT_TOO_NEW: CodeInfo(StorageError, "FAILED_PRECONDITION", 503, 6),
    ErrorCode.CORRUPT_LOG: _CORRUPT,
    ErrorCode.MISSING_FILE: _CORRUPT,
    ErrorCode.UNKNOWN_EVENT_KIND: _CORRUPT,
    ErrorCode.INTERNAL: CodeInfo(InternalError, "INTERNAL", 500, 8),
}
