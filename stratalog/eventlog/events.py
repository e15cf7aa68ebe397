"""The events: what each kind holds, its name and version on disk, and how old forms are read.

A *fact* is the payload of one event, decoded. Facts about an entity (a type, an artifact, an execution, a context)
hold the whole new version of it; the others add a link or points. Payloads are msgpack arrays in the order of the
fields below: a new field goes to the end, with a default; any other change is a new version in `SPECS` and an
upcaster in `UPCASTERS`. The names in `SPECS` are promises.

Source: docs/format.md, "Events".
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class Kind(IntEnum):
    """The three kinds of nodes. The numbers are promises."""

    ARTIFACT = 1
    EXECUTION = 2
    CONTEXT = 3

    @property
    def word(self) -> str:
        """The kind's name as it stands in messages and in SQL: `artifact`, `execution`, `context`."""
        return self.name.lower()


class SubjectKind(IntEnum):
    """What an event is about. The first three are the kinds of nodes."""

    NONE = 0
    ARTIFACT = 1
    EXECUTION = 2
    CONTEXT = 3
    TYPE = 4


class PropertyType(IntEnum):
    """The types that a property may be declared with; MLMD's numbers."""

    INT = 1
    DOUBLE = 2
    STRING = 3
    STRUCT = 4
    PROTO = 5
    BOOLEAN = 6


class ArtifactState(IntEnum):
    """MLMD's states of an artifact."""

    UNKNOWN = 0
    PENDING = 1
    LIVE = 2
    MARKED_FOR_DELETION = 3
    DELETED = 4
    ABANDONED = 5
    REFERENCE = 6


class ExecutionState(IntEnum):
    """MLMD's last known states of an execution."""

    UNKNOWN = 0
    NEW = 1
    RUNNING = 2
    COMPLETE = 3
    FAILED = 4
    CACHED = 5
    CANCELED = 6


class LinkType(IntEnum):
    """How an execution used an artifact; MLMD's Event.Type."""

    DECLARED_OUTPUT = 1
    DECLARED_INPUT = 2
    INPUT = 3
    OUTPUT = 4
    INTERNAL_INPUT = 5
    INTERNAL_OUTPUT = 6
    PENDING_OUTPUT = 7

    @property
    def is_input(self) -> bool:
        """True for the types by which an execution read the artifact."""
        return self in INPUT_TYPES


INPUT_TYPES = frozenset({LinkType.DECLARED_INPUT, LinkType.INPUT, LinkType.INTERNAL_INPUT})
OUTPUT_TYPES = frozenset(LinkType) - INPUT_TYPES


