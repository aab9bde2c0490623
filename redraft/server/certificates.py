"""The certificates that a node shows and the ones that it believes: `tls-` options made into contexts of Python's ssl.

As in Redis 7.0: chains are verified against the CAs that the options name, and against no others; names of hosts are
not looked at, between nodes either, since a node proves who it is by the cluster's secret on top of TLS. Without CAs
TLS serves only clients of which no certificate is asked (`tls-auth-clients no`).

Invariants: contexts come from one reading of all files; a reading that fails changes nothing. Connections that are open
keep the context that they began with.

Left out: `tls-ciphersuites` (see options.py), and revocation lists, which Redis does not read either.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import NamedTuple

from redraft.errors import UserError
from redraft.option_kinds import OptionError
from redraft.settings import Settings

log = logging.getLogger("redraft.tls")

WATCHED = (
    "tls-cert-file", "tls-key-file", "tls-key-file-pass",
    "tls-client-cert-file", "tls-client-key-file", "tls-client-key-file-pass",
    "tls-ca-cert-file", "tls-ca-cert-dir", "tls-auth-clients",
    "tls-protocols", "tls-ciphers", "tls-prefer-server-ciphers", "tls-dh-params-file",
)  # fmt: skip
"""Options after whose change the contexts are made anew."""

_VERSIONS = {
    "tlsv1": ssl.TLSVersion.TLSv1,
    "tlsv1.1": ssl.TLSVersion.TLSv1_1,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}
_DEFAULT_PROTOCOLS = "TLSv1.2 TLSv1.3"
_VERIFY = {"yes": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "no": ssl.CERT_NONE}
_REFUSED = "Unable to update TLS configuration. Check server logs."


class Contexts(NamedTuple):
    """What connections are made with."""

    server: ssl.SSLContext
    peer: ssl.SSLContext | None
    """For nodes that this one dials; None where links are not encrypted."""


class Certificates:
    """The contexts of a node, made anew when the options or the files change."""

    def __init__(self, settings: Settings) -> None:
        """Raises UserError when the options or their files are of no use."""
        self._settings = settings
        self._contexts = _read(settings)
        for name in WATCHED:
            settings.on_change(name, self._reload)

    @property
    def server(self) -> ssl.SSLContext:
        """For those who come to a TLS port."""
        assert self._contexts is not None
        return self._contexts.server

    @property
    def peer(self) -> ssl.SSLContext | None:
        """For nodes that this one dials; None where links are not encrypted."""
        return self._contexts and self._contexts.peer

    def _reload(self) -> None:
        """CONFIG SET has changed an option, or names a file again. Raises OptionError, and all is as it was."""
        try:
            self._contexts = _read(self._settings)
        except UserError as error:
            log.warning("certificates are not read again: %s", error)
            raise OptionError(_REFUSED) from error


def _read(settings: Settings) -> Contexts | None:
    """Contexts as the options say; None where they ask for no TLS. Raises UserError."""
    if settings.tls_cluster and not settings.tls_port:
        raise UserError("redraft: tls-cluster needs a tls-port: other nodes come to this one by TLS too")
    if not settings.tls_port:
        return None
    if not settings.port and not settings.tls_cluster and (settings.initial_cluster or settings.join):
        raise UserError("redraft: with port 0 other nodes can come by TLS only: set tls-cluster to yes, on all nodes")
    return Contexts(_server(settings), peer_context(settings) if settings.tls_cluster else None)


def _server(settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _choose_protocols(context, settings)
    _load_pair(context, settings, "tls-cert-file", "tls-key-file")
    context.verify_mode = _VERIFY[settings.tls_auth_clients]
    if settings.tls_auth_clients != "no":
        _load_cas(context, settings, "unless tls-auth-clients is no")
    if settings.tls_prefer_server_ciphers:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if settings.tls_dh_params_file:
        _check_readable("tls-dh-params-file", settings.tls_dh_params_file)
        try:
            context.load_dh_params(settings.tls_dh_params_file)
        except (OSError, ValueError) as error:
            raise _useless("tls-dh-params-file", settings.tls_dh_params_file, "parameters", error) from error
    return context


def peer_context(settings: Settings) -> ssl.SSLContext:
    """What other nodes are dialled with. Raises UserError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    _choose_protocols(context, settings)
    if settings.tls_client_cert_file:
        _load_pair(context, settings, "tls-client-cert-file", "tls-client-key-file")
    else:
        _load_pair(context, settings, "tls-cert-file", "tls-key-file")
    _load_cas(context, settings, "when tls-cluster is yes")
    return context


