"""`stratalog serve`: MLMD's protocol for its clients, until told to stop."""

from __future__ import annotations

import signal

import click

from stratalog.cli.command import Command
from stratalog.cli.options import as_of_option, reading, store_option
from stratalog.eventlog.errors import ErrorCode, InvalidInputError

_STOPPING = {signal.SIGTERM, signal.SIGINT}


@click.command(
    cls=Command,
    examples=[
        "stratalog serve my-store",
        "stratalog serve --as-of 2026-11-01 --mlmd-port 8081",
        "stratalog serve --host 0.0.0.0 --tls-key key.pem --tls-cert cert.pem --tokens tokens.txt my-store",
    ],
)
@click.argument("folder", required=False)
@store_option
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST", help="The address to listen on.")
@click.option(
    "--mlmd-port", "--grpc_port", "port", type=click.IntRange(0, 65535), default=8080, show_default=True,
    metavar="PORT", help="The port to listen on; 0 takes any that is free.",
)  # fmt: skip
@as_of_option
@click.option("--read-only", is_flag=True, help="Refuse every write.")
@click.option("--actor", metavar="NAME", help="Who writes, where the caller's name is not known.  [default: user@host]")
@click.option("--tokens", "tokens_path", metavar="FILE", help="Lines 'read|write NAME TOKEN': only these may call.")
@click.option("--tls-key", metavar="FILE", help="The server's key, PEM.")
@click.option("--tls-cert", metavar="FILE", help="The server's certificate, PEM.")
@click.option("--tls-client-ca", metavar="FILE", help="Only clients with a certificate of this authority may call.")
@click.option("--insecure", is_flag=True, help="Listen where other machines reach it, without TLS and tokens.")
@click.option(
    "--workers", type=click.IntRange(1, 1000), default=16, show_default=True, metavar="N",
    help="How many calls run at once.",
)  # fmt: skip
def serve(
    folder: str | None,
    uri: str | None,
    host: str,
    port: int,
    when: str | None,
    read_only: bool,
    actor: str | None,
    tokens_path: str | None,
    tls_key: str | None,
    tls_cert: str | None,
    tls_client_ca: str | None,
    insecure: bool,
    workers: int,
) -> None:
    """Serve a store to MLMD's clients over gRPC; FOLDER is the store, or where --store says.

    A store that is not there is made, unless it is to be read only. With --as-of the clients see the store as it was
    then, and cannot write. Prints the address once it listens; SIGTERM and SIGINT end it when the calls that run have
    been answered.
    """
    import stratalog
    from stratalog.mlmd import server
    from stratalog.mlmd.auth import load_tls, load_tokens

    if (tls_key is None) != (tls_cert is None) or (tls_client_ca is not None and tls_key is None):
        raise InvalidInputError("serve: --tls-key and --tls-cert go together", code=ErrorCode.MISSING_FIELD)
    settings = server.ServerSettings(
        host=host,
        port=port,
        workers=workers,
        tls=load_tls(tls_key, tls_cert, tls_client_ca) if tls_key is not None and tls_cert is not None else None,
        tokens=None if tokens_path is None else load_tokens(tokens_path),
        insecure=insecure,
    )
    where = folder or uri
    is_reading = read_only or when is not None
    # Blocked in every thread from here on, so that none but `sigwait` is given them: a handler would only run when the
    # main thread wakes, which a signal that another thread takes does not bring about.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        opened = reading(where, when) if is_reading else stratalog.open(where, actor=actor)
        with opened as reads, server.serve(reads, settings) as running:
            click.echo(f"listening on {running.address}")
            signal.sigwait(_STOPPING)
            click.echo("stopping", err=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


__all__ = ["serve"]
