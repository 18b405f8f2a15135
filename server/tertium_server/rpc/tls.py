"""TLS of the gRPC port: certificates from files, which are read again when they have changed, so that they can be renewed without a restart."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc

from tertium_server.errors import StartError
from tertium_server.logs import Throttle, get_logger

_Stamp = tuple[int, int, int]
_Fetcher = Callable[[], grpc.ServerCertificateConfiguration]  # as its stubs say, which forget that None means no change


class Certificates:
    """What the server shows its callers, and what it checks theirs by."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._stamps: tuple[_Stamp, ...] = ()
        self._log = get_logger("rpc")
        self._complaints = Throttle()

    def credentials(self) -> grpc.ServerCredentials:
        """For grpc: asks for the files again with each connection.

        Raises:
            StartError: a file can't be read, holds no certificate or key, or the key is not the certificate's.
        """
        self._stamps = self._stamped()
        return grpc.dynamic_ssl_server_credentials(
            self._read(), cast("_Fetcher", self._read_again), require_client_authentication=self._client_ca is not None
        )

    def _read_again(self) -> grpc.ServerCertificateConfiguration | None:
        """What the files say now; None: what they said before. Called by threads of gRPC's, with each connection."""
        try:
            stamps = self._stamped()
            if stamps == self._stamps:
                return None
            found = self._read()
        except (StartError, OSError) as error:  # the latter: a file that went away after it was checked
            held = self._complaints.admit(str(error))
            if held is not None:
                self._log.error("the certificates of before are kept", error=str(error), held_back=held)
            return None
        self._stamps = stamps
        self._log.info("certificates read again", certificate=str(self._certificate))
        return found

    def _read(self) -> grpc.ServerCertificateConfiguration:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # gRPC says only that a handshake failed; this says what is wrong, and says it before anybody calls.
            context.load_cert_chain(self._certificate, self._key, password=_refuse)
        except (OSError, ValueError) as error:
            raise StartError(
                f"--tls-certificate {self._certificate}, --tls-key {self._key}: {_reason(error)}; give a chain of certificates (PEM) that begins "
                "with the server's, and the key of that one, without a passphrase"
            ) from error
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except (OSError, ValueError) as error:
                raise StartError(
                    f"--tls-client-ca {self._client_ca}: {_reason(error)}; give the certificates (PEM) that callers' are signed by"
                ) from error
        roots = None if self._client_ca is None else self._client_ca.read_bytes()
        return grpc.ssl_server_certificate_configuration(
            [(self._key.read_bytes(), self._certificate.read_bytes())], roots
        )

    def _stamped(self) -> tuple[_Stamp, ...]:
        """What tells whether a file is another one than before."""
        paths = (self._certificate, self._key, *(() if self._client_ca is None else (self._client_ca,)))
        try:
            return tuple((found.st_mtime_ns, found.st_size, found.st_ino) for found in map(Path.stat, paths))
        except OSError as error:
            raise StartError(f"{error.filename}: {error.strerror}; a certificate or its key is not there") from error


def _refuse() -> bytes:
    """In place of asking for a passphrase at the terminal."""
    raise ValueError("the key has a passphrase")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        return (
            "the key is not the certificate's"
            if mismatch
            else f"it is not as it should be ({error.reason or 'no PEM'})"
        )
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
