"""The server behind TLS: who gets in, certificates that are renewed while it runs, and files that are not as they should be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tertium_client import Client, Frame, Reconnect, TertiumError
from tertium_server.config import load_settings
from tertium_server.errors import StartError
from tertium_server.rpc.caller import CallError
from tertium_server.rpc.tls import Certificates
from tertium_server.rpc.trust import credentials_of_environment
from tests.servers import ServerProcess, wait_until

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here: apt-get install openssl")

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """Signs certificates, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.ca = folder / "ca.pem"
        openssl(
            "req", "-x509", *_KEY, "-keyout", folder / "ca.key", "-out", self.ca, "-days", "2", "-subj", "/CN=authority"
        )

    def sign(self, name: str) -> tuple[Path, Path]:
        """A certificate for this machine, and its key."""
        certificate, key, request = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        openssl(
            "req",
            *_KEY,
            "-keyout",
            key,
            "-out",
            request,
            "-subj",
            f"/CN={name}",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        )
        openssl(
            "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key", "-CAcreateserial",
            "-out", certificate, "-days", "2", "-copy_extensions", "copy",
        )  # fmt: skip
        return certificate, key


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "one")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "two")


class Site:
    """A server that knows its callers, and the files it was given."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.certificate, self.key = folder / "server.pem", folder / "server.key"
        self.show(*authority.sign("server"))
        self.process = ServerProcess(
            folder, "--tls-certificate", str(self.certificate), "--tls-key", str(self.key), "--tls-client-ca", str(authority.ca)
        )  # fmt: skip
        self.log = folder / "server.log"

    def show(self, certificate: Path, key: Path) -> None:
        """Puts other files in place of those it has."""
        for source, target in ((key, self.key), (certificate, self.certificate)):
            new = target.with_suffix(".new")
            shutil.copy(source, new)
            new.replace(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), authority)
    with site.process:
        yield site


def credentials(trusted: Authority, caller: tuple[Path, Path] | None) -> grpc.ChannelCredentials:
    certificate, key = (None, None) if caller is None else (path.read_bytes() for path in caller)
    return grpc.ssl_channel_credentials(trusted.ca.read_bytes(), key, certificate)


def verdicts(site: Site, shown: grpc.ChannelCredentials | None, *, patience: float = 60.0) -> int:
    """How many boxes a stream is told of.

    Raises:
        TertiumError: It does not get in.
    """
    reconnect = Reconnect(connect_within=patience)
    options = {"grpc.use_local_subchannel_pool": 1}  # a connection of its own
    with (
        Client(
            site.process.address, credentials=shown, reconnect=reconnect, channel_options=list(options.items())
        ) as client,
        client.open("gate", class_names={0: "person"}, nominal_fps=30) as stream,
    ):
        frames = (Frame(boxes=[[10, 10, 50, 90]], scores=[0.8], frame_index=index) for index in range(3))
        return sum(len(answer.decisions.verdicts) for answer in stream.decide(frames) if answer.decisions is not None)


def test_who_shows_a_certificate_that_is_known_gets_in_and_nobody_else(
    site: Site, authority: Authority, other: Authority
) -> None:
    camera = authority.sign("camera")
    assert verdicts(site, credentials(authority, camera)) == 3
    for shown, told in (
        (None, "it may want TLS"),
        (credentials(authority, None), "it may want a certificate of this client's"),
        (credentials(authority, other.sign("stranger")), "it may want a certificate of this client's"),
        (credentials(other, camera), f"the certificate of {site.process.address} is not trusted"),
    ):
        with pytest.raises(TertiumError, match=told):
            verdicts(site, shown, patience=1.0)


def test_certificates_are_renewed_without_a_restart_and_bad_ones_change_nothing(
    site: Site, authority: Authority, other: Authority
) -> None:
    camera = authority.sign("camera")
    before = site.certificate.read_bytes(), site.key.read_bytes()
    site.certificate.write_text("no certificate")
    assert verdicts(site, credentials(authority, camera)) == 3
    wait_until(lambda: "the certificates of before are kept" in site.log.read_text(), "a complaint")
    site.show(*other.sign("server"))
    assert verdicts(site, credentials(other, camera)) == 3
    with pytest.raises(TertiumError):
        verdicts(site, credentials(authority, camera), patience=1.0)
    assert "certificates read again" in site.log.read_text()
    site.certificate.write_bytes(before[0])
    site.key.write_bytes(before[1])
    assert verdicts(site, credentials(authority, camera)) == 3


def test_commands_trust_servers_by_environment_variables(site: Site, authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.sign("operator")
    known = {
        "TERTIUM_SERVER_CA": str(authority.ca),
        "TERTIUM_CLIENT_CERTIFICATE": str(certificate),
        "TERTIUM_CLIENT_KEY": str(key),
    }
    detections = tmp_path / "det.txt"
    detections.write_text("1,-1,10,10,40,80,0.8,-1,-1,-1\n2,-1,10,10,40,80,0.8,-1,-1,-1\n")
    commands = (
        ["policy", "list", "--server", site.process.address],
        ["replay", str(detections), "--format", "mot", "--fps", "30", "--server", site.process.address, "--out", str(tmp_path / "out.csv")],
    )  # fmt: skip
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "tertium_server.cli", *command],
            env=os.environ | known, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 3


def test_of_two_files_that_go_together_one_is_not_enough(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    monkeypatch.setenv("TERTIUM_SERVER_CA", str(authority.ca))
    monkeypatch.setenv("TERTIUM_CLIENT_CERTIFICATE", str(authority.ca))
    monkeypatch.delenv("TERTIUM_CLIENT_KEY", raising=False)
    with pytest.raises(CallError, match="TERTIUM_CLIENT_CERTIFICATE and TERTIUM_CLIENT_KEY go together"):
        credentials_of_environment()
    monkeypatch.setenv("TERTIUM_CLIENT_KEY", "nowhere.key")
    with pytest.raises(CallError, match=r"TERTIUM_CLIENT_KEY nowhere\.key: No such file"):
        credentials_of_environment()
    monkeypatch.setenv("TERTIUM_SERVER_CA", "system")
    monkeypatch.delenv("TERTIUM_CLIENT_CERTIFICATE")
    monkeypatch.delenv("TERTIUM_CLIENT_KEY")
    assert credentials_of_environment() is not None
    monkeypatch.delenv("TERTIUM_SERVER_CA")
    assert credentials_of_environment() is None


def test_files_that_are_not_as_they_should_be_are_told_at_the_start(tmp_path: Path, authority: Authority) -> None:
    certificate, key = authority.sign("server")
    _, stranger = authority.sign("stranger")
    secret, garbage = tmp_path / "secret.key", tmp_path / "garbage.pem"
    openssl("ec", "-in", key, "-aes256", "-passout", "pass:secret", "-out", secret)
    garbage.write_text("no certificate")
    for files, problem in (
        ((certificate, stranger), "the key is not the certificate's"),
        ((certificate, secret), "the key has a passphrase"),
        ((garbage, key), "not as it should be"),
        ((certificate, key, garbage), "--tls-client-ca"),
        ((tmp_path / "nowhere.pem", key), "No such file"),
    ):
        with pytest.raises(StartError, match=problem):
            Certificates(*files).credentials()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"tls_key": "server.key"}, "tls_certificate and tls_key go together"),
        ({"tls_client_ca": "ca.pem"}, "tls_client_ca is given, but no tls_certificate"),
    ],
)
def test_options_that_need_each_other_are_asked_for(given: dict[str, str], problem: str) -> None:
    with pytest.raises(StartError, match=problem):
        load_settings(given)
