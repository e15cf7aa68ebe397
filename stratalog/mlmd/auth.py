"""Who may call a server: bearer tokens with roles from a file, and TLS.

A file of tokens has one line each: a role (`read` or `write`), a name, and the token, or `sha256:` and its digest in
hex. Blank lines and lines that begin with `#` are passed over. The name is who the log says has written.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stratalog.eventlog.errors import ErrorCode, InvalidInputError, NotFoundError

TOKEN_LENGTH_MIN = 16
"""A shorter token can be guessed."""

_ROLES = ("read", "write")
_DIGEST_PREFIX = "sha256:"


class Grant(NamedTuple):
    """Whose a token is, and whether it may write."""

    name: str
    may_write: bool


class Tokens:
    """The tokens that a server knows, by their digests."""

    def __init__(self, grants: Mapping[bytes, Grant]) -> None:
        self._grants = dict(grants)

    def __len__(self) -> int:
        return len(self._grants)

    def find(self, authorization: str | None) -> Grant | None:
        """The grant of an `authorization` header (`Bearer TOKEN`); None if it is none that is known."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        # By digest: how long the look-up takes says nothing about the token.
        return self._grants.get(hashlib.sha256(token.strip().encode(errors="replace")).digest())


def load_tokens(path: str | os.PathLike[str]) -> Tokens:
    """Read a file of tokens.

    Raises:
        NotFoundError: it is not there or cannot be read.
        InvalidInputError: a line is wrong, a token is short or stands twice, or there is none.
    """
    content = _read(path, "the file of tokens").decode(errors="replace")
    grants: dict[bytes, Grant] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"{os.fspath(path)}, line {number}"
        if len(words) != 3 or words[0] not in _ROLES:
            # The line itself is not shown: it may hold a token.
            raise InvalidInputError(
                f"{where}: {len(words)} words where a role (read or write), a name and a token were expected",
                code=ErrorCode.INVALID_VALUE,
            )
        role, name, token = words
        digest = _digest(token, where)
        if digest in grants:
            raise InvalidInputError(f"{where}: the token of {name!r} stands here twice", code=ErrorCode.INVALID_VALUE)
        grants[digest] = Grant(name, role == "write")
    if not grants:
        raise InvalidInputError(
            f"{os.fspath(path)}: no token", code=ErrorCode.MISSING_FIELD, hint="write a line such as: write ci TOKEN"
        )
    return Tokens(grants)


def _digest(token: str, where: str) -> bytes:
    if token.startswith(_DIGEST_PREFIX):
        try:
            digest = bytes.fromhex(token.removeprefix(_DIGEST_PREFIX))
        except ValueError:
            digest = b""
        if len(digest) != 32:
            raise InvalidInputError(f"{where}: sha256: and 64 hex digits were expected", code=ErrorCode.INVALID_VALUE)
        return digest
    if len(token) < TOKEN_LENGTH_MIN:
        raise InvalidInputError(
            f"{where}: a token of {len(token)} characters where {TOKEN_LENGTH_MIN} or more were expected",
            code=ErrorCode.INVALID_VALUE,
            hint="make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return hashlib.sha256(token.encode()).digest()


class Tls(NamedTuple):
    """A server's key and certificates, as PEM; with `client_ca` clients must show a certificate signed by it."""

    key: bytes
    certificate: bytes
    client_ca: bytes | None = None


def load_tls(
    key: str | os.PathLike[str], certificate: str | os.PathLike[str], client_ca: str | os.PathLike[str] | None = None
) -> Tls:
    """Read PEM files.

    Raises:
        NotFoundError: one is not there or cannot be read.
        InvalidInputError: one is no PEM.
    """
    return Tls(
        _read_pem(key, "the server's key"),
        _read_pem(certificate, "the server's certificate"),
        None if client_ca is None else _read_pem(client_ca, "the certificate of the clients' authority"),
    )


def is_loopback(host: str) -> bool:
    """True if only this machine can reach a host name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_exposure(host: str, *, tls: Tls | None, tokens: Tokens | None, insecure: bool) -> None:
    """Refuse to be reached from other machines without TLS and a way to know who calls.

    Raises:
        InvalidInputError: that would be so, and `insecure` does not say that it is meant.
    """
    if insecure or is_loopback(host):
        return
    if tls is None or (tokens is None and tls.client_ca is None):
        missing = "TLS" if tls is None else "tokens or certificates of clients"
        raise InvalidInputError(
            f"host {host!r} can be reached from other machines, and there is no {missing}",
            hint="give --tls-key, --tls-cert and --tokens (or --tls-client-ca), or --insecure in a guarded network",
        )


def _read_pem(path: str | os.PathLike[str], what: str) -> bytes:
    content = _read(path, what)
    if b"-----BEGIN" not in content:
        raise InvalidInputError(f"{os.fspath(path)}: {what} is no PEM", code=ErrorCode.INVALID_VALUE)
    return content


def _read(path: str | os.PathLike[str], what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise NotFoundError(f"{os.fspath(path)}: {what} cannot be read: {error.strerror}") from None
