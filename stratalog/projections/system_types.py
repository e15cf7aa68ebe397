"""The nine types that every store knows from the start: constants, never in the log.

A user's type may name one of them as its base type. Ids 1-9 are theirs; the first type that a user puts gets
`FIRST_USER_TYPE_ID`.
"""

from __future__ import annotations

from stratalog.eventlog.events import Kind, Type

_ARTIFACT_NAMES = ("mlmd.Dataset", "mlmd.Model", "mlmd.Metrics", "mlmd.Statistics")
_EXECUTION_NAMES = ("mlmd.Train", "mlmd.Transform", "mlmd.Process", "mlmd.Evaluate", "mlmd.Deploy")

SYSTEM_TYPES: tuple[Type, ...] = tuple(
    Type(id=place, kind=int(kind), name=name)
    for place, (kind, name) in enumerate(
        [(Kind.ARTIFACT, name) for name in _ARTIFACT_NAMES] + [(Kind.EXECUTION, name) for name in _EXECUTION_NAMES],
        start=1,
    )
)
"""The system types by rising id."""

FIRST_USER_TYPE_ID = len(SYSTEM_TYPES) + 1
"""The id of the first type that is not a system type."""
