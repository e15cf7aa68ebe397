"""MLMD's protocol over a store: a gRPC server for its clients, and its Python client in the process.

Names are loaded on first use; they need the packages of the extra `mlmd` (protobuf, grpcio).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stratalog.mlmd import errors
    from stratalog.mlmd.client import ListOptions, MetadataStore, OrderByField
    from stratalog.mlmd.pool import proto
    from stratalog.mlmd.server import ServerSettings, serve

_HOMES = {
    "ListOptions": "client",
    "MetadataStore": "client",
    "OrderByField": "client",
    "proto": "pool",
    "ServerSettings": "server",
    "serve": "server",
}

__all__ = ["ListOptions", "MetadataStore", "OrderByField", "ServerSettings", "errors", "proto", "serve"]


def __getattr__(name: str) -> object:
    import importlib

    if name == "errors":
        return importlib.import_module("stratalog.mlmd.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'stratalog.mlmd' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"stratalog.mlmd.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
