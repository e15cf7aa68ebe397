"""The gRPC server: MLMD's service over a store or a moment of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent import futures
from typing import Any, NamedTuple, NoReturn

from stratalog.eventlog.errors import ErrorCode, InvalidInputError, StoreError

try:
    import grpc
except ImportError as error:
    raise InvalidInputError(
        f"stratalog.mlmd.server needs grpcio: {error}",
        code=ErrorCode.MISSING_DEPENDENCY,
        hint="pip install 'stratalog[mlmd]'",
    ) from error

from stratalog.mlmd.auth import Tls, Tokens, check_exposure
from stratalog.mlmd.call import Served
from stratalog.mlmd.errors import describe, status_of
from stratalog.mlmd.health import Health
from stratalog.mlmd.pool import SERVICE
from stratalog.mlmd.service import METHODS, Method, answer_bytes
from stratalog.store.reads import Reads

DEFAULT_PORT = 8080
MESSAGE_BYTES_MAX = 100 * 1024 * 1024
"""No request may be larger. Responses have no bound here; clients have theirs."""

_DETAIL_LENGTH_MAX = 1500
"""Status texts travel in headers, which peers take up to 8 KiB, and every sign may become three."""

_log = logging.getLogger("stratalog.mlmd")


class ServerSettings(NamedTuple):
    """Where a server listens, and whom it lets in.

    `port` 0 takes any that is free. `workers` is how many calls run at once. `insecure` lets it listen where other
    machines reach it without TLS and tokens.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    workers: int = 16
    tls: Tls | None = None
    tokens: Tokens | None = None
    insecure: bool = False


class Server:
    """A server that listens; made by `serve`. A context manager: leaving it stops the server, not the store."""

    def __init__(self, server: grpc.Server, health: Health, host: str, port: int) -> None:
        self._server = server
        self._health = health
        self.port = port
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        """Where it listens, as a client writes it."""

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, grace_s: float = 10.0) -> None:
        """Take no more calls, let those that run end within `grace_s` seconds, then cut them off."""
        self._health.stop()
        self._server.stop(grace_s).wait()


def serve(reads: Reads, settings: ServerSettings | None = None) -> Server:
    """Serve a store (or a moment of it, which nothing can be put into), and return once the server listens.

    The store stays the caller's: stop the server before closing it.

    Raises:
        InvalidInputError: the address is taken or of another machine; or it can be reached from other machines and
            there is no TLS and no way to know who calls.
    """
    settings = settings or ServerSettings()
    host = settings.host.strip("[]")
    check_exposure(host, tls=settings.tls, tokens=settings.tokens, insecure=settings.insecure)
    served = Served(reads)
    health = Health(max(1, settings.workers // 2))
    server = grpc.server(
        futures.ThreadPoolExecutor(settings.workers, thread_name_prefix="stratalog-mlmd"),
        handlers=[_service(served, settings), *health.handlers()],
        options=[
            # Two servers on one port would each get some of the calls.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", -1),
            # Clients that ask often whether the connection lives are not thrown out.
            ("grpc.http2.max_ping_strikes", 0),
            ("grpc.keepalive_permit_without_calls", 1),
        ],
    )
    port = _bind(server, f"[{host}]:{settings.port}" if ":" in host else f"{host}:{settings.port}", settings.tls)
    server.start()
    return Server(server, health, host, port)


def _bind(server: grpc.Server, address: str, tls: Tls | None) -> int:
    reason = "the address is taken, or not one of this machine"
    try:
        if tls is None:
            port: int = server.add_insecure_port(address)
        else:
            credentials = grpc.ssl_server_credentials(
                [(tls.key, tls.certificate)], tls.client_ca, require_client_auth=tls.client_ca is not None
            )
            port = server.add_secure_port(address, credentials)
    except (RuntimeError, ValueError) as error:
        port, reason = 0, str(error)
    if not port:
        raise InvalidInputError(
            f"cannot listen on {address}: {reason}",
            hint="choose another port, or stop the process that listens there",
        )
    return port


def _service(served: Served, settings: ServerSettings) -> grpc.GenericRpcHandler:
    who = _make_who(settings)
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(_behaviour(served, method, who)) for name, method in METHODS.items()
    }
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


Who = Callable[[grpc.ServicerContext, bool], "str | None"]
"""Who calls, given the call and whether it writes; ends the call if they may not."""


def _make_who(settings: ServerSettings) -> Who:
    tokens, tls = settings.tokens, settings.tls
    if tokens is not None:

        def by_token(context: grpc.ServicerContext, is_write: bool) -> str | None:
            header = next((value for key, value in context.invocation_metadata() if key == "authorization"), None)
            grant = tokens.find(header if isinstance(header, str) else None)
            if grant is None:
                return _refuse(context, grpc.StatusCode.UNAUTHENTICATED, "no known token: authorization: Bearer TOKEN")
            if is_write and not grant.may_write:
                return _refuse(context, grpc.StatusCode.PERMISSION_DENIED, f"the token of {grant.name!r} may only read")
            return grant.name

        return by_token
    if tls is not None and tls.client_ca is not None:

        def by_certificate(context: grpc.ServicerContext, is_write: bool) -> str | None:  # noqa: ARG001
            names: Any = context.auth_context().get("x509_common_name", ())
            return next((name.decode(errors="replace") for name in names if name), None)

        return by_certificate
    return lambda context, is_write: None  # noqa: ARG005


def _behaviour(served: Served, method: Method, who: Who) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def behave(content: bytes, context: grpc.ServicerContext) -> bytes:
        actor = who(context, method.is_write)
        try:
            return answer_bytes(served, method, content, actor=actor)
        except StoreError as error:
            status, text = grpc.StatusCode[status_of(error)], describe(error)
            code = error.code.value
            if error.code is ErrorCode.INTERNAL:
                _log.exception("%s failed", method.name)
        except Exception as error:
            _log.exception("%s failed", method.name)
            status, text = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
            code = ErrorCode.INTERNAL.value
        context.set_trailing_metadata((("stratalog-code", code),))
        return _refuse(context, status, text)

    return behave


def _refuse(context: grpc.ServicerContext, status: grpc.StatusCode, text: str) -> NoReturn:
    """End a call with a status other than OK."""
    if len(text) > _DETAIL_LENGTH_MAX:
        text = text[:_DETAIL_LENGTH_MAX] + " ..."
    context.abort(status, text)
    raise AssertionError("abort returned")


__all__ = ["DEFAULT_PORT", "MESSAGE_BYTES_MAX", "Server", "ServerSettings", "serve"]
