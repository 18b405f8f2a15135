"""The review page: its requests by themselves, and the page in a real browser."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from prometheus_client import CollectorRegistry
from sqlalchemy import select, update

from tertium_server.review.access import Gate, Role, entry_for
from tertium_server.review.department import ReviewDepartment, ReviewSettings
from tertium_server.review.footage import Footage, FrameOfTrack, Level
from tertium_server.review.gallery import SentPicture
from tertium_server.review.queue import QueueRules
from tertium_server.review.values import Answer, Booking, DecidedBy, State, Stratum, Verdict
from tertium_server.storage import sqlite_url
from tertium_server.storage.tables import review
from tertium_server.web.pages import make_pages
from tertium_server.web.readiness import Readiness
from tertium_server.web.review_page import ReviewPages
from tertium_server.web.server import WebServer
from tests.review.builders import booking
from tests.review.test_frame_audits import audit
from tests.servers import wait_until

HOSTILE = "<img src=x onerror=document.title='owned'>\"'&"
HIDDEN = (
    "score",
    "probability",
    "threshold",
    "source",
    "stratum",
    "machine",
    "verdict",
    "audit",
    "maybe",
    'pi"',
    "curve",
)


def jpeg(color: tuple[int, int, int] = (40, 90, 60)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (200, 300), color).save(out, "JPEG")
    return out.getvalue()


def shown(track: int, stratum: Stratum = Stratum.MAYBE, **changes: Any) -> Booking:
    """A decision with frames to be shown."""
    made = booking(track, stratum, **changes)
    frames = tuple(FrameOfTrack(k, k, 10.0 + k, 20.0, 110.0 + k, 220.0, 0.31415, 0.27182) for k in range(60))
    return Booking(
        decision=made.decision, terms=made.terms, evidence=Footage(frames, 640, 360, 0.77777, 0.11111).to_json()
    )


class Page:
    """A department with its page, and somebody who asks."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.department = ReviewDepartment(
            ReviewSettings(
                store_url=sqlite_url(folder),
                spool_folder=folder / "spool",
                evidence_url=str(folder / "blobs"),
                queue=QueueRules(audit_share=0.0, gold_share=0.0),
            )
        )
        self.department.start()
        tokens = folder / "tokens.toml"
        names = {"anna": [Role.REVIEW], "bert": [Role.REVIEW], "camera": [Role.INGEST], "chief": [Role.ADMIN]}
        tokens.write_text("".join(entry_for(f"{name} token", name, roles) for name, roles in names.items()))
        pages = ReviewPages(self.department, Gate.of_file(tokens), options.get("proxy_header"))
        ready = Readiness(kernels=True, draining=False, streams=0)
        self._server = WebServer(make_pages(CollectorRegistry(), lambda: ready, pages.routes()), "127.0.0.1", 0)
        self.address = f"http://{self._server.start()}"
        self._client = httpx.Client(base_url=self.address, timeout=60)

    def close(self) -> None:
        self._client.close()
        self._server.stop()
        self.department.stop(60)

    def ask(self, action: str, body: object = None, name: str = "anna", **headers: str) -> httpx.Response:
        given = {"authorization": f"Bearer {name} token", "x-tertium": "1"} | headers
        return self._client.post(f"/review/api/{action}", content=json.dumps(body or {}), headers=given)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._client.get(path, headers=headers)

    def lease(self, name: str = "anna") -> dict[str, Any]:
        (lease,) = self.ask("lease", {"count": 1}, name).json()["leases"]
        return dict(lease)

    def vote(self, lease: dict[str, Any], answer: str, name: str = "anna") -> httpx.Response:
        return self.ask("vote", {"case": lease["case"], "token": lease["token"], "answer": answer}, name)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    made = Page(tmp_path)
    yield made
    made.close()


