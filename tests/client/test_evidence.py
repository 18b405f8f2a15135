"""Pictures for people: what is kept of frames, and what is cut of it when a server asks."""

import asyncio
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image as Pillow

from tertium.v1 import decision_service_pb2, decisions_pb2, evidence_pb2, stream_pb2
from tertium_client import Frame, InvalidFrameError, Reconnect
from tertium_client._pictures import Image, Pictures, encode_png
from tertium_client._session import Session
from tertium_client._settings import Flow, StreamSettings
from tests.client.builders import KINDS, Kind

Request = decision_service_pb2.DecideRequest
Response = decision_service_pb2.DecideResponse


def image(index: int = 0, height: int = 60, width: int = 80) -> Image:
    """A picture whose pixels tell where and when they are: red is x, green is y, blue is the frame."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x, y, np.full_like(x, index)], axis=-1).astype(np.uint8)


def asked(*frames: int, box: tuple[float, ...] = (20, 10, 40, 30), most: int = 1 << 20) -> evidence_pb2.EvidenceRequest:
    return evidence_pb2.EvidenceRequest(
        request_id="case", frame_indices=frames, boxes=list(box) * len(frames), max_picture_bytes=most
    )


def answered(pictures: Pictures, request: evidence_pb2.EvidenceRequest) -> list[evidence_pb2.Picture]:
    pictures.ask(request)
    evidence = None
    while (drawing := pictures.next_drawing()) is not None:
        assert evidence is None, "a request is answered once"
        evidence = drawing()
    assert not pictures.wanted
    return [] if evidence is None else list(evidence.pictures)


def pixels(picture: evidence_pb2.Picture) -> Any:
    return np.asarray(Pillow.open(io.BytesIO(picture.data)))


def kept(*frames: int, memory: int = 1 << 30, **options: Any) -> Pictures:
    pictures = Pictures(memory, options.get("encoder"))
    for frame in frames:
        pictures.keep(frame, image(frame))
    return pictures


def test_a_crop_is_the_box_with_a_margin_of_the_frame_wanted() -> None:
    (picture,) = answered(kept(3, 4, 5), asked(4))
    assert (picture.frame_index, picture.format) == (4, evidence_pb2.Picture.FORMAT_PNG)
    assert list(picture.crop) == [15, 5, 46, 36]
    assert (pixels(picture) == image(4)[5:36, 15:46]).all()


@pytest.mark.parametrize("shape", [(60, 80, 3), (60, 80), (1, 1), (7, 3, 3)])
def test_a_png_is_read_by_others_as_what_it_was_made_of(shape: tuple[int, ...]) -> None:
    drawn = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    assert (np.asarray(Pillow.open(io.BytesIO(encode_png(drawn)))) == drawn).all()


def test_a_box_at_the_edge_is_cut_to_the_picture_and_one_outside_gives_none() -> None:
    pictures = kept(0)
    (picture,) = answered(pictures, asked(0, box=(-10, -10, 10, 10)))
    assert list(picture.crop) == [0, 0, 16, 16]
    for box in ((500, 500, 600, 600), (-50, -50, -30, -30), (float("nan"), 0, 1, 1), (0, 0, float("inf"), 1)):
        assert answered(pictures, asked(0, box=box)) == []


def test_the_nearest_frame_stands_in_for_one_that_is_gone_but_not_one_far_away() -> None:
    pictures = kept(10, 20)
    assert [each.frame_index for each in answered(pictures, asked(12, 19, 21))] == [10, 20]
    assert answered(pictures, asked(500)) == []


def test_memory_is_bounded_and_reaches_further_back_than_the_newest_frames() -> None:
    pictures = kept(*range(200), memory=20 * image().nbytes)
    assert len(pictures.frames) <= 20
    assert pictures.frames[-5:] == [195, 196, 197, 198, 199]
    assert pictures.frames[0] < 180
    assert kept(1, memory=image().nbytes - 1).frames == []
    assert kept(1, 2, 3, memory=image().nbytes).frames == [3]


def test_a_crop_that_is_too_large_is_made_smaller() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    pictures = Pictures(1 << 20, None)
    pictures.keep(0, noise)
    (picture,) = answered(pictures, asked(0, most=1500))
    assert len(picture.data) <= 1500
    assert (pixels(picture) == noise[5:36:2, 15:46:2]).all()
    assert answered(pictures, asked(0, most=10)) == []


def test_the_callers_own_encoder_is_used_and_its_failure_breaks_nothing() -> None:
    def jpeg(crop: Image) -> bytes:
        out = io.BytesIO()
        Pillow.fromarray(crop).save(out, "JPEG")
        return out.getvalue()

    def broken(_: Image) -> bytes:
        raise RuntimeError("no")

    (picture,) = answered(kept(0, encoder=jpeg), asked(0))
    assert picture.format == evidence_pb2.Picture.FORMAT_JPEG
    assert answered(kept(0, encoder=broken), asked(0)) == []
    # As cv2.imencode's second value: bytes, but in an array.
    for wrong in (b"GIF89a", None, np.frombuffer(jpeg(image()), np.uint8)):
        assert answered(kept(0, encoder=lambda _, wrong=wrong: wrong), asked(0)) == []


def test_a_request_that_makes_no_sense_is_passed_over() -> None:
    pictures = kept(0)
    assert answered(pictures, evidence_pb2.EvidenceRequest(request_id="case", frame_indices=[0], boxes=[1, 2, 3])) == []
    assert answered(pictures, asked()) == []


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8), "picture", 7]
)
def test_what_is_no_image_is_refused_by_name(wrong: object) -> None:
    with pytest.raises(InvalidFrameError, match="frame"):
        Frame(boxes=[], picture=wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Talk:
    """A session and the messages that go between it and a server."""

    def __init__(self) -> None:
        self.session = Session(StreamSettings(stream_id="s", nominal_fps=10), Flow(), Reconnect(), 0.0)
        self.connect()

    def connect(self) -> None:
        self.session.connect(0.0)
        # No checkpoint has come: each time the stream starts from frame 0.
        opened = stream_pb2.Opened(epoch=7, first_frame=0, max_frames_per_message=100, max_detections_per_frame=100)
        self.session.receive(Response(opened=opened), 0.0)

    def send(self, index: int) -> Request:
        self.session.accept(Frame(boxes=[], picture=image(index)), 0.0)
        return self.next()

    def next(self) -> Request:
        drawing = self.session.next_drawing()
        data = self.session.next_request(1.0) if drawing is None else drawing()
        return Request() if data is None else Request.FromString(data)

    def answer(self, index: int, **parts: Any) -> None:
        decisions = decisions_pb2.Decisions(frame_indices=[index], detection_counts=[0])
        self.session.receive(Response(decisions=decisions, **parts), 1.0)


def test_a_stream_answers_what_it_is_asked_and_goes_on() -> None:
    talk = Talk()
    assert talk.send(0).WhichOneof("message") == "frames"
    talk.answer(0, evidence_requests=[asked(0)])
    evidence = talk.next().evidence
    assert (evidence.request_id, len(evidence.pictures)) == ("case", 1)
    assert talk.next() == Request()
    # Evidence owes no response: the next one is the next frame's.
    talk.send(1)
    talk.answer(1)
    assert talk.session.unread == 2
    assert talk.session.error is None


def test_what_another_connection_asked_is_not_answered() -> None:
    talk = Talk()
    talk.send(0)
    talk.answer(0, evidence_requests=[asked(0)])
    talk.connect()
    assert talk.next().WhichOneof("message") != "evidence"


def test_word_that_evidence_came_too_late_is_no_answer_to_a_frame() -> None:
    talk = Talk()
    talk.send(0)
    notice = decisions_pb2.Notice(code=decisions_pb2.Notice.CODE_UNEXPECTED, message="nobody asked")
    talk.session.receive(Response(notices=[notice]), 1.0)
    talk.answer(0)
    assert [answer.frame_index for answer in iter(talk.session.take, None)] == [None, 0]


class Curious:
    """A server that wants pictures of the first two frames."""

    def __init__(self) -> None:
        self.evidence: list[evidence_pb2.Evidence] = []

    def decide(self, requests: Iterator[Request], _: object) -> Iterator[Response]:
        next(requests)
        yield Response(opened=stream_pb2.Opened(epoch=7, max_frames_per_message=9, max_detections_per_frame=9))
        for request in requests:
            if request.HasField("evidence"):
                self.evidence.append(request.evidence)
                continue
            (index,) = request.frames.frame_indices
            decided = decisions_pb2.Decisions(frame_indices=[index], detection_counts=[0])
            yield Response(decisions=decided, evidence_requests=[asked(0, 1)] if index == 1 else [])
        yield Response()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_while_a_picture_is_encoded_nobody_waits_for_it(kind: Kind) -> None:
    server, curious = grpc.server(ThreadPoolExecutor()), Curious()
    decide = grpc.stream_stream_rpc_method_handler(
        curious.decide, request_deserializer=Request.FromString, response_serializer=Response.SerializeToString
    )
    server.add_registered_method_handlers("tertium.v1.DecisionService", {"Decide": decide})
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    began, sent, told = threading.Event(), threading.Event(), threading.Event()
    waited: list[bool] = []

    def encode(crop: Image) -> bytes:
        began.set()
        waited.append((told if waited else sent).wait(3.0))
        return encode_png(crop)

    async def scenario() -> None:
        async with (
            kind.client(f"127.0.0.1:{port}") as client,
            client.open("gate", nominal_fps=30, encode_picture=encode) as stream,
        ):
            for index in range(2):
                await stream.send(Frame([], picture=image(index)))
                await stream.receive()
            await asyncio.to_thread(began.wait)
            await stream.send(Frame([]))  # while the first picture is drawn
            sent.set()
            answer = await stream.receive()  # before the second one is
            assert answer.frame_index == 2
            told.set()

    try:
        asyncio.run(scenario())
    finally:
        server.stop(None)
    assert waited == [True, True]
    assert [[picture.frame_index for picture in each.pictures] for each in curious.evidence] == [[0, 1]]