def _choose_protocols(context: ssl.SSLContext, settings: Settings) -> None:
    words = (settings.tls_protocols or _DEFAULT_PROTOCOLS).lower().split()
    if not words or not set(words) <= _VERSIONS.keys():
        raise UserError("redraft: tls-protocols: use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'")
    order = list(_VERSIONS)
    chosen = sorted(map(order.index, set(words)))
    if chosen[-1] - chosen[0] >= len(chosen):
        raise UserError(f"redraft: tls-protocols: '{settings.tls_protocols}' leaves out a version between others")
    context.minimum_version = _VERSIONS[order[chosen[0]]]
    context.maximum_version = _VERSIONS[order[chosen[-1]]]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if settings.tls_ciphers:
        try:
            context.set_ciphers(settings.tls_ciphers)
        except ssl.SSLError as error:
            raise UserError(f"redraft: tls-ciphers: OpenSSL finds no cipher in '{settings.tls_ciphers}'") from error


def _load_pair(context: ssl.SSLContext, settings: Settings, certificate: str, key: str) -> None:
    """Load a certificate and its key, by the names of their options. Raises UserError."""
    certificate_path, key_path = _text(settings, certificate), _text(settings, key)
    for name, path in ((certificate, certificate_path), (key, key_path)):
        if not path:
            raise UserError(f"redraft: TLS needs a {name}")
        _check_readable(name, path)
    password = getattr(settings, f"{key}-pass".replace("-", "_"))
    try:
        # A password is always given: without one OpenSSL would ask the terminal.
        context.load_cert_chain(certificate_path, key_path, lambda: password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UserError(
                f"redraft: {key}: '{key_path}' is not the key of the certificate in '{certificate_path}'"
            ) from error
        raise UserError(
            f"redraft: {certificate} '{certificate_path}' and {key} '{key_path}' are not a certificate and its key "
            f"in PEM, or the password is wrong ({_reason(error)})"
        ) from error
    except (OSError, ValueError) as error:
        raise _useless(key, key_path, "a key", error) from error


def _load_cas(context: ssl.SSLContext, settings: Settings, when: str) -> None:
    file, directory = settings.tls_ca_cert_file, settings.tls_ca_cert_dir
    if not (file or directory):
        raise UserError(f"redraft: TLS needs a tls-ca-cert-file or a tls-ca-cert-dir {when}")
    if file:
        _check_readable("tls-ca-cert-file", file)
    if directory and not Path(directory).is_dir():
        raise UserError(f"redraft: tls-ca-cert-dir: '{directory}' is not a directory")
    try:
        context.load_verify_locations(file or None, directory or None)
    except OSError as error:
        raise _useless("tls-ca-cert-file", file, "certificates in PEM", error) from error


def _check_readable(name: str, path: str) -> None:
    """OpenSSL does not say which of its files it could not read. Raises UserError."""
    try:
        Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"redraft: {name}: '{path}' cannot be read: {_reason(error)}") from error


def _text(settings: Settings, name: str) -> str:
    return str(getattr(settings, name.replace("-", "_")))


def _useless(name: str, path: str, wanted: str, error: Exception) -> UserError:
    return UserError(f"redraft: {name}: '{path}' has no {wanted} ({_reason(error)})")


def _reason(error: Exception) -> str:
    """In words, without what Python puts around them."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
