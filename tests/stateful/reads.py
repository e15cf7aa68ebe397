"""Everything that can be asked of a store at one moment, against a world of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stratalog.eventlog.errors import NotFoundError
from stratalog.eventlog.events import Kind, Link, Node
from stratalog.store.reads import Reads
from stratalog.testing.model import World, same
from tests.stateful.calls import EXTERNALS


def check_points(reads: Reads, world: World) -> None:
    """All getters."""
    assert sorted(reads.get_types(), key=lambda t: t.id) == [world.types[id] for id in sorted(world.types)]
    one: dict[Kind, Callable[..., Node]] = {
        Kind.ARTIFACT: reads.get_artifact,
        Kind.EXECUTION: reads.get_execution,
        Kind.CONTEXT: reads.get_context,
    }
    many: dict[Kind, Callable[..., list[Any]]] = {
        Kind.ARTIFACT: reads.get_artifacts,
        Kind.EXECUTION: reads.get_executions,
        Kind.CONTEXT: reads.get_contexts,
    }
    for kind in Kind:
        expect(many[kind](), world.of_kind(kind))
        for node in world.of_kind(kind):
            expect([one[kind](node.id)], [node])
        with pytest.raises(NotFoundError):
            one[kind](len(world.nodes) + 1)
        names = {node.name for node in world.of_kind(kind) if node.name} | {"none"}
        for type in world.types.values():
            if type.kind == kind:
                of_type = world.where(kind, lambda node, t=type: node.type_id == t.id)  # type: ignore[misc]
                expect(many[kind](type=type.name, type_version=type.version), of_type)
                for name in sorted(names):
                    found = [node for node in of_type if node.name == name]
                    expect(maybe(one[kind], type=type.name, type_version=type.version, name=name), found)
        for external_id in EXTERNALS:
            found = world.where(kind, lambda node, x=external_id: node.external_id == x)  # type: ignore[misc]
            expect(maybe(one[kind], external_id=external_id), found)
        with_external = world.where(kind, lambda node: node.external_id in EXTERNALS)
        expect(many[kind](external_ids=[*EXTERNALS, "none"]), with_external)
    for uri in ("u", "v", "none"):
        expect(reads.get_artifacts(uri=uri), world.where(Kind.ARTIFACT, lambda node, u=uri: node.uri == u))  # type: ignore[misc]
    check_links(reads, world)


def check_links(reads: Reads, world: World) -> None:
    """Links and memberships, from both ends."""
    for node in world.of_kind(Kind.EXECUTION):
        assert reads.get_links(executions=node.id) == [x for x in world.links if x.execution_id == node.id]
        assert [c.id for c in reads.get_contexts(execution=node.id)] == world.contexts_of(Kind.EXECUTION, node.id)
    for node in world.of_kind(Kind.ARTIFACT):
        assert reads.get_links(artifacts=node.id) == [x for x in world.links if x.artifact_id == node.id]
        assert [c.id for c in reads.get_contexts(artifact=node.id)] == world.contexts_of(Kind.ARTIFACT, node.id)
    for node in world.of_kind(Kind.CONTEXT):
        assert [n.id for n in reads.get_artifacts(context=node.id)] == world.in_context(node.id, Kind.ARTIFACT)
        assert [n.id for n in reads.get_executions(context=node.id)] == world.in_context(node.id, Kind.EXECUTION)
        assert [n.id for n in reads.get_child_contexts(node.id)] == world.in_context(node.id, Kind.CONTEXT)
        assert [n.id for n in reads.get_parent_contexts(node.id)] == world.contexts_of(Kind.CONTEXT, node.id)


def check_questions(reads: Reads, world: World) -> None:
    """Filters, SQL, lineage, history."""
    for kind in Kind:
        for text, test in filters(kind):
            expected = [node.id for node in world.where(kind, lambda node, t=test: t(world, node))]  # type: ignore[misc]
            assert reads.find(kind, text).ids() == expected, text
    newest_first = [node.id for node in reversed(world.of_kind(Kind.ARTIFACT))]
    assert reads.find("artifact", descending=True, limit=2).ids() == newest_first[:2]
    counts = reads.sql(
        "select (select count(*) from artifacts) as a, (select count(*) from executions) as e, "
        "(select count(*) from contexts) as c, (select count(*) from events) as l, "
        "(select count(*) from metrics) as m, (select count(*) from properties) as p"
    ).rows()[0]
    assert counts == {
        "a": len(world.of_kind(Kind.ARTIFACT)),
        "e": len(world.of_kind(Kind.EXECUTION)),
        "c": len(world.of_kind(Kind.CONTEXT)),
        "l": len(world.links),
        "m": len(world.points),
        "p": sum(len(node.properties) + len(node.custom_properties) for node in world.nodes.values()),
    }
    for kind in (Kind.ARTIFACT, Kind.EXECUTION):
        for node in world.of_kind(kind)[:2]:
            for direction in ("up", "down", "both"):
                found = reads.lineage(kind, node.id, direction=direction)
                got = {(Kind[row["kind"].upper()], row["id"]): row["hops"] for row in found.nodes.to_pylist()}
                assert got == world.reached(kind, node.id, direction)
    for (kind, id), count in list(world.versions.items())[-2:]:
        rows = reads.history(kind, id).rows()
        assert {row["change"] for row in rows} >= {"created"}
        assert len({row["seq"] for row in rows if row["change"] in ("created", "changed")}) <= count


def filters(kind: Kind) -> list[tuple[str, Callable[[World, Node], bool]]]:
    """Filter texts, and the same in Python."""
    found: list[tuple[str, Callable[[World, Node], bool]]] = [
        ("name = 'a'", lambda _, node: node.name == "a"),
        ("external_id IS NULL", lambda _, node: node.external_id is None),
        ("properties.i.int_value >= 0", lambda _, node: at_least(node.properties.get("i"), 0)),
        (
            "custom_properties.k.string_value = 'a' OR custom_properties.k.int_value >= 1",
            lambda _, node: node.custom_properties.get("k") == "a" or at_least(node.custom_properties.get("k"), 1),
        ),
        ("type = 'T' AND id > 1", lambda world, node: world.types[node.type_id].name == "T" and node.id > 1),
    ]
    if kind != Kind.CONTEXT:
        found.append(
            (
                "contexts_a.name = 'a'",
                lambda world, node: any(
                    world.nodes[Kind.CONTEXT, id].name == "a" for id in world.contexts_of(kind, node.id)
                ),
            )
        )
        found.append(
            ("events_x.type = INPUT", lambda world, node: any(x.type == 3 for x in links_of(world, node, kind)))
        )
    return found


def links_of(world: World, node: Node, kind: Kind) -> list[Link]:
    if kind == Kind.ARTIFACT:
        return [link for link in world.links if link.artifact_id == node.id]
    return [link for link in world.links if link.execution_id == node.id]


def at_least(value: object, bound: int) -> bool:
    return type(value) is int and value >= bound


def check_diff(counts: dict[str, int], before: World, after: World) -> None:
    """The numbers of a diff of two worlds."""
    for kind in Kind:
        added = [key for key in after.nodes if key[0] == kind and key not in before.nodes]
        changed = [key for key in before.nodes if key[0] == kind and after.versions[key] != before.versions[key]]
        assert counts[f"{kind.word}s_added"] == len(added)
        assert counts[f"{kind.word}s_changed"] == len(changed)
    assert counts["links"] == len(after.links) + len(after.members) - len(before.links) - len(before.members)


def maybe(get: Callable[..., Node], **arguments: Any) -> list[Node]:
    try:
        return [get(**arguments)]
    except NotFoundError:
        return []


def expect(got: list[Any], expected: list[Any]) -> None:
    assert same(list(got), list(expected)), f"got {got}\nexpected {expected}"
