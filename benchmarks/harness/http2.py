"""As much of HTTP/2 and gRPC as a load generator needs: one connection that carries one streaming call.

A gRPC client in Python costs more processor time a message than the server that is to be measured, and would set the pace. This one sends bytes made
in advance and counts answers, for a tenth of that.
"""

import socket
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACKNOWLEDGE, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE = 4
_LARGEST_WINDOW = 2**31 - 1
_FIRST_WINDOW = 65_535
_LARGEST_FRAME = 16_384
_STREAM = 1
_HEAD = 9  # bytes before a frame's payload
_PREFIX = 5  # bytes before a gRPC message


class CallEndedError(RuntimeError):
    """The server ended the call, or the connection, in the middle of a measurement."""


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _header(name: str, value: str) -> bytes:
    """A header field that uses no table and no Huffman code (RFC 7541, 6.2.2)."""
    return bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def data_frames(message: bytes) -> bytes:
    """A gRPC message as the HTTP/2 DATA frames that carry it."""
    body = struct.pack(">BI", 0, len(message)) + message
    return b"".join(
        _frame(_DATA, 0, _STREAM, body[at : at + _LARGEST_FRAME]) for at in range(0, len(body), _LARGEST_FRAME)
    )


class StreamingCall:
    """One call on a connection of its own. ``send`` takes what ``data_frames`` made; ``receive`` tells how many answers have come."""

    __slots__ = ("_body", "_buffer", "_credit", "_socket", "_stream_credit", "_waiting", "answer_bytes", "file_number")

    def __init__(self, host: str, port: int, path: str) -> None:
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file_number = self._socket.fileno()
        self._buffer = b""
        self._body = b""
        self._credit = self._stream_credit = _FIRST_WINDOW
        self._waiting: list[bytes] = []
        self.answer_bytes = 0
        """Bytes of all answers so far, without their five-byte prefixes."""
        settings = _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, _LARGEST_WINDOW))
        window = _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW))
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": f"{host}:{port}",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        headers = b"".join(_header(name, value) for name, value in fields.items())
        self._socket.sendall(_PREFACE + settings + window + _frame(_HEADERS, _END_HEADERS, _STREAM, headers))

    def send(self, frames: bytes) -> None:
        """Sends a message, or holds it until the server's window lets it through."""
        size = len(frames)  # the heads of frames don't count against the window; a few bytes too careful
        if self._waiting or size > self._credit or size > self._stream_credit:
            self._waiting.append(frames)
            return
        self._credit -= size
        self._stream_credit -= size
        self._socket.sendall(frames)

    def receive(self) -> int:
        """Reads what has come; returns the number of answers that are complete with it.

        Raises:
            CallEndedError: The server has ended the call.
        """
        data = self._socket.recv(1 << 18)
        if not data:
            raise CallEndedError("the server closed the connection")
        data = self._buffer + data
        answers = at = 0
        while len(data) - at >= _HEAD:
            end = at + _HEAD + int.from_bytes(data[at : at + 3], "big")
            if end > len(data):
                break
            kind = data[at + 3]
            if kind == _DATA:
                answers += self._count(data[at + _HEAD : end])
            else:
                self._control(
                    kind, data[at + 4], int.from_bytes(data[at + 5 : at + _HEAD], "big"), data[at + _HEAD : end]
                )
            at = end
        self._buffer = data[at:]
        return answers

    def close(self) -> None:
        """Closes the connection: to the server, a caller that is gone."""
        self._socket.close()

    def _count(self, payload: bytes) -> int:
        body = self._body + payload if self._body else payload
        answers = at = 0
        while len(body) - at >= _PREFIX:
            size = int.from_bytes(body[at + 1 : at + _PREFIX], "big")
            if len(body) - at - _PREFIX < size:
                break
            answers += 1
            self.answer_bytes += size
            at += _PREFIX + size
        self._body = body[at:]
        return answers

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _WINDOW_UPDATE:
            if stream == 0:
                self._credit += int.from_bytes(payload, "big")
            else:
                self._stream_credit += int.from_bytes(payload, "big")
            self._let_through()
        elif kind == _SETTINGS and not flags & _ACKNOWLEDGE:
            for identifier, value in struct.iter_unpack(">HI", payload):
                if identifier == _INITIAL_WINDOW_SIZE:
                    self._stream_credit += value - _FIRST_WINDOW
            self._socket.sendall(_frame(_SETTINGS, _ACKNOWLEDGE, 0))
        elif kind == _PING and not flags & _ACKNOWLEDGE:
            self._socket.sendall(_frame(_PING, _ACKNOWLEDGE, 0, payload))
        elif kind in (_RESET, _GO_AWAY) or (kind == _HEADERS and flags & _END_STREAM):
            raise CallEndedError(f"the server ended the call: frame of type {kind}, {payload!r}")

    def _let_through(self) -> None:
        held, self._waiting = self._waiting, []
        for frames in held:
            self.send(frames)
