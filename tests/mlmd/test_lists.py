"""Lists: order, pages, filters, by type and by context."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import stratalog
from stratalog.mlmd import ListOptions, MetadataStore, OrderByField, lists, proto
from tests.mlmd.world import World, failure, make_world, served

NODE_COUNT = 23
Field = proto.ListOperationOptions.OrderByField
ORDERS = {
    Field.ID: "id",
    Field.CREATE_TIME: "create_time_since_epoch",
    Field.LAST_UPDATE_TIME: "last_update_time_since_epoch",
}


@pytest.fixture
def filled(client: MetadataStore, world: World) -> MetadataStore:
    """Artifacts in one context, made in batches, so that times are equal in part, and some updated since."""
    client.put_contexts([proto.Context(type_id=world.context_type, name=name) for name in ("full", "empty")])
    for begin in range(0, NODE_COUNT, 5):
        numbers = range(begin, min(begin + 5, NODE_COUNT))
        client.put_artifacts([proto.Artifact(type_id=world.artifact_type, uri=f"u{number % 3}") for number in numbers])
    for ids in ([7, 3, 20], [1]):
        client.put_artifacts([proto.Artifact(id=id, uri="u1") for id in ids])
    client.put_attributions_and_associations(
        [proto.Attribution(artifact_id=id, context_id=1) for id in range(1, NODE_COUNT + 1)], []
    )
    return client


def pages(client: MetadataStore, name: str, size: int, options: Any, **fields: Any) -> list[list[int]]:
    found: list[list[int]] = []
    token = ""
    while True:
        request = proto.ListOperationOptions(max_result_size=size, next_page_token=token, **options)
        response = client._ask(name, options=request, **fields)
        found.append([node.id for node in response.artifacts])
        token = response.next_page_token
        if not token:
            return found


LISTS: list[tuple[str, dict[str, Any]]] = [
    ("GetArtifacts", {}),
    ("GetArtifactsByType", {"type_name": "A"}),
    ("GetArtifactsByContext", {"context_id": 1}),
]


@pytest.mark.parametrize("is_asc", [True, False])
@pytest.mark.parametrize("field", list(ORDERS))
@pytest.mark.parametrize(("name", "fields"), LISTS)
def test_pages_hold_every_node_once_and_in_order(
    filled: MetadataStore, name: str, fields: dict[str, Any], field: int, is_asc: bool
) -> None:
    by_time = [(getattr(a, ORDERS[field]), a.id) for a in filled.get_artifacts()]
    expected = [id for _, id in sorted(by_time, reverse=not is_asc)]
    options = {"order_by_field": Field(field=field, is_asc=is_asc)}

    found = pages(filled, name, 7, options, **fields)

    assert [len(page) for page in found] == [7, 7, 7, 2]
    assert [id for page in found for id in page] == expected
    assert pages(filled, name, NODE_COUNT, options, **fields) == [expected]


@pytest.mark.parametrize("is_asc", [True, False])
@pytest.mark.parametrize("field", list(ORDERS))
def test_a_context_too_large_for_the_state_is_paged_alike(
    filled: MetadataStore, monkeypatch: pytest.MonkeyPatch, field: int, is_asc: bool
) -> None:
    options = {"order_by_field": Field(field=field, is_asc=is_asc)}
    from_state = pages(filled, "GetArtifactsByContext", 4, options, context_id=1)

    monkeypatch.setattr(lists, "SMALL_CONTEXT_NODE_COUNT", 0)

    assert pages(filled, "GetArtifactsByContext", 4, options, context_id=1) == from_state


def test_a_token_goes_from_one_way_of_answering_to_the_other(filled: MetadataStore) -> None:
    first = proto.ListOperationOptions(max_result_size=3)
    response = filled._ask("GetArtifactsByContext", context_id=1, options=first)

    second = proto.ListOperationOptions(
        max_result_size=2, next_page_token=response.next_page_token, filter_query="uri = 'u1'"
    )
    filtered = filled._ask("GetArtifactsByContext", context_id=1, options=second)
    third = proto.ListOperationOptions(max_result_size=2, next_page_token=filtered.next_page_token)

    assert [a.id for a in response.artifacts] == [1, 2, 3]
    assert [a.id for a in filtered.artifacts] == [5, 7]
    assert [a.id for a in filled._ask("GetArtifactsByContext", context_id=1, options=third).artifacts] == [8, 9]


def test_a_page_holds_twenty_unless_asked_and_a_hundred_at_most(
    filled: MetadataStore, store: stratalog.Store, world: World
) -> None:
    filled.put_artifacts([proto.Artifact(type_id=world.artifact_type)] * 100)

    with served(store) as wire:
        first = wire("GetArtifacts", options=proto.ListOperationOptions())
        large = wire("GetArtifacts", options=proto.ListOperationOptions(max_result_size=1000))
        options = proto.ListOperationOptions(max_result_size=1000, next_page_token=large.next_page_token)
        rest = wire("GetArtifacts", options=options)

    assert [len(page.artifacts) for page in (first, large, rest)] == [20, 100, 23]
    assert [a.id for page in (large, rest) for a in page.artifacts] == list(range(1, 124))
    assert not rest.HasField("next_page_token")


def test_nodes_made_between_pages_come_at_the_end(filled: MetadataStore, world: World) -> None:
    options = proto.ListOperationOptions(max_result_size=20)
    token = filled._ask("GetArtifacts", options=options).next_page_token
    filled.put_artifacts([proto.Artifact(type_id=world.artifact_type)])

    options.next_page_token = token

    assert [a.id for a in filled._ask("GetArtifacts", options=options).artifacts] == [21, 22, 23, 24]


@pytest.mark.parametrize(
    "options",
    [
        {"max_result_size": 0},
        {"max_result_size": -1},
        {"order_by_field": Field(field=Field.FIELD_UNSPECIFIED)},
        {"next_page_token": "no token"},
        {"next_page_token": "bm8gdG9rZW4"},
        {"filter_query": " "},
        {"filter_query": "no_field = 1"},
        {"filter_query": "id == 1"},
    ],
)
@pytest.mark.parametrize(
    ("name", "fields"),
    [*LISTS, ("GetArtifactsByContext", {"context_id": 2}), ("GetArtifactsByType", {"type_name": "?"})],
)
def test_options_that_are_wrong(
    filled: MetadataStore, name: str, fields: dict[str, Any], options: dict[str, Any]
) -> None:
    request = proto.ListOperationOptions(**options)

    assert failure(filled._ask, name, options=request, **fields) == "InvalidArgumentError"


def test_a_token_of_another_order_is_refused(filled: MetadataStore) -> None:
    options = proto.ListOperationOptions(max_result_size=3)
    options.next_page_token = filled._ask("GetArtifactsByContext", context_id=1, options=options).next_page_token

    for order in (Field(is_asc=False), Field(field=Field.CREATE_TIME)):
        options.order_by_field.CopyFrom(order)
        assert failure(filled._ask, "GetArtifactsByContext", context_id=1, options=options) == "InvalidArgumentError"


def test_without_options_everything_comes_at_once(filled: MetadataStore) -> None:
    for name, fields in LISTS:
        response = filled._ask(name, **fields)
        assert [a.id for a in response.artifacts] == list(range(1, NODE_COUNT + 1))
        assert not response.HasField("next_page_token")
    assert not filled._ask("GetArtifactsByType", type_name="none").artifacts
    assert not filled._ask("GetArtifactsByType", type_name="A", type_version="1").artifacts


def test_the_clients_list_options(filled: MetadataStore) -> None:
    def ids(**options: Any) -> list[int]:
        return [a.id for a in filled.get_artifacts(ListOptions(**options))]

    assert ids(limit=3) == [1, 2, 3]
    assert ids(limit=0) == ids() == list(range(1, NODE_COUNT + 1))
    assert ids(limit=2, is_asc=False) == [23, 22]
    assert ids(limit=2, order_by=OrderByField.UPDATE_TIME, is_asc=False) == [1, 7]
    assert ids(filter_query="uri = 'u0' AND id < 8") == [4]
    assert failure(ids, limit=-1) == "InvalidArgumentError"


def test_executions_of_a_context_come_newest_first(client: MetadataStore, world: World) -> None:
    context = proto.Context(type_id=world.context_type, name="c")
    for _ in range(3):
        execution = proto.Execution(type_id=world.execution_type)
        client.put_execution(execution, [], [context], reuse_context_if_already_exist=True)

    assert [e.id for e in client.get_executions_by_context(1)] == [3, 2, 1]
    assert [e.id for e in client.get_executions_by_context(1, ListOptions())] == [1, 2, 3]


def test_a_moment_of_the_past_is_paged_alike(filled: MetadataStore, store: stratalog.Store, world: World) -> None:
    moment = MetadataStore(store.as_of(store.head), messages=proto)
    options = {"order_by_field": Field(field=Field.LAST_UPDATE_TIME, is_asc=False)}
    expected = pages(filled, "GetArtifactsByContext", 5, options, context_id=1)
    filled.put_artifacts([proto.Artifact(id=2)])

    assert pages(moment, "GetArtifactsByContext", 5, options, context_id=1) == expected
    assert pages(filled, "GetArtifactsByContext", 5, options, context_id=1) != expected


def test_members_are_cut_from_what_is_sealed_and_what_is_not(tmp_path: Path) -> None:
    with MetadataStore(tmp_path / "store", messages=proto) as client:
        store, world = client.store, make_world(client)
        assert isinstance(store, stratalog.Store)
        client.put_contexts([proto.Context(type_id=world.context_type, name=name) for name in "ab"])
        client.put_artifacts([proto.Artifact(type_id=world.artifact_type)] * 9)
        client.put_executions([proto.Execution(type_id=world.execution_type)] * 9)
        sealed, later = [7, 1, 4], [2, 9, 3]
        for ids in (sealed, later):
            attributions = [proto.Attribution(artifact_id=id, context_id=1) for id in ids]
            client.put_attributions_and_associations(
                attributions, [proto.Association(execution_id=5, context_id=context) for context in (1, 2)]
            )
            store.seal() if ids is sealed else None

        for reads in (store, store.as_of(store.head)):
            members = reads.get_member_ids(1, "artifact")
            assert members == [1, 2, 3, 4, 7, 9]
            assert reads.get_member_ids(1, "artifact", after=3, limit=2) == [4, 7]
            assert reads.get_member_ids(1, "artifact", after=5, descending=True) == [4, 3, 2, 1]
            assert reads.get_member_ids(1, "artifact", limit=3, descending=True) == [9, 7, 4]
            assert reads.get_member_ids(1, "artifact", after=9) == []
            assert reads.get_member_ids(2, "artifact") == reads.get_member_ids(9, "artifact") == []
            assert reads.get_member_ids(2, "execution") == [5]
