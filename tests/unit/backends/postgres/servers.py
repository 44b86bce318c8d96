"""Servers that few tests need: a standby, and one that speaks TLS."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from durable_async.backends.postgres.embedded import (
    USER,
    EmbeddedPostgres,
    _unprivileged,
    find_binaries,
)

OPENSSL = shutil.which("openssl")


def with_tls() -> Path | None:
    """Return the programs of a server that was built with TLS, as those of Linux distributions are."""
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def standby_of(primary: EmbeddedPostgres, folder: Path) -> EmbeddedPostgres:
    """Begin a server that follows another."""
    folder.mkdir(mode=0o700)
    (folder / "password").write_text(primary.password + "\n")
    source = f"host=127.0.0.1 port={primary.port} user={USER} password={primary.password}"
    program = str(find_binaries() / "pg_basebackup")
    subprocess.run(
        [
            *_unprivileged(),
            program,
            "-D",
            str(folder / "data"),
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "-d",
            source,
        ],
        check=True,
        capture_output=True,
    )
    (folder / "data").chmod(0o700)
    standby = EmbeddedPostgres(folder, settings={"fsync": "off", "max_connections": "300"})
    standby.start()
    return standby


def both(one: EmbeddedPostgres, other: EmbeddedPostgres) -> str:
    """Return a DSN with both hosts, in this order."""
    parts = urlsplit(one.dsn)
    user = parts.netloc.rpartition("@")[0]
    hosts = f"127.0.0.1:{one.port},127.0.0.1:{other.port}"
    return parts._replace(netloc=f"{user}@{hosts}").geturl()


class Authority:
    """One who signs certificates."""

    def __init__(self, folder: Path, name: str) -> None:
        self.certificate = folder / f"{name}.pem"
        self._folder = folder
        self._key = folder / f"{name}.key"
        extensions = ["-addext", "keyUsage=critical,keyCertSign"]
        self._openssl("req", "-x509", "-days", "2", "-subj", f"/CN={name}", *extensions)

    def _openssl(self, *words: str) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        files = ["-keyout", str(self._key), "-out", str(self.certificate)]
        _run(*words, *key, *files)

    def sign(self, subject: str) -> tuple[Path, Path]:
        """Return a certificate for an address, and its key."""
        folder = self._folder
        request, key, signed = folder / "request.pem", folder / "server.key", folder / "server.pem"
        curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        _run(
            *["req", "-newkey", "ec", *curve, "-subj", "/CN=server"],
            *["-keyout", str(key), "-out", str(request)],
        )
        extensions = folder / "extensions"
        extensions.write_text(
            f"subjectAltName={subject}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        )
        _run(
            *["x509", "-req", "-days", "2", "-in", str(request), "-out", str(signed)],
            *["-CA", str(self.certificate), "-CAkey", str(self._key), "-CAcreateserial"],
            *["-extfile", str(extensions)],
        )
        key.chmod(0o600)
        return signed, key


def _run(*words: str) -> None:
    assert OPENSSL is not None
    subprocess.run([OPENSSL, *words], check=True, capture_output=True)
