"""The protobuf wire format, as far as this package reads and writes it by hand.

Frames are written by hand because all their fields are packed and of fixed width: an array's bytes are the field's bytes, which is twenty times
faster than handing each number to a message object. Error details are read by hand so that callers need no package for `google.rpc`.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT_BYTES = 10
_CONTINUES = 0x80
_SMALL = [bytes((number,)) for number in range(_CONTINUES)]


class WireError(ValueError):
    """The bytes are no protobuf message."""


def varint(number: int) -> bytes:
    """A number from 0 on, seven bits a byte, lowest first."""
    if number < _CONTINUES:
        return _SMALL[number]
    out = bytearray()
    while number >= _CONTINUES:
        out.append(number & 0x7F | _CONTINUES)
        number >>= 7
    out.append(number)
    return bytes(out)


def delimited(number: int, content: bytes) -> bytes:
    """A field of bytes, of a message or of a packed array."""
    return b"%b%b%b" % (varint(number << 3 | _DELIMITED), varint(len(content)), content)


def flag(number: int) -> bytes:
    """A field `bool` that is true."""
    return varint(number << 3 | _VARINT) + b"\x01"


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field, in order: numbers for varints (unsigned), bytes for everything else.

    Raises:
        WireError: the bytes are no message, or use groups.
    """
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield number, value
            continue
        if kind == _DELIMITED:
            length, at = _read_varint(message, at)
        elif kind in {_FIXED64, _FIXED32}:
            length = 8 if kind == _FIXED64 else 4
        else:
            raise WireError(f"field {number} is of wire type {kind}")
        if at + length > len(message):
            raise WireError(f"field {number} reaches past the end")
        yield number, message[at : at + length]
        at += length


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for position, byte in enumerate(message[at : at + _MOST_VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * position
        if byte < _CONTINUES:
            return number & 0xFFFF_FFFF_FFFF_FFFF, at + position + 1
    raise WireError("a number has no end")