class TestRequests:
    @pytest.mark.parametrize("stratum", [Stratum.AUTO_YES, Stratum.AUTO_NO, Stratum.MAYBE])
    def test_nothing_of_what_the_machine_thinks_is_sent_before_the_vote(self, page: Page, stratum: Stratum) -> None:
        page.department.office.book([shown(1, stratum)])
        response = page.ask("lease", {"count": 1})
        text = response.text.lower()
        assert [word for word in HIDDEN if word in text] == []
        assert [
            number for number in ("31415", "27182", "77777", "11111", "0.95", "0.05", "0.4,") if number in text
        ] == []
        (lease,) = response.json()["leases"]
        assert lease["frames"][0] == [0, 10.0, 20.0, 110.0, 220.0]
        # Cases of all strata look alike.
        assert set(lease) == {
            "case", "token", "expires", "class_name", "stream_id", "deadline", "whole_frame", "frame_width", "frame_height", "frames", "pictures",
        }  # fmt: skip

    def test_all_of_it_is_sent_with_the_vote(self, page: Page) -> None:
        page.department.office.book([shown(1, Stratum.AUTO_YES)])
        revealed = page.vote(page.lease(), "no").json()["revealed"]
        assert (revealed["source"], revealed["machine"], revealed["probability"]) == ("audit_yes", "yes", 0.95)
        assert (revealed["yes"], revealed["no"], revealed["state"]) == (0.77777, 0.11111, "second_review")
        assert revealed["curve"][0] == [0, 0.27182]

    def test_a_vote_changes_the_case_and_undo_gives_it_back(self, page: Page) -> None:
        (case,) = page.department.office.book([shown(1)])
        page.vote(page.lease(), "yes")
        assert page.department.office.find(case).verdict is Verdict.YES
        again = page.ask("undo", {"case": case}).json()["lease"]
        assert again["case"] == case
        assert page.department.office.find(case).state is State.OPEN
        assert page.vote(again, "no").json()["fenced"] is False
        assert page.department.office.find(case).verdict is Verdict.NO

    def test_a_lease_is_renewed_and_given_back(self, page: Page) -> None:
        page.department.office.book([shown(1)])
        lease = page.lease()
        body = {"case": lease["case"], "token": lease["token"]}
        assert page.ask("renew", body).json()["expires"] >= lease["expires"]
        assert page.ask("release", body).json() == {"released": True}
        assert page.ask("renew", body).json() == {"expires": None}

    def test_the_state_tells_depth_and_pace(self, page: Page) -> None:
        page.department.office.book([shown(1), shown(2), shown(3)])
        page.vote(page.lease(), "yes")
        page.lease("bert")
        state = page.ask("state").json()
        assert state == {"name": "anna", "waiting": 2, "leased": 1, "hour": 1, "day": 1}

    def test_pictures_are_for_those_who_sign_in(self, page: Page) -> None:
        (case,) = page.department.office.book([shown(1)])
        page.department.gallery.take(case, [SentPicture(5, jpeg(), (0.0, 0.0, 200.0, 300.0))])
        assert page.lease()["pictures"] == [{"frame": 5, "width": 200, "height": 300, "crop": [0, 0, 200, 300]}]
        path = f"/review/api/cases/{case}/pictures/5"
        response = page.get(path, authorization="Bearer anna token")
        assert (response.status_code, response.headers["content-type"]) == (200, "image/jpeg")
        assert response.content.startswith(b"\xff\xd8")
        assert page.get(path).status_code == 401
        assert page.get(f"/review/api/cases/{case}/pictures/6", authorization="Bearer anna token").status_code == 404
        assert (
            page.get("/review/api/cases/..%2F..%2Fetc/pictures/5", authorization="Bearer anna token").status_code == 404
        )

    @pytest.mark.parametrize("action", ["state", "lease", "renew", "release", "vote", "undo", "look"])
    def test_nobody_gets_in_without_a_role(self, page: Page, action: str) -> None:
        body = {"case": "0" * 32, "token": "", "answer": "yes"}
        assert page.ask(action, body, "nobody").status_code == 401
        assert page.ask(action, body, "camera").status_code == 403
        assert page.ask(action, body, **{"x-tertium": "0"}).status_code == 401

    def test_an_administrator_may_review(self, page: Page) -> None:
        assert page.ask("state", name="chief").status_code == 200

    def test_a_trusted_proxy_names_the_reviewer_and_others_can_not(self, tmp_path: Path) -> None:
        page = Page(tmp_path, proxy_header="X-Forwarded-User")
        try:
            assert page.ask("state", name="nobody", **{"X-Forwarded-User": "cleo"}).json()["name"] == "cleo"
            assert page.ask("state", name="nobody", **{"X-Other": "cleo"}).status_code == 401
        finally:
            page.close()

    def test_no_header_is_trusted_unless_it_was_named(self, page: Page) -> None:
        assert page.ask("state", name="nobody", **{"X-Forwarded-User": "cleo"}).status_code == 401

    @pytest.mark.parametrize(
        ("action", "body", "status"),
        [
            ("vote", {"case": "x" * 32, "token": "", "answer": "yes"}, 404),
            ("vote", {"case": 7, "token": "", "answer": "yes"}, 400),
            ("vote", {"case": "x", "token": "", "answer": "perhaps"}, 400),
            ("vote", ["case"], 400),
            ("undo", {"case": "x" * 32}, 404),
            ("undo", {"case": "\ud800"}, 400),
            ("look", {"case": "\0"}, 400),
            ("lease", {"count": "two"}, 400),
            ("lease", {"count": 1e999}, 400),
            ("renew", {}, 400),
            ("vote", {"case": "x" * 5000}, 400),
        ],
    )
    def test_nonsense_is_refused(self, page: Page, action: str, body: object, status: int) -> None:
        response = page.ask(action, body)
        assert response.status_code == status
        assert response.json()["error"]

    def test_answers_can_not_be_framed_sniffed_kept_or_scripted(self, page: Page) -> None:
        for response in (
            page.get("/review"),
            page.get("/review/review.js"),
            page.ask("state"),
            page.ask("state", name="x"),
        ):
            policy = response.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["cache-control"] == "no-store"
        assert page.get("/review/..%2Fpages.py").status_code == 404
        assert page.get("/review/review_page.py").status_code == 404