class Proto(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A property value that is a serialised protobuf message (MLMD's proto_value)."""

    type_url: str
    value: bytes


Value = int | float | str | bool | dict[str, Any] | Proto
"""A property's value; a dict is a Struct: text keys, and None, numbers, text, booleans, lists and dicts in it."""


class Node(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One version of an artifact, an execution or a context: the fields that all three share.

    `id` 0 means: not stored yet. Times are milliseconds since 1970 UTC, set by the store. `state` and `uri` stay
    None where the kind has none.
    """

    id: int = 0
    type_id: int = 0
    name: str | None = None
    external_id: str | None = None
    properties: dict[str, Value] = {}
    custom_properties: dict[str, Value] = {}
    create_time_ms: int = 0
    update_time_ms: int = 0
    state: int | None = None
    uri: str | None = None


class Artifact(Node, frozen=True, kw_only=True, array_like=True, gc=False):
    """A data set, a model or another thing that steps read and make; `state` is an `ArtifactState`."""


class Execution(Node, frozen=True, kw_only=True, array_like=True, gc=False):
    """One run of a step; `state` is an `ExecutionState`."""


class Context(Node, frozen=True, kw_only=True, array_like=True, gc=False):
    """What groups artifacts and executions: an experiment, a pipeline, a project."""


class Type(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One version of a type of nodes: its identity is (kind, name, version).

    `properties` maps a name to a `PropertyType`. `base_type` is the name of a system type. `input_type` and
    `output_type` are kept as given (serialised ArtifactStructType), never interpreted.
    """

    kind: int
    id: int = 0
    name: str = ""
    version: str | None = None
    description: str | None = None
    external_id: str | None = None
    properties: dict[str, int] = {}
    base_type: str | None = None
    input_type: bytes | None = None
    output_type: bytes | None = None


class Link(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """An execution used an artifact (MLMD's Event); (artifact, execution, type) is its identity.

    `path` is where in the execution's inputs or outputs the artifact stood: keys and indexes. `time_ms` is when it
    happened, in milliseconds since 1970 UTC.
    """

    execution_id: int = 0
    artifact_id: int = 0
    type: int = 0
    path: list[int | str] = []
    time_ms: int | None = None


class Attribution(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An artifact belongs to a context."""

    context_id: int
    artifact_id: int


class Association(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An execution belongs to a context."""

    context_id: int
    execution_id: int


class ParentContext(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A context lies below another."""

    child_id: int
    parent_id: int


class MetricPoints(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Points of one metric of one execution: three arrays of one length; times in µs since 1970 UTC."""

    execution_id: int
    key: str
    steps: list[int]
    times_us: list[int]
    values: list[float]


class RequestAnswer(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """The answer to a command that carried a request id, so that a repeat gets the same one.

    `digest` is SHA-256 over the command's name and arguments; `answer` is msgpack.
    """

    request_id: str
    command: str
    digest: bytes
    answer: bytes


class UnknownFact(msgspec.Struct, frozen=True, gc=False):
    """An event of a kind or version that this release does not know: kept and copied, never interpreted."""

    kind: str
    version: int
    subject_kind: int
    subject_id: int
    payload: bytes


Fact = (
    Artifact
    | Execution
    | Context
    | Type
    | Link
    | Attribution
    | Association
    | ParentContext
    | MetricPoints
    | RequestAnswer
    | UnknownFact
)


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An event as the log keeps it.

    `prev` is the seq of the version of the entity that this one replaces, None for a first version and for links and
    points. `payload` is a fact in msgpack.
    """

    kind: str
    version: int
    subject_kind: int
    subject_id: int
    prev: int | None
    payload: bytes


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event with its place, decoded: what the projections fold."""

    seq: int
    fact: Fact
    prev: int | None = None


class Change(msgspec.Struct, frozen=True, gc=False):
    """What a command decided: a fact to record, and the event that records it."""

    fact: Fact
    event: Event


class Spec(NamedTuple):
    """How a fact stands in the log: the event's name, version and subject."""

    kind: str
    version: int
    subject_kind: int
    subject_id: Callable[[Any], int]


SPECS: dict[type, Spec] = {
    Artifact: Spec("artifact_put", 1, int(SubjectKind.ARTIFACT), attrgetter("id")),
    Execution: Spec("execution_put", 1, int(SubjectKind.EXECUTION), attrgetter("id")),
    Context: Spec("context_put", 1, int(SubjectKind.CONTEXT), attrgetter("id")),
    Type: Spec("type_put", 1, int(SubjectKind.TYPE), attrgetter("id")),
    Link: Spec("link_added", 1, int(SubjectKind.EXECUTION), attrgetter("execution_id")),
    Attribution: Spec("attribution_added", 1, int(SubjectKind.CONTEXT), attrgetter("context_id")),
    Association: Spec("association_added", 1, int(SubjectKind.CONTEXT), attrgetter("context_id")),
    ParentContext: Spec("parent_context_added", 1, int(SubjectKind.CONTEXT), attrgetter("child_id")),
    MetricPoints: Spec("metrics_logged", 1, int(SubjectKind.EXECUTION), attrgetter("execution_id")),
    RequestAnswer: Spec("request_answered", 1, int(SubjectKind.NONE), lambda _: 0),
}

KINDS: dict[str, tuple[type, int]] = {spec.kind: (fact, spec.version) for fact, spec in SPECS.items()}
"""Name on disk -> the fact's class and its version today."""

Upcaster = Callable[[bytes], bytes]

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(kind, version) -> the payload of that version in the form of version + 1. Pure; never changes bytes on disk."""

NODE_CLASSES: dict[Kind, type[Node]] = {Kind.ARTIFACT: Artifact, Kind.EXECUTION: Execution, Kind.CONTEXT: Context}
KIND_OF: dict[type, Kind] = {cls: kind for kind, cls in NODE_CLASSES.items()}

_encoder = msgspec.msgpack.Encoder()
encode_payload = _encoder.encode
"""A fact (or an answer) in msgpack."""

_decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(fact) for kind, (fact, _) in KINDS.items()
}


def to_event(fact: Fact, prev: int | None = None) -> Event:
    """Encode a fact as the log keeps it; an unknown fact keeps the bytes it came with.

    Args:
        fact: the fact.
        prev: the seq of the version of the entity that this one replaces.

    Raises:
        TypeError, OverflowError, UnicodeEncodeError: something in the fact cannot be encoded.
    """
    if isinstance(fact, UnknownFact):
        return Event(fact.kind, fact.version, fact.subject_kind, fact.subject_id, prev, fact.payload)
    spec = SPECS[type(fact)]
    return Event(spec.kind, spec.version, spec.subject_kind, spec.subject_id(fact), prev, encode_payload(fact))


def to_fact(event: Event) -> Fact:
    """Decode an event's payload, bringing an old form to today's.

    A kind that is not known, or a version above ours, gives an `UnknownFact`.

    Raises:
        msgspec.DecodeError: the payload is not what the kind says; the caller knows where it stands.
    """
    known = KINDS.get(event.kind)
    if known is None or event.version > known[1]:
        return UnknownFact(event.kind, event.version, event.subject_kind, event.subject_id, event.payload)
    payload = event.payload
    for version in range(event.version, known[1]):
        payload = UPCASTERS[event.kind, version](payload)
    fact: Fact = _decoders[event.kind].decode(payload)
    return fact
