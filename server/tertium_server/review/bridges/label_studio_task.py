"""What a Label Studio project and its tasks look like.

The box goes along as a prediction; the answer does not, for a prediction pre-selects it in the form, and reviewers would agree with the machine.
"""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from tertium_server.review.bridges.tool import Percent, Task
from tertium_server.review.values import Answer

MODEL_VERSION = "tertium"
"""Of predictions, and of the project: were they not the same, tasks would come in random order."""

TITLE = "Tertium review"
MOST_ANSWERS = 3
"""Answers that a task may get: the second and third vote of a case."""

_BOX, _PICTURE, _ANSWER, _REGION = "box", "picture", "answer", "in question"
_CHOICES = {"yes": Answer.YES, "no": Answer.NO, "cannot tell": Answer.CANNOT_TELL}

LABEL_CONFIG = """<View>
  <Header value="$question"/>
  <Choices name="answer" toName="picture" choice="single-radio" required="true" requiredMessage="Yes, no, or cannot tell?" showInline="true">
    <Choice value="yes" hotkey="y"/>
    <Choice value="no" hotkey="n"/>
    <Choice value="cannot tell" hotkey="u"/>
  </Choices>
  <Image name="picture" value="$picture" zoom="true" zoomControl="true"/>
  <RectangleLabels name="box" toName="picture" canRotate="false">
    <Label value="in question" background="#ffc800"/>
  </RectangleLabels>
  <Image name="film" value="$film"/>
</View>
"""


def project_body() -> dict[str, Any]:
    """The settings of a project for cases."""
    return {
        "title": TITLE,
        "description": "Cases of Tertium: is the object in the box what it is asked for? Kept by Tertium; don't import tasks here.",
        "label_config": LABEL_CONFIG,
        "sampling": "Uncertainty sampling",  # Label Studio's name for: lowest prediction score first
        "model_version": MODEL_VERSION,
        "maximum_annotations": MOST_ANSWERS,
        "show_collab_predictions": True,
    }


def task_body(task: Task) -> dict[str, Any]:
    """A task with its pictures in it: Label Studio needs no storage, and nothing of ours."""
    result = [] if task.box is None else [_region(task.box, task.picture)]
    return {
        "data": {
            "case_id": task.case_id,
            "question": f"Is this: {task.class_name}?",
            "stream": task.stream_id,
            "picture": _inline(task.picture),
            "film": _inline(task.film if task.film is not None else _NOTHING),
        },
        "predictions": [{"model_version": MODEL_VERSION, "score": task.score, "result": result}],
    }


def answer_of(annotation: dict[str, Any]) -> Answer | None:
    """What an annotation says; None: it was skipped, or holds no answer."""
    if annotation.get("was_cancelled"):
        return None
    for entry in annotation.get("result") or ():
        if entry.get("from_name") == _ANSWER:
            chosen = entry.get("value", {}).get("choices") or [""]
            return _CHOICES.get(chosen[0])
    return None


def _region(box: Percent, picture: bytes) -> dict[str, Any]:
    with Image.open(io.BytesIO(picture)) as opened:
        width, height = opened.size
    x, y, across, down = box
    return {
        "id": _BOX,
        "type": "rectanglelabels",
        "from_name": _BOX,
        "to_name": _PICTURE,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"x": x, "y": y, "width": across, "height": down, "rotation": 0, "rectanglelabels": [_REGION]},
    }


def _inline(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _blank() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (1, 1)).save(out, "JPEG")
    return out.getvalue()


_NOTHING = _blank()
"""A task's film, where there is but one picture: an empty field would be an error in the form."""
