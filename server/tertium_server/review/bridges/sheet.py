"""What a task shows of a track: one picture with its box, and the track at other times side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from tertium_server.review.bridges.tool import Percent
from tertium_server.review.footage import Footage, FrameOfTrack
from tertium_server.review.gallery import StoredPicture

FILM_HEIGHT = 240
"""Pixels."""
_QUALITY = 80
_BLANK = (640, 360)
_GREY, _LIGHT, _MARK = (40, 40, 40), (120, 120, 120), (255, 200, 0)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The pictures of a task."""

    picture: bytes
    """JPEG."""
    box: Percent | None
    film: bytes | None
    """JPEG."""


def make_sheet(footage: Footage, pictures: Sequence[tuple[StoredPicture, bytes]]) -> Sheet:
    """The picture in the middle of the track with its box, and a film strip of the others; without pictures, a sketch of its way."""
    if not pictures:
        return Sheet(_sketch(footage), None, None)
    frames = {frame.index: frame for frame in footage.frames}
    boxes = [_percent(frames.get(each.frame_index), each) for each, _ in pictures]
    placed = [place for place, box in enumerate(boxes) if box is not None] or list(range(len(pictures)))
    main = placed[len(placed) // 2]
    others = [(data, box) for place, ((_, data), box) in enumerate(zip(pictures, boxes, strict=True)) if place != main]
    return Sheet(pictures[main][1], boxes[main], _film(others) if others else None)


def _percent(frame: FrameOfTrack | None, picture: StoredPicture) -> Percent | None:
    """The box in percent of a crop; None: it is not known, or the crop does not say where it was cut."""
    if frame is None or len(picture.crop) != 4:  # noqa: PLR2004 - corners
        return None
    x1, y1, x2, y2 = picture.crop
    if x2 <= x1 or y2 <= y1:
        return None
    left, right = (100.0 * (x - x1) / (x2 - x1) for x in (frame.x1, frame.x2))
    top, bottom = (100.0 * (y - y1) / (y2 - y1) for y in (frame.y1, frame.y2))
    left, right, top, bottom = (min(max(value, 0.0), 100.0) for value in (left, right, top, bottom))
    return left, top, right - left, bottom - top


def _film(pictures: Sequence[tuple[bytes, Percent | None]]) -> bytes:
    strips = [_marked(data, box) for data, box in pictures]
    film = Image.new("RGB", (sum(strip.width for strip in strips), FILM_HEIGHT))
    left = 0
    for strip in strips:
        film.paste(strip, (left, 0))
        left += strip.width
    return _jpeg(film)


def _marked(data: bytes, box: Percent | None) -> Image.Image:
    """A picture of the strip's height, with the box drawn in."""
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as opened:
        image = opened.convert("RGB")
    image = image.resize((max(1, round(image.width * FILM_HEIGHT / image.height)), FILM_HEIGHT))
    if box is not None:
        left, top, width, height = box
        corners = (left * image.width, top * image.height, (left + width) * image.width, (top + height) * image.height)
        ImageDraw.Draw(image).rectangle(tuple(value / 100.0 for value in corners), outline=_MARK, width=2)
    return image


def _sketch(footage: Footage) -> bytes:
    """The track's boxes on a blank frame, the last one bright."""
    frames = footage.frames
    width = footage.frame_width or max((round(frame.x2) for frame in frames), default=_BLANK[0]) or _BLANK[0]
    height = footage.frame_height or max((round(frame.y2) for frame in frames), default=_BLANK[1]) or _BLANK[1]
    scale = min(1.0, _BLANK[0] / max(width, 1))
    image = Image.new("RGB", (max(1, round(width * scale)), max(1, round(height * scale))), _GREY)
    draw = ImageDraw.Draw(image)
    for frame in frames[:: max(1, len(frames) // 20)]:
        draw.rectangle(tuple(value * scale for value in frame.box), outline=_LIGHT)
    if frames:
        draw.rectangle(tuple(value * scale for value in frames[-1].box), outline=_MARK, width=2)
    return _jpeg(image)


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
