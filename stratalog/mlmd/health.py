"""gRPC's health and reflection services, over the private pool."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import grpc

from stratalog.mlmd.pool import HEALTH, REFLECTION, SERVICE, message_class, pool

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor

Message = Any
"""A protobuf message."""

REFLECTION_OLD = "grpc.reflection.v1alpha.ServerReflection"
"""The name that older tools ask for; the messages have the same bytes."""

_CheckRequest = message_class("grpc.health.v1.HealthCheckRequest")
_CheckResponse = message_class("grpc.health.v1.HealthCheckResponse")
_ReflectionRequest = message_class("grpc.reflection.v1.ServerReflectionRequest")
_ReflectionResponse = message_class("grpc.reflection.v1.ServerReflectionResponse")
_SERVICES = (SERVICE, HEALTH, REFLECTION)


class Health:
    """Whether the server serves: yes, until it is told to stop.

    Args:
        stream_count_max: how many streams may be open at once; each keeps a thread of the server.
    """

    def __init__(self, stream_count_max: int) -> None:
        self._changed = threading.Condition()
        self._is_serving = True
        self._streams = threading.Semaphore(stream_count_max)

    def stop(self) -> None:
        """Say from now on that nothing is served, and end the streams."""
        with self._changed:
            self._is_serving = False
            self._changed.notify_all()

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """The handlers of the services."""
        check = grpc.unary_unary_rpc_method_handler(
            self._check, _CheckRequest.FromString, _CheckResponse.SerializeToString
        )
        watch = grpc.unary_stream_rpc_method_handler(
            self._watch, _CheckRequest.FromString, _CheckResponse.SerializeToString
        )
        info = grpc.stream_stream_rpc_method_handler(
            self._info, _ReflectionRequest.FromString, _ReflectionResponse.SerializeToString
        )
        return [
            grpc.method_handlers_generic_handler(HEALTH, {"Check": check, "Watch": watch}),
            grpc.method_handlers_generic_handler(REFLECTION, {"ServerReflectionInfo": info}),
            grpc.method_handlers_generic_handler(REFLECTION_OLD, {"ServerReflectionInfo": info}),
        ]

    def _status(self, service: str) -> int:
        if service not in ("", *_SERVICES):
            return int(_CheckResponse.SERVICE_UNKNOWN)
        return int(_CheckResponse.SERVING if self._is_serving else _CheckResponse.NOT_SERVING)

    def _check(self, request: Message, context: grpc.ServicerContext) -> Message:
        status = self._status(request.service)
        if status == _CheckResponse.SERVICE_UNKNOWN:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service!r}")
        return _CheckResponse(status=status)

    def _watch(self, request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
        with _Slot(self._streams, context):
            context.add_callback(self._wake)
            yield _CheckResponse(status=self._status(request.service))
            with self._changed:
                self._changed.wait_for(lambda: not self._is_serving or not context.is_active())
            if context.is_active():
                yield _CheckResponse(status=self._status(request.service))

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _info(self, requests: Iterable[Message], context: grpc.ServicerContext) -> Iterator[Message]:
        with _Slot(self._streams, context):
            for request in requests:
                yield _reflect(request)


class _Slot:
    """One of the streams that may be open."""

    def __init__(self, streams: threading.Semaphore, context: grpc.ServicerContext) -> None:
        self._streams = streams
        self._context = context

    def __enter__(self) -> None:
        if not self._streams.acquire(blocking=False):
            self._context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams are open")

    def __exit__(self, *_: object) -> None:
        self._streams.release()


def _reflect(request: Message) -> Message:
    response = _ReflectionResponse(valid_host=request.host, original_request=request)
    which = request.WhichOneof("message_request")
    try:
        if which == "list_services":
            for service in _SERVICES:
                response.list_services_response.service.add(name=service)
        elif which == "file_by_filename":
            _fill_files(response, pool.FindFileByName(request.file_by_filename))
        elif which == "file_containing_symbol":
            _fill_files(response, pool.FindFileContainingSymbol(request.file_containing_symbol))
        elif which == "file_containing_extension":
            asked = request.file_containing_extension
            extended = pool.FindMessageTypeByName(asked.containing_type)
            extension: Any = pool.FindExtensionByNumber(extended, asked.extension_number)
            _fill_files(response, extension.file)
        elif which == "all_extension_numbers_of_type":
            name = request.all_extension_numbers_of_type
            extensions = pool.FindAllExtensions(pool.FindMessageTypeByName(name))
            found = response.all_extension_numbers_response
            found.base_type_name = name
            found.extension_number.extend(sorted(extension.number for extension in extensions))
        else:
            raise KeyError("nothing was asked for")
    except KeyError as error:
        response.error_response.error_code = grpc.StatusCode.NOT_FOUND.value[0]
        response.error_response.error_message = str(error)
    return response


def _fill_files(response: Message, file: FileDescriptor) -> None:
    """A file and all that it imports, each once."""
    waiting, seen = [file], {file.name}
    while waiting:
        current = waiting.pop()
        response.file_descriptor_response.file_descriptor_proto.append(current.serialized_pb)
        for imported in current.dependencies:
            if imported.name not in seen:
                seen.add(imported.name)
                waiting.append(imported)
