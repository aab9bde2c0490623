"""Certificates for tests, made anew in each run: a CA, what it signs, and what it should not have."""

from __future__ import annotations

import datetime
from pathlib import Path

import trustme

HOST = "127.0.0.1"


class Authority:
    """A CA with its files in a directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._ca = trustme.CA()
        self.path = directory / "ca.crt"
        self._ca.cert_pem.write_to_path(str(self.path))

    def issue(self, name: str, *hosts: str, expired: bool = False) -> tuple[Path, Path]:
        """A certificate, `name`.crt with its chain, and its key, `name`.key."""
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        leaf = self._ca.issue_cert(*(hosts or (HOST, "localhost")), not_after=past if expired else None)
        certificate, key = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(key))
        return certificate, key

    def options(self, name: str = "node", *more: str) -> list[str]:
        """What `redraft server` needs to show a new certificate and to believe this CA."""
        certificate, key = self.issue(name)
        files = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
        return [*files, "--tls-ca-cert-file", str(self.path), *more]

    def client_options(self) -> dict[str, object]:
        """What redis-py needs to believe this CA and to show a certificate of it."""
        certificate, key = self.issue("client")
        return {
            "ssl": True, "ssl_ca_certs": str(self.path), "ssl_certfile": str(certificate), "ssl_keyfile": str(key),
        }  # fmt: skip
