"""How commands trust a server, and how it is to trust them: certificates that environment variables name."""

from __future__ import annotations

import os
from pathlib import Path

import grpc

from tertium_server.rpc.caller import CallError

SERVER_CA = "TERTIUM_SERVER_CA"
"""A file with the certificates (PEM) that the server's is signed by; "system": those that the system trusts. Without it, connections have no TLS."""
CLIENT_CERTIFICATE = "TERTIUM_CLIENT_CERTIFICATE"
CLIENT_KEY = "TERTIUM_CLIENT_KEY"
"""Files (PEM) for servers that want to know who calls (--tls-client-ca)."""

_SYSTEM = "system"


def credentials_of_environment() -> grpc.ChannelCredentials | None:
    """As the variables say; None: no TLS.

    Raises:
        CallError: a file can't be read, or one of two is missing.
    """
    authority = os.environ.get(SERVER_CA, "")
    if not authority:
        return None
    certificate, key = _content(CLIENT_CERTIFICATE), _content(CLIENT_KEY)
    if (certificate is None) is not (key is None):
        raise CallError(f"{CLIENT_CERTIFICATE} and {CLIENT_KEY} go together: set both, or none")
    roots = None if authority == _SYSTEM else _content(SERVER_CA)
    return grpc.ssl_channel_credentials(roots, key, certificate)


def _content(variable: str) -> bytes | None:
    name = os.environ.get(variable, "")
    try:
        return Path(name).read_bytes() if name else None
    except OSError as error:
        raise CallError(f"{variable} {name}: {error.strerror}; name a file of certificates or a key (PEM)") from error
