"""Commands about the store as a whole: make one, check it, fold it anew, seal it, count it."""

from __future__ import annotations

import time

import click
import msgspec

from stratalog.cli.command import Command
from stratalog.cli.options import json_document_option, reading_head, store_option, writing
from stratalog.cli.output import printer_for
from stratalog.eventlog.errors import CODES, ErrorCode, StoreError


@click.command(cls=Command, examples=["stratalog init", "stratalog init /data/metadata"])
@click.argument("folder", required=False)
@store_option
@json_document_option
def init(folder: str | None, uri: str | None, as_json: bool) -> None:
    """Make an empty store in FOLDER, or where --store says. A store that is there already stays as it is."""
    uri = folder or uri
    try:
        with reading_head(uri) as store:
            is_new, head = False, store.head
    except StoreError as error:
        if error.code is not ErrorCode.STORE_NOT_FOUND:
            raise
        with writing(uri, create=True) as store:
            is_new, head = True, store.head
    where = uri or "./.stratalog"
    if as_json:
        printer_for(as_json).document({"store": where, "made": is_new, "head": head})
    elif is_new:
        click.echo(f"made an empty store: {where}")
    else:
        click.echo(f"a store is there already: {where} (head at seq {head})")


@click.command(
    cls=Command, examples=["stratalog verify", "stratalog verify --store /backup/metadata --json | jq .problems"]
)
@store_option
@json_document_option
@click.pass_context
def verify(context: click.Context, uri: str | None, as_json: bool) -> None:
    """Check every byte of the log, and that the tables folded from it equal what it adds up to.

    Ends with exit code 0 if all is well, else with 7.
    """
    begin = time.perf_counter()
    with reading_head(uri) as store:
        report = store.verify()
    seconds = round(time.perf_counter() - begin, 3)
    printer = printer_for(as_json)
    if as_json:
        printer.document({"ok": report.ok, **msgspec.to_builtins(report), "seconds": seconds})
    else:
        rows: list[tuple[str, object]] = [
            (name, getattr(report, name))
            for name in ("log_id", "commits", "events", "segments", "journals", "size_bytes", "root")
        ]
        rows += [(f"events {kind}", count) for kind, count in report.kinds.items()]
        rows += [(f"unknown kind {kind}", count) for kind, count in report.unknown_kinds.items()]
        rows += [("problems", len(report.problems) + report.more_problems), ("seconds", seconds)]
        printer.rows(("what", "found"), [*rows, ("verdict", "ok" if report.ok else "DAMAGED")])
    if not report.ok:
        for problem in report.problems:
            where = problem.file if problem.commit is None else f"{problem.file}, commit {problem.commit}"
            click.echo(f"error: {where}: {problem.message} ({problem.code.value})", err=True)
        context.exit(CODES[ErrorCode.CORRUPT_LOG].exit_code)


@click.command(cls=Command, examples=["stratalog rebuild", "stratalog rebuild --store my-store --json"])
@store_option
@json_document_option
@click.pass_context
def rebuild(context: click.Context, uri: str | None, as_json: bool) -> None:
    """Delete views/, fold the log from its first event again, and print a digest of every table.

    The digests must equal those from before; where they do not, the exit code is 8.
    """
    with writing(uri) as store:
        before = store.digests()
        after = store.rebuild()
    printer = printer_for(as_json)
    if as_json:
        printer.document({"equal": before == after, "digests": after, "digests_before": before})
    else:
        rows = [(name, digest, before.get(name) == digest) for name, digest in after.items()]
        printer.rows(("table", "digest", "as_before"), rows)
    if before != after:
        click.echo("error: the tables from before did not equal what the log adds up to; now they do", err=True)
        context.exit(CODES[ErrorCode.INTERNAL].exit_code)


@click.command(cls=Command, examples=["stratalog seal", "stratalog seal --store my-store"])
@store_option
@json_document_option
def seal(uri: str | None, as_json: bool) -> None:
    """Turn what waits in the journal into Parquet segments and table parts, and merge what is due.

    It happens by itself as a store grows and when a writer closes it. What is in the journal is durable already.
    """
    with writing(uri) as store:
        before = store.stats()
        store.seal()
        after = store.stats()
    printer = printer_for(as_json)
    names = ("head", "unsealed_events", "segments", "journals", "log_bytes", "view_bytes")
    if as_json:
        printer.document({name: {"before": getattr(before, name), "after": getattr(after, name)} for name in names})
    else:
        printer.rows(("what", "before", "after"), [(n, getattr(before, n), getattr(after, n)) for n in names])


@click.command(cls=Command, examples=["stratalog stats", "stratalog stats --json | jq .log_bytes"])
@store_option
@json_document_option
def stats(uri: str | None, as_json: bool) -> None:
    """Count entities, events, links and points, and what the store takes on disk.

    Events of kinds that only a newer release knows are counted by name as `unknown kind`: they are kept and copied,
    and not interpreted.
    """
    with reading_head(uri) as store:
        fields = msgspec.to_builtins(store.stats())
    printer = printer_for(as_json)
    if as_json:
        printer.document(fields)
        return
    unknown = fields.pop("unknown_kinds")
    printer.rows(("what", "figure"), [*fields.items(), *((f"unknown kind {kind}", n) for kind, n in unknown.items())])


__all__ = ["init", "rebuild", "seal", "stats", "verify"]
