"""Who may call a server: tokens, roles, certificates; and where it listens without them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest

import stratalog
from stratalog.mlmd import ServerSettings, proto, serve
from stratalog.mlmd.auth import Tls, check_exposure, is_loopback, load_tls, load_tokens
from tests.mlmd.world import Wire, put_type, served, write_tokens

TOKEN_W, TOKEN_R = "w" * 20, "r" * 20


def test_tokens_say_who_may_read_and_who_may_write(store: stratalog.Store, tmp_path: Path) -> None:
    digest = hashlib.sha256(TOKEN_R.encode()).hexdigest()
    tokens = load_tokens(write_tokens(tmp_path, f"# who\n\nwrite ci {TOKEN_W}\nread  board sha256:{digest}\n"))
    with served(store, tokens=tokens) as wire:

        def status(name: str, *metadata: tuple[str, str], **fields: Any) -> str:
            return Wire(wire.channel, metadata).status(name, **fields)

        write, read = ("authorization", f"Bearer {TOKEN_W}"), ("authorization", f"bearer {TOKEN_R}")
        new = {"artifact_type": proto.ArtifactType(name="A")}
        assert status("GetArtifactTypes") == "UNAUTHENTICATED"
        assert status("GetArtifactTypes", ("authorization", f"Bearer {TOKEN_W}x")) == "UNAUTHENTICATED"
        assert status("GetArtifactTypes", ("authorization", f"Basic {TOKEN_W}")) == "UNAUTHENTICATED"
        assert status("PutArtifactType", read, **new) == "PERMISSION_DENIED"
        assert status("PutArtifactType", **new) == "UNAUTHENTICATED"
        assert store.head == 0
        assert status("PutArtifactType", write, **new) == "OK"
        assert status("GetArtifactTypes", read) == "OK"
    assert store.log().rows()[0]["actor"] == "ci"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "write ci\n",
        f"admin ci {TOKEN_W}\n",
        "write ci short\n",
        f"write a {TOKEN_W}\nread b {TOKEN_W}\n",
        "read a sha256:12\n",
        f"read a sha256:{'zz' * 32}\n",
    ],
)
def test_files_of_tokens_that_are_wrong(tmp_path: Path, text: str) -> None:
    with pytest.raises(stratalog.InvalidInputError) as caught:
        load_tokens(write_tokens(tmp_path, text))

    assert TOKEN_W not in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(stratalog.NotFoundError, match="cannot be read"):
        load_tokens(tmp_path / "none")
    (tmp_path / "key").write_text("no key")
    with pytest.raises(stratalog.InvalidInputError, match="is no PEM"):
        load_tls(tmp_path / "key", tmp_path / "key")


def test_only_loopback_is_open_to_all(tmp_path: Path) -> None:
    tokens = load_tokens(write_tokens(tmp_path, f"write ci {TOKEN_W}\n"))
    tls = Tls(b"key", b"certificate")
    assert [is_loopback(h) for h in ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]")] == [True] * 5
    assert [is_loopback(h) for h in ("0.0.0.0", "::", "10.0.0.1", "example.org", "")] == [False] * 5

    def check(host: str, tls: Tls | None = None, tokens: Any = None, insecure: bool = False) -> str:
        try:
            check_exposure(host, tls=tls, tokens=tokens, insecure=insecure)
        except stratalog.InvalidInputError:
            return "refused"
        return "fine"

    assert check("127.0.0.1") == "fine"
    assert check("0.0.0.0") == check("0.0.0.0", tls) == check("0.0.0.0", None, tokens) == "refused"
    assert check("0.0.0.0", tls, tokens) == check("0.0.0.0", insecure=True) == "fine"
    assert check("0.0.0.0", Tls(b"key", b"certificate", b"ca")) == "fine"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and keys and certificates of a server for localhost and of a client named alice."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make certificates")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for who, name in (("server", "localhost"), ("client", "alice")):
        openssl("req", *key, "-keyout", f"{who}.key", "-out", f"{who}.csr", "-subj", f"/CN={name}")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        openssl("x509", "-req", "-in", f"{who}.csr", "-out", f"{who}.pem", *signed)
    return folder


def test_tls_with_certificates_on_both_sides(store: stratalog.Store, certificates: Path) -> None:
    files = {path.name: path.read_bytes() for path in certificates.iterdir()}
    tls = load_tls(certificates / "server.key", certificates / "server.pem", certificates / "ca.pem")
    mutual = grpc.ssl_channel_credentials(files["ca.pem"], files["client.key"], files["client.pem"])
    nameless = grpc.ssl_channel_credentials(files["ca.pem"])
    with serve(store, ServerSettings(port=0, tls=tls)) as running:
        with grpc.secure_channel(f"localhost:{running.port}", mutual) as channel:
            put_type(Wire(channel))
        with grpc.secure_channel(f"localhost:{running.port}", nameless) as channel:
            assert Wire(channel).status("GetArtifactTypes") == "UNAVAILABLE"
    assert store.log().rows()[0]["actor"] == "alice"
    one_sided = load_tls(certificates / "server.key", certificates / "server.pem")
    with serve(store, ServerSettings(port=0, tls=one_sided)) as running:
        with grpc.secure_channel(f"localhost:{running.port}", nameless) as channel:
            assert Wire(channel).status("GetArtifactTypes") == "OK"
        with grpc.insecure_channel(running.address) as channel:
            assert Wire(channel).status("GetArtifactTypes") == "UNAVAILABLE"
