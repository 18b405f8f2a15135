"""Tokens and roles."""

from pathlib import Path

import pytest

from tertium_server.errors import DeniedError, StartError, UnauthenticatedError
from tertium_server.review.access import Caller, Gate, Role, entry_for, make_or_read_token


def test_a_token_is_known_by_its_hash_alone(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(entry_for("geheim", "anna b.", [Role.REVIEW, Role.INGEST]))
    assert "geheim" not in file.read_text()
    assert Gate.of_file(file).identify("geheim") == Caller("anna b.", frozenset({Role.REVIEW, Role.INGEST}))
    for wrong in ("", "Geheim", "geheim ", "x" * 100_000):
        with pytest.raises(UnauthenticatedError):
            Gate.of_file(file).identify(wrong)


def test_without_a_file_the_data_folder_has_one_token_for_its_owner(tmp_path: Path) -> None:
    gate = Gate.of_folder(tmp_path)
    token = make_or_read_token(tmp_path)
    assert len(token) >= 32
    assert Gate.of_folder(tmp_path).identify(token) == gate.identify(token)
    assert (tmp_path / "review-token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("left", ["", "\n", "short\n"])
def test_a_token_that_a_full_disk_has_cut_off_opens_nothing(tmp_path: Path, left: str) -> None:
    (tmp_path / "review-token").write_text(left)
    with pytest.raises(StartError, match=r"review-token: holds \d characters.*delete the file"):
        Gate.of_folder(tmp_path)


def test_nobody_is_known_by_showing_no_token(tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(entry_for("", "anybody", [Role.ADMIN]))
    with pytest.raises(UnauthenticatedError):
        Gate.of_file(file).identify("")


def test_an_administrator_may_review_and_a_camera_may_not() -> None:
    Caller("chief", frozenset({Role.ADMIN})).require(Role.REVIEW)
    with pytest.raises(DeniedError):
        Caller("chief", frozenset({Role.ADMIN})).require(Role.INGEST)
    with pytest.raises(DeniedError):
        Caller("anna", frozenset({Role.REVIEW})).require(Role.ADMIN)


DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "names nobody"),
        ("tokens = 5", "names nobody"),
        ("[tokens", "can't be read"),
        ("[tokens.anna]\nroles = ['review']", "tokens.anna: has to have"),
        (f"[tokens.anna]\nroles = ['review']\nsha256 = '{DIGEST}'\ntoken = 'x'", "tokens.anna: has to have"),
        ("[tokens.anna]\nroles = ['review']\nsha256 = 'x'", "tokens.anna.sha256"),
        (f"[tokens.anna]\nroles = []\nsha256 = '{DIGEST}'", "tokens.anna.roles"),
        (f"[tokens.anna]\nroles = ['king']\nsha256 = '{DIGEST}'", "tokens.anna.roles"),
    ],
)
def test_a_file_that_is_wrong_stops_the_start_and_says_where(tmp_path: Path, text: str, field: str) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(text)
    with pytest.raises(StartError, match=field.replace(".", r"\.")):
        Gate.of_file(file)
