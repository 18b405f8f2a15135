"""Worlds: the same numbers give the same footage, and what can't be is refused by name."""

from pathlib import Path

import numpy as np
import pytest

from tertium_server.simulation import Footage, WorldError, dump_world, film, load_world, preset, preset_names, simulate


def everything(footage: Footage) -> list[bytes]:
    return [
        array.tobytes()
        for frame in footage.frames()
        for array in (
            frame.boxes,
            frame.scores,
            frame.class_ids,
            frame.origins,
            frame.truth.boxes,
            frame.truth.object_ids,
        )
    ]


@pytest.mark.parametrize("name", preset_names())
def test_each_world_that_ships_plays_and_survives_its_own_file(name: str, tmp_path: Path) -> None:
    world = preset(name, frames=40)
    file = tmp_path / "world.yaml"
    file.write_text(dump_world(world))
    assert load_world(file) == world
    assert world.name == name
    [footage] = simulate(world.change(cameras=1))
    assert len(list(footage.frames())) == 40


def test_the_same_numbers_give_the_same_bytes_and_another_seed_others() -> None:
    world = preset("drift", frames=120)
    assert everything(film(world, 1)) == everything(film(world.change(), 1))
    assert everything(film(world, 1)) != everything(film(world.change(seed=1), 1))
    assert everything(film(world, 1)) != everything(film(world, 2))


def test_a_camera_sees_the_same_whatever_other_cameras_there_are() -> None:
    world = preset("busy-street", frames=60, cameras=2)
    assert everything(simulate(world)[1]) == everything(film(world.change(cameras=6), 1))


def test_another_detector_sees_the_same_scene() -> None:
    world = preset("busy-street", frames=60)
    one, other = film(world, 0), film(world.change(detector={"sure": -1.0, "missed": 0.3}), 0)
    np.testing.assert_array_equal(one.scene.boxes, other.scene.boxes)
    assert len(one.detections) != len(other.detections)


def test_a_number_that_cannot_be_is_refused_with_its_field(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    file.write_text("name: gate\ndetector: {sure: high}\nclasses:\n  - {name: person, speed: -3}\n")
    with pytest.raises(WorldError) as raised:
        load_world(file)
    first, second = str(raised.value).splitlines()
    assert "classes.0.speed" in first
    assert "has to be more than 0, not -3" in first
    assert "detector.sure" in second
    with pytest.raises(WorldError, match=r"rain: there is no such field; there are: "):
        preset("drift", rain=3)
    file.write_text("name: gate\nclasses:\n  - {name: person, sped: 3}\n")
    with pytest.raises(WorldError, match=r'classes.0.sped: there is no such field; did you mean "speed"'):
        load_world(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"frames: {'1' * 5000}", "is no YAML"),
        (f"classes: {'[' * 5000}", "nested too deep"),
    ],
    ids=["digits", "brackets"],
)
def test_a_file_that_no_reader_takes_is_told_as_any_other(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "world.yaml").write_text(text)
    with pytest.raises(WorldError, match=said):
        load_world(tmp_path / "world.yaml")


def test_what_an_error_shows_of_a_value_is_short_however_much_it_stands_for(tmp_path: Path) -> None:
    lines = ["description: &a0 [1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 12)]  # eight to the twelfth ones
    (tmp_path / "world.yaml").write_text("\n".join([*lines, "name: *a11"]))
    with pytest.raises(WorldError, match=r"name: has to be text, not \[\[\[") as raised:
        load_world(tmp_path / "world.yaml")
    assert len(str(raised.value)) < 5000


def test_a_world_that_would_never_be_done_is_refused_with_the_field_at_fault() -> None:
    with pytest.raises(WorldError, match=r"classes.0.speed: at 0.01 pixels a second .* or let them stand"):
        preset("calibrated", classes=[{"name": "snail", "speed": 0.01}])
    with pytest.raises(WorldError, match=r"phantom_seconds: 0.01 is less than a frame \(0.1\); .* is a flash"):
        preset("calibrated", false_alarms={"phantom_seconds": 0.01})


@pytest.mark.filterwarnings("error")
def test_the_strangest_numbers_give_boxes_and_scores_that_are_some() -> None:
    extremes = {"sure": -20, "size_effect": 10, "full_height": 2000, "cover_effect": 20, "flicker": 10, "sharpness": 20}
    world = preset("busy-street", cameras=1, frames=20, detector={**extremes, "localisation": 0.5, "duplicates": 1})
    for one in (world, world.change(detector={"sure": 20, "size_effect": 0}, frame_size=(64, 64))):
        said = film(one, 0).detections
        assert len(said)
        assert ((said.scores >= 0) & (said.scores <= 1)).all()
        assert (said.boxes[:, 2:] > said.boxes[:, :2]).all()


def test_any_field_may_be_changed_by_its_name() -> None:
    assert preset("drift", name="gate").name == "gate"


def test_a_world_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(WorldError, match="give a YAML file, or one of busy-street, calibrated"):
        load_world("atlantis")


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(WorldError, match="same name"):
        preset("calibrated", classes=[{"name": "a"}, {"name": "a"}])
