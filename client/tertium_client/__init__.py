"""The Tertium client: sends detections of video streams to a Tertium server and hands back its decisions.

    from tertium_client import Client, Verdict

    with (
        Client("127.0.0.1:7413") as client,
        client.open("gate", class_names={0: "person"}, frame_size=(1920, 1080), nominal_fps=30) as stream,
    ):
        for answer in stream.decide(frames):
            if answer.decisions is not None:
                sure = answer.decisions.verdicts == Verdict.YES

Frames (`Frame`) hold numpy arrays or lists: boxes, scores, class ids. Send all detections, low scores too, and frames without any: both are
evidence. Each frame gets one `Answer`, in order, with its decisions (None: it was refused, and `refusal` says why) and what happened to tracks. Now
and then comes an answer that belongs to no frame: the ends of tracks when the stream ends, or word of a server that is about to stop.

There are three ways to send and read, and AsyncClient has the same with `async` and `await`:

- `for answer in stream.decide(frames)` does both in step, `look_ahead` frames ahead;
- `stream.send(boxes=…, scores=…)` in one thread or task, `for answer in stream` in another; `stream.finish()` ends both;
- `stream.send(…)` and then `for answer in stream.ready()` in turn, with `stream.drain()` for what is still outstanding.

A connection that breaks is mended unseen: the client keeps the server's last checkpoint and the frames since, reconnects (see `Reconnect`) to the
same server or another one, and goes on where it was. No answer is lost or handed out twice. While there is no connection, sending waits as soon as
`max_in_flight` frames have no answer. What can't be mended is raised as one of the errors in `tertium_client.errors`, after all answers that came
before. Callers that can hold no stream use `client.decide_batch`. A client belongs to the process it was made in, an AsyncClient to one event loop.

The package logs to the logger "tertium_client" and needs grpcio, protobuf and numpy only.
"""

from tertium_client._async_client import AsyncClient
from tertium_client._async_stream import AsyncStream
from tertium_client._backoff import Reconnect
from tertium_client._batch import BatchResult, BatchState
from tertium_client._channel import ConnectionOptions
from tertium_client._client import Client
from tertium_client._encode import Frame
from tertium_client._settings import OpenOptions, StreamOptions, StreamSettings
from tertium_client._stream import Stream
from tertium_client.errors import (
    DeniedError,
    DisconnectedError,
    FieldViolation,
    InvalidFrameError,
    InvalidSettingsError,
    NobodyReadsError,
    OverloadedError,
    ProtocolError,
    RefusedError,
    ServerError,
    StreamClosedError,
    SupersededError,
    TertiumError,
    UsageError,
)
from tertium_client.values import (
    Answer,
    CoastedTracks,
    DecidedBy,
    EventReason,
    EventType,
    FrameDecisions,
    Notice,
    NoticeCode,
    TrackEvent,
    Verdict,
    Why,
)

__all__ = [
    "Answer",
    "AsyncClient",
    "AsyncStream",
    "BatchResult",
    "BatchState",
    "Client",
    "CoastedTracks",
    "ConnectionOptions",
    "DecidedBy",
    "DeniedError",
    "DisconnectedError",
    "EventReason",
    "EventType",
    "FieldViolation",
    "Frame",
    "FrameDecisions",
    "InvalidFrameError",
    "InvalidSettingsError",
    "NobodyReadsError",
    "Notice",
    "NoticeCode",
    "OpenOptions",
    "OverloadedError",
    "ProtocolError",
    "Reconnect",
    "RefusedError",
    "ServerError",
    "Stream",
    "StreamClosedError",
    "StreamOptions",
    "StreamSettings",
    "SupersededError",
    "TertiumError",
    "TrackEvent",
    "UsageError",
    "Verdict",
    "Why",
]
