"""Whether an address can be listened on, and if not, why: gRPC only says that it can't, and writes lines of its own beside our error."""

from __future__ import annotations

import os
import socket

from tertium_server.config import split_address


def refusal(address: str, *, shared: bool) -> str:
    """What the system says to HOST:PORT; "": nothing against it. ``shared``: others may listen there, too.

    Of a name that stands for several addresses, gRPC is content with one.
    """
    host, port = split_address(address)
    try:
        found = socket.getaddrinfo(
            host.removeprefix("[").removesuffix("]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        return str(error.strerror)
    said = ""
    for family, kind, protocol, _, place in found:
        try:
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if shared:
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                trial.bind(place)
        except OSError as error:
            said = said or os.strerror(error.errno or 0)
        else:
            return ""
    return said