def tab_of(browser: Any, address: str, before: str = "", **options: Any) -> tuple[Any, list[str]]:
    """A tab on the page, signed in by the address, and what it complains of. ``before``: a script that runs before the page's own."""
    tab = browser.new_page(**options)
    tab.add_init_script(before)
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(f"{address}/review#token=anna%20token")
    return tab, complaints


def fill(page: Page, count: int, pictures: int = 4) -> list[str]:
    """Cases with pictures, in the order in which they come up."""
    cases = page.department.office.book([shown(k, probability=0.5 - k / 100) for k in range(1, count + 1)])
    for case in cases:
        sent = [SentPicture(15 * k, jpeg((60 * k, 90, 120)), (0.0, 0.0, 200.0, 300.0)) for k in range(pictures)]
        page.department.gallery.take(case, sent)
    return cases


class TestInABrowser:
    def test_what_was_missed_on_a_whole_frame_is_counted(self, page: Page, browser: Any, tmp_path: Path) -> None:
        office, gallery = page.department.office, page.department.gallery
        audits = [audit(frame) for frame in (1, 2, 3)]
        for each in audits:
            assert office.book_frame(each)
            gallery.take(each.case_id, [SentPicture(each.frame_index, jpeg(), (0.0, 0.0, 200.0, 300.0))])
        tab, complaints = tab_of(browser, page.address, viewport={"width": 1280, "height": 800})
        tab.wait_for_selector("#question:has-text('How many objects have no box?')")
        assert tab.locator("#overlay .box").count() == 2
        assert [word for word in ("maybe", "audit", "0.75", "yes-line") if word in tab.content().lower()] == []
        tab.screenshot(path=tmp_path / "frame.png")
        tab.keyboard.press("3")
        tab.wait_for_selector("#told:has-text('3 without a box')")
        tab.fill("#missed", "12")
        tab.press("#missed", "Enter")
        tab.wait_for_selector("#told:has-text('12 without a box')")
        tab.keyboard.press("n")
        tab.wait_for_selector("#empty:not([hidden])")
        with page.department.store.read() as connection:
            found = connection.execute(select(review.frame_audits.c.missed)).scalars().all()
        assert sorted(found) == [0, 3, 12]
        assert complaints == []

    def test_evidence_is_shown_after_the_vote_where_it_is_known(self, page: Page, browser: Any, tmp_path: Path) -> None:
        made = shown(1)
        levels = (Level(0, -1.0, -2.0, 0.2), Level(30, 2.0, 1.0, 0.4), Level(59, 3.0, 2.5, 0.6))
        body = made.evidence | {"levels": [[each.index, each.fast, each.slow, each.probability] for each in levels]}
        (case,) = page.department.office.book([Booking(decision=made.decision, terms=made.terms, evidence=body)])
        assert page.department.gallery.footage(case).levels == levels
        tab, complaints = tab_of(browser, page.address, viewport={"width": 1280, "height": 800})
        tab.wait_for_selector("#desk:not([hidden])")
        assert tab.locator("#curve .dot").count() == 0
        tab.keyboard.press("y")
        tab.wait_for_selector("#empty:not([hidden])")
        page.department.office.book([shown(2)])
        tab.wait_for_selector("#last:not([hidden])")
        assert tab.locator("#curve .dot").count() == 3
        assert tab.locator("#curve polyline").count() == 3
        tab.screenshot(path=tmp_path / "levels.png")
        assert complaints == []

    def test_a_reviewer_answers_by_keyboard(self, page: Page, browser: Any, tmp_path: Path) -> None:
        cases = fill(page, 4)
        tab, complaints = tab_of(browser, page.address, viewport={"width": 1280, "height": 800})
        tab.wait_for_selector("#question:has-text('Is this: person?')")
        assert "token" not in tab.url
        assert tab.locator("#strip button").count() == 4
        assert tab.locator("#depth").inner_text() == "4 cases wait"
        # Blind: neither in what is seen nor anywhere else in the page.
        assert [word for word in ("maybe", "audit", "0.49", "27182") if word in tab.content().lower()] == []
        tab.screenshot(path=tmp_path / "before.png")
        for key, answer, word in (
            ("y", Answer.YES, "yes"),
            ("n", Answer.NO, "no"),
            ("?", Answer.CANNOT_TELL, "can"),
        ):
            tab.keyboard.press(key)
            # Until then the page takes no other key.
            tab.wait_for_selector(f"#told:has-text('you said {word}')")
            assert self.votes(page)[-1] == answer.value
        assert [page.department.office.find(case).answer for case in cases[:2]] == [Answer.YES, Answer.NO]
        assert "the machine maybe (0.47)" in tab.locator("#told").inner_text()
        assert tab.locator("#curve polyline").count() == 1
        assert tab.locator("#curve line").count() == 2
        tab.screenshot(path=tmp_path / "after.png")
        assert complaints == []

    def test_undo_brings_the_case_back(self, page: Page, browser: Any) -> None:
        (case,) = fill(page, 1)
        tab, complaints = tab_of(browser, page.address)
        tab.wait_for_selector("#desk:not([hidden])")
        tab.keyboard.press("y")
        tab.wait_for_selector("#empty:not([hidden])")
        assert page.department.office.find(case).decided_by is DecidedBy.HUMAN
        tab.keyboard.press("u")
        tab.wait_for_selector("#desk:not([hidden])")
        assert page.department.office.find(case).state is State.OPEN
        tab.keyboard.press("n")
        tab.wait_for_selector("#empty:not([hidden])")
        assert page.department.office.find(case).verdict is Verdict.NO
        assert complaints == []

    def test_an_answer_that_is_refused_is_told_leaves_the_desk_and_may_be_undone(
        self, page: Page, browser: Any
    ) -> None:
        first, second = fill(page, 2)
        tab, _ = tab_of(browser, page.address)
        tab.wait_for_selector("#strip button")
        # In another tab, or by a request whose answer was lost, the same person has answered otherwise.
        token = page.department.office.find(first).lease_token
        page.department.office.vote(first, "anna", str(token), Answer.NO)
        tab.keyboard.press("y")
        tab.wait_for_selector("#told:has-text('Not taken: you answered no')")
        tab.keyboard.press("y")
        tab.wait_for_selector("#empty:not([hidden])")
        assert [page.department.office.find(case).answer for case in (first, second)] == [Answer.NO, Answer.YES]
        with page.department.store.write() as connection:  # too long ago by now
            connection.execute(update(review.votes).values(cast_at=0))
        tab.keyboard.press("u")
        tab.wait_for_selector("#undo_empty", state="hidden")
        page.department.office.book([shown(9)])
        tab.wait_for_selector("#told:has-text('Not undone: you have no vote')")
        assert tab.locator("#undo").is_hidden()

    def test_a_connection_that_is_gone_without_a_word_is_given_up_and_the_answer_sent_anew(
        self, page: Page, browser: Any
    ) -> None:
        (case,) = fill(page, 1)
        tab, _ = tab_of(
            browser,
            page.address,
            "window.patience = []; AbortSignal.timeout = (time) => { const all = new AbortController();"
            " patience.push([time, () => all.abort()]); return all.signal; };",
        )
        tab.wait_for_selector("#strip button")
        hanging: list[Any] = []

        def hang(route: Any) -> None:
            hanging.append(route)

        tab.route("**/review/api/vote", hang)
        with tab.expect_request("**/review/api/vote"):
            tab.keyboard.press("y")
        times = tab.evaluate("patience.map(([time]) => time)")
        assert len(times) > 3
        assert all(0 < time <= 60_000 for time in times)
        with tab.expect_request("**/review/api/state"):
            tab.evaluate("patience.forEach(([, giveUp]) => giveUp())")
        tab.unroute("**/review/api/vote")
        tab.keyboard.press("y")
        tab.wait_for_selector("#empty:not([hidden])")
        assert page.department.office.find(case).answer is Answer.YES

    def test_leases_that_ran_out_make_room_for_others(self, page: Page, browser: Any) -> None:
        cases = fill(page, 4)
        tab, _ = tab_of(
            browser,
            page.address,
            "const begin = setInterval;"
            "window.setInterval = (act, time) => { if (time >= 30_000) window.heartbeat = act; return begin(act, time); };",
        )
        tab.wait_for_selector("#strip button")
        wait_until(lambda: self.leased(page) == 3, "three leases")
        with page.department.store.write() as connection:  # the computer slept, and somebody else came
            connection.execute(update(review.cases).values(lease_expires_at=1))
        theirs = [lease.case.id for lease in page.department.office.lease("bert", 3)]
        assert theirs == cases[:3]
        tab.evaluate("heartbeat()")
        wait_until(lambda: page.department.office.find(cases[3]).lease_reviewer == "anna", "a lease of what is left")
        tab.keyboard.press("y")
        tab.wait_for_selector("#told:has-text('somebody else had it by then')")
        assert page.department.office.find(cases[0]).state is State.OPEN

    def test_the_next_case_is_there_already(self, page: Page, browser: Any) -> None:
        fill(page, 3)
        tab, _ = tab_of(browser, page.address)
        tab.wait_for_selector("#desk:not([hidden])")
        wait_until(lambda: self.leased(page) == 3, "three leases")
        # The network is gone for what comes next: the case shown is the one that was loaded before.
        tab.route("**/review/api/lease", lambda route: route.abort())
        tab.keyboard.press("y")
        tab.wait_for_selector("#last:not([hidden])")
        tab.wait_for_function("document.querySelector('#strip img').naturalWidth === 200")

    def test_a_case_without_pictures_shows_its_boxes(self, page: Page, browser: Any, tmp_path: Path) -> None:
        page.department.office.book([shown(1)])
        tab, complaints = tab_of(browser, page.address)
        tab.wait_for_selector("#caption:has-text('No picture')")
        assert tab.locator("#overlay .ghost").count() >= 30
        assert tab.locator("#overlay .box").count() == 1
        tab.screenshot(path=tmp_path / "boxes.png")
        assert complaints == []

    def test_pictures_that_come_after_the_case_are_shown(self, page: Page, browser: Any) -> None:
        (case,) = page.department.office.book([shown(1)])
        tab, complaints = tab_of(browser, page.address)
        tab.wait_for_selector("#caption:has-text('No picture')")
        page.department.gallery.take(case, [SentPicture(15, jpeg(), (0.0, 0.0, 200.0, 300.0))])
        tab.wait_for_selector("#strip img")
        tab.wait_for_selector("#caption:has-text('Frame 15')")
        assert complaints == []

    def test_hostile_names_are_shown_and_do_nothing(self, page: Page, browser: Any) -> None:
        page.department.office.book([shown(1, stream_id=HOSTILE, class_name=HOSTILE)])
        tab, complaints = tab_of(browser, page.address)
        tab.wait_for_selector("#desk:not([hidden])")
        assert tab.locator("#question").inner_text() == f"Is this: {HOSTILE}?"
        assert HOSTILE in tab.locator("#about").inner_text()
        tab.keyboard.press("y")
        tab.wait_for_selector("#empty:not([hidden])")
        assert tab.title() == "Review · Tertium"
        assert complaints == []

    def test_signing_in_with_a_wrong_token_and_then_the_right_one(self, page: Page, browser: Any) -> None:
        fill(page, 1)
        tab = browser.new_page()
        tab.goto(f"{page.address}/review")
        tab.fill("#token", "nonsense")
        tab.click("#sign_in button")
        tab.wait_for_selector("#alarm:has-text('token')")
        tab.fill("#token", "anna token")
        tab.click("#sign_in button")
        tab.wait_for_selector("#desk:not([hidden])")
        assert tab.locator("#alarm").is_hidden()

    def test_on_a_phone_everything_is_within_reach(self, page: Page, browser: Any, tmp_path: Path) -> None:
        cases = fill(page, 3)
        tab, complaints = tab_of(
            browser, page.address, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
        )
        tab.wait_for_selector("#desk:not([hidden])")
        tab.wait_for_selector("#strip img")
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        for button in ("yes", "no", "cannot_tell"):
            box = tab.locator(f"#{button}").bounding_box()
            assert box["height"] >= 44
            assert box["y"] + box["height"] <= 844
        tab.screenshot(path=tmp_path / "phone.png")
        tab.tap("#yes")
        wait_until(lambda: page.department.office.find(cases[0]).answer is Answer.YES, "the vote")
        assert complaints == []

    @staticmethod
    def votes(page: Page) -> list[str]:
        from sqlalchemy import text  # noqa: PLC0415

        with page.department.store.read() as connection:
            return list(connection.execute(text("SELECT answer FROM votes ORDER BY seq")).scalars())

    @staticmethod
    def leased(page: Page) -> int:
        return int(page.ask("state", name="chief").json()["leased"])
