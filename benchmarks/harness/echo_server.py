"""An echo server on the same gRPC stack: what a message costs before anybody does anything with it.

It answers every message of a call with as many bytes as it was told to, in the loop, with the options and the scheduling of the real server; or
(--plain) with none of these, as anybody would write it.
"""

import argparse
import asyncio
import gc
import os
import signal

# First of all that imports grpc: it decides how grpc polls, for this server as for the real one.
import tertium_server.rpc as polling  # isort: skip

import grpc
import uvloop
from grpc import aio

from tertium_server.app.scheduling import schedule_threads
from tertium_server.config import Settings
from tertium_server.rpc.server import grpc_options as server_options  # the real ones, whatever becomes of them
from tertium_server.rpc.status import Context

__all__ = ["polling"]  # imported for what it does

SERVICE = "tertium.benchmarks.Echo"


class Echo:
    """The one method: read, write, over and over."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def echo(self, _requests: object, context: Context) -> None:
        """One stream."""
        read, write, answer = context.read, context.write, self._answer
        while True:
            data = await read()
            if data is aio.EOF:
                return
            await write(answer)


async def _serve(answer_bytes: int, *, plain: bool) -> None:
    server = aio.server(options=() if plain else server_options(Settings()))
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Echo": grpc.stream_stream_rpc_method_handler(Echo(bytes(answer_bytes)).echo)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    gc.collect()
    gc.freeze()
    print(f"127.0.0.1:{port}", flush=True)
    await stopping.wait()
    await server.stop(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answer-bytes", type=int, required=True)
    parser.add_argument(
        "--plain",
        action="store_true",
        help="without what makes the real server fast (set GRPC_EXPERIMENTS= for it, too)",
    )
    given = parser.parse_args()
    if not given.plain:
        schedule_threads(Settings().scheduling)
    uvloop.run(_serve(given.answer_bytes, plain=given.plain))
    os._exit(0)
