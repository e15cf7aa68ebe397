"""Stratalog: the append-only metadata log for machine learning.

`stratalog.open` opens a store. Names are loaded on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stratalog.commands.executions import Edge, Pair, StepOptions
    from stratalog.eventlog.errors import (
        AlreadyExistsError,
        ConflictError,
        CorruptLogError,
        ErrorCode,
        InternalError,
        InvalidInputError,
        NotFoundError,
        StorageError,
        StoreError,
    )
    from stratalog.eventlog.events import (
        Artifact,
        ArtifactState,
        Association,
        Attribution,
        Context,
        Execution,
        ExecutionState,
        Kind,
        Link,
        LinkType,
        MetricPoints,
        ParentContext,
        PropertyType,
        Proto,
        Type,
    )
    from stratalog.query.lineage import StopAt
    from stratalog.store.answers import Piece, Put, Step
    from stratalog.store.moment import Moment
    from stratalog.store.opening import open_store as open
    from stratalog.store.store import Store

__version__ = "0.1.0"

_HOMES = {
    "stratalog.commands.executions": ("Edge", "Pair", "StepOptions"),
    "stratalog.eventlog.errors": (
        "AlreadyExistsError",
        "ConflictError",
        "CorruptLogError",
        "ErrorCode",
        "InternalError",
        "InvalidInputError",
        "NotFoundError",
        "StorageError",
        "StoreError",
    ),
    "stratalog.eventlog.events": (
        "Artifact",
        "ArtifactState",
        "Association",
        "Attribution",
        "Context",
        "Execution",
        "ExecutionState",
        "Kind",
        "Link",
        "LinkType",
        "MetricPoints",
        "ParentContext",
        "PropertyType",
        "Proto",
        "Type",
    ),
    "stratalog.query.lineage": ("StopAt",),
    "stratalog.store.answers": ("Piece", "Put", "Step"),
    "stratalog.store.moment": ("Moment",),
    "stratalog.store.store": ("Store",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AlreadyExistsError",
    "Artifact",
    "ArtifactState",
    "Association",
    "Attribution",
    "ConflictError",
    "Context",
    "CorruptLogError",
    "Edge",
    "ErrorCode",
    "Execution",
    "ExecutionState",
    "InternalError",
    "InvalidInputError",
    "Kind",
    "Link",
    "LinkType",
    "MetricPoints",
    "Moment",
    "NotFoundError",
    "Pair",
    "ParentContext",
    "Piece",
    "PropertyType",
    "Proto",
    "Put",
    "Step",
    "StepOptions",
    "StopAt",
    "StorageError",
    "Store",
    "StoreError",
    "Type",
    "__version__",
    "open",
]


def __getattr__(name: str) -> object:
    import importlib

    if name == "open":
        value: object = importlib.import_module("stratalog.store.opening").open_store
    elif name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
    else:
        raise AttributeError(f"module 'stratalog' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
