"""Why there is no connection is told in words of those who have to mend it: by real sockets on which something else listens, or nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import pytest

from tertium_client import BatchState, Client, DisconnectedError, InvalidSettingsError, Reconnect, RefusedError
from tertium_client._peer import Peer
from tertium_client._status import Status


def opening_fails(
    address: str, kind: type[Exception], credentials: grpc.ChannelCredentials | None = None, within: float = 0.3
) -> str:
    """What is said where a stream is opened there."""
    patience = Reconnect(first_delay=0.01, longest_delay=0.05, connect_within=within)
    with Client(address, reconnect=patience, credentials=credentials) as client, pytest.raises(kind) as raised:
        client.open("gate", nominal_fps=30)
    return str(raised.value)


@contextlib.contextmanager
def web_server() -> Generator[str]:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def other_grpc_server() -> Generator[str]:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@contextlib.contextmanager
def closing_server() -> Generator[str]:
    """Takes connections and closes them, as servers with TLS do to those without."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def close_all() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()

        thread = threading.Thread(target=close_all)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_where_nothing_listens_the_address_and_the_remedy_are_named() -> None:
    with socket.socket() as bound:  # and does not listen: nobody else gets the port
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        said = opening_fails(address, DisconnectedError)
    assert said.startswith(
        f"nothing listens at {address}: start one there, or give another address; gave up at attempt "
    )
    assert said.endswith("(UNAVAILABLE)")


def test_a_name_that_nobody_knows_is_told() -> None:
    assert "the name in no where.invalid:7413 can't be resolved" in opening_fails(
        "no where.invalid:7413", DisconnectedError
    )


def test_what_speaks_http_only_is_told_from_a_server() -> None:
    with web_server() as address:
        assert f"{address} speaks HTTP, but not gRPC: give the address" in opening_fails(address, DisconnectedError)


def test_another_grpc_server_is_told_from_ours_for_streams_and_batches() -> None:
    with other_grpc_server() as address:
        wanted = f"{address} answers, but does not know tertium.v1.DecisionService"
        assert wanted in opening_fails(address, RefusedError)
        with Client(address) as client, pytest.raises(RefusedError, match=wanted):
            client.decide_batch(BatchState.start("gate"), [])


def test_one_who_speaks_tls_to_a_server_without_is_told_so() -> None:
    with other_grpc_server() as address:
        said = opening_fails(address, DisconnectedError, grpc.ssl_channel_credentials(), within=1.0)
    assert f"{address} does not speak TLS, and this client does: leave TLS out" in said


def test_what_closes_connections_at_once_may_want_tls() -> None:
    with closing_server() as address:
        said = opening_fails(address, DisconnectedError)
    assert f"{address} takes connections and closes them at once: it may want TLS (credentials=…" in said


def test_a_port_that_takes_connections_and_says_nothing_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert f"{address} takes connections and does not say a word" in opening_fails(
            address, DisconnectedError, within=1.2
        )


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("", "HOST:PORT"),
        ("http://127.0.0.1:7413", "give HOST:PORT; TLS is what credentials="),
        ("https://tertium.example.org", "give HOST:PORT; TLS is what credentials="),
        ("127.0.0.1:74130", "between 1 and 65535"),
    ],
)
def test_addresses_that_grpc_would_take_for_others_are_refused(address: str, remedy: str) -> None:
    with pytest.raises(InvalidSettingsError, match=remedy):
        Client(address)


def test_an_address_without_a_port_is_told_of_the_one_it_got() -> None:
    refused = Status(
        grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses; last error: x: Connection refused"
    )
    assert "names no port, so gRPC took 443" in str(Peer("tertium.example.org").lost(refused, 3))
    assert "no port" not in str(Peer("tertium.example.org:443").lost(refused, 3))


def test_a_server_that_was_there_and_went_away_is_not_taken_for_one_that_wants_tls() -> None:
    closed = Status(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    assert "TLS" in str(Peer("a:1").lost(closed, 3))
    assert (
        str(Peer("a:1").lost(closed, 3, known=True)) == "server a:1: Socket closed; gave up at attempt 3 (UNAVAILABLE)"
    )


def test_what_is_not_known_is_told_in_the_words_of_grpc_with_the_address() -> None:
    strange = Status(grpc.StatusCode.UNAVAILABLE, "the moon is full")
    assert str(Peer("a:1").lost(strange, 3)) == "server a:1: the moon is full; gave up at attempt 3 (UNAVAILABLE)"
