"""Trials chosen in the table and acted on together, in a real Chromium."""

from typing import Any

from tests.api.scenes import API, grid_spec, lease, post_spec, register
from tests.pages.conftest import Window
from tests.pages.scenes import finish, trained


def box(window: Window, number: int) -> Any:
    return window.tab.locator(f"#trials input[aria-label='Select trial {number}']")


def chosen(window: Window) -> list[int]:
    boxes = window.tab.locator("#trials tbody input:checked").all()
    return sorted(int(one.get_attribute("aria-label").rsplit(" ", 1)[1]) for one in boxes)


def states(window: Window, key: str = "a-grid") -> list[str]:
    return [one["state"] for one in window.api.get(f"{API}/studies/{key}/trials").json()["trials"]]


def opened(window: Window, points: int, query: str = "") -> Any:
    """The page of a study whose trials wait."""
    post_spec(window.api, grid_spec(points=points))  # type: ignore[arg-type]
    window.login()
    window.open(f"/studies/a-grid{query}")
    window.tab.wait_for_selector("#trials tbody tr")
    return window.tab


def test_boxes_ranges_and_the_head_choose_what_is_shown(window: Window) -> None:
    tab = opened(window, 6)
    assert tab.locator("#selection").is_hidden()
    box(window, 1).click()
    assert tab.text_content("#selected") == "1 selected"
    box(window, 4).click(modifiers=["Shift"])
    assert chosen(window) == [1, 2, 3, 4]
    assert tab.evaluate("document.getElementById('select-all').indeterminate")
    box(window, 2).click()
    assert chosen(window) == [1, 3, 4]
    tab.fill("#expression", "number < 4")
    assert tab.text_content("#selected") == "3 selected, 1 not shown"
    tab.check("#select-all")
    assert chosen(window) == [0, 1, 2, 3, 4]
    tab.click("#unselect")
    assert tab.locator("#selection").is_hidden()
    assert chosen(window) == []
    assert tab.url.endswith("?filter=number+%3C+4")


def test_keys_choose_rows_too_also_after_a_box_was_clicked(window: Window) -> None:
    tab = opened(window, 5)
    for key in ("j", "j", "x", "j", "j", "Shift+X"):
        tab.keyboard.press(key)
    assert chosen(window) == [1, 2, 3]
    box(window, 0).click()
    for key in ("k", "x"):
        tab.keyboard.press(key)
    assert chosen(window) == [0, 1, 3]
    box(window, 0).focus()
    tab.keyboard.press("Space")
    assert chosen(window) == [1, 3]
    assert tab.url.endswith("/studies/a-grid")


def test_the_chosen_are_stopped_and_retried_and_the_view_stays(window: Window) -> None:
    tab = opened(window, 4, "?smoothing=0.8&sort=-number&filter=number+%3E+0")
    address = tab.url
    assert tab.locator("#trials tbody tr:visible td:nth-child(2)").all_text_contents() == ["3", "2", "1"]
    for number in (1, 3):
        box(window, number).check()
    tab.click("#selection button:text-is('Stop')")
    tab.wait_for_selector("text=Stopping 2 trials.")
    assert states(window) == ["waiting", "cancelled", "waiting", "cancelled"]
    tab.wait_for_selector("#trials .pill.cancelled")
    for number in (1, 2, 3):
        box(window, number).check()
    tab.click("#selection button:text-is('Retry')")
    tab.wait_for_selector("text=Retrying 2 of 3 trials; trial 2 is waiting.")
    assert states(window) == ["waiting"] * 4
    tab.wait_for_selector("#selected:text-is('1 selected')")
    assert chosen(window) == [2]  # what nothing was done to
    assert "Retrying 2 of 3" in tab.text_content("#selection-said")
    assert tab.url == address
    box(window, 2).click()
    assert tab.text_content("#selection-said") == ""  # said of another choice
    assert tab.locator("#trials tbody tr:visible td:nth-child(2)").all_text_contents() == ["3", "2", "1"]


def test_clones_are_studies_of_their_own_that_the_sentence_leads_to(window: Window) -> None:
    trained(window, points=3)
    window.login()
    window.open("/studies/a-grid")
    tab = window.tab
    for number in (0, 2):
        box(window, number).check()
    tab.click("#selection button:text-is('Clone')")
    tab.wait_for_selector("text=Cloning 2 trials.")
    assert tab.locator("#selection-said a").all_text_contents() == ["a-grid-trial-0", "a-grid-trial-2"]
    assert states(window, "a-grid-trial-2") == ["waiting"] * 3
    assert states(window) == ["completed"] * 3
    tab.click("text=a-grid-trial-2")
    tab.wait_for_selector("text=trial 2 of a-grid again, on other seeds")
    window.open("/trials/1")
    tab.click("button:text-is('Clone')")
    tab.wait_for_url(f"{window.url}/studies/a-grid-trial-0")


def test_news_keep_the_selection_the_row_one_stands_on_and_the_order(window: Window) -> None:
    tab = opened(window, 3, "?sort=-number")
    worker = register(window.api)  # type: ignore[arg-type]
    for key in ("j", "x"):
        tab.keyboard.press(key)
    assert chosen(window) == [2]
    (one,) = lease(window.api, worker, request_id="first-request").leases  # type: ignore[arg-type]
    finish(window, worker, one, 0.7)
    tab.wait_for_selector("#trials .pill.completed", timeout=10_000)
    assert chosen(window) == [2]
    assert tab.text_content("#selected") == "1 selected"
    tab.keyboard.press("x")
    assert chosen(window) == []
    assert tab.locator("#trials tbody tr td:nth-child(2)").all_text_contents() == ["2", "1", "0"]


def test_an_ended_study_is_followed_again_when_its_trials_are_retried(window: Window) -> None:
    tab = opened(window, 1)
    worker = register(window.api)  # type: ignore[arg-type]
    box(window, 0).check()
    tab.click("#selection button:text-is('Stop')")
    tab.wait_for_selector("h1 .pill:text-is('completed')", timeout=10_000)
    tab.reload()
    box(window, 0).check()
    tab.click("#selection button:text-is('Retry')")
    tab.wait_for_selector("h1 .pill:text-is('running')")
    (one,) = lease(window.api, worker, request_id="first-request").leases  # type: ignore[arg-type]
    finish(window, worker, one, 0.7)
    tab.wait_for_selector("#trials .pill.completed", timeout=10_000)


def test_what_went_wrong_is_told_and_the_selection_stays(window: Window) -> None:
    tab = opened(window, 14)
    tab.check("#select-all")
    tab.click("#selection button:text-is('Clone')")
    tab.wait_for_selector("text=14 trials are chosen; clone at most 12 at once")
    assert len(chosen(window)) == 14
    assert len(window.api.get(f"{API}/studies").json()["studies"]) == 1
    window.complaints.clear()  # the browser notes the 422


def test_who_may_only_look_chooses_nothing(window: Window) -> None:
    post_spec(window.api, grid_spec())  # type: ignore[arg-type]
    token = window.api.post(f"{API}/tokens", json={"name": "v", "scope": "viewer"}).json()["secret"]
    window.login(token)
    window.open("/studies/a-grid")
    tab = window.tab
    assert tab.locator("#trials input").count() == 0
    tab.click("#trials thead button:text-is('number')")
    tab.click("#trials thead button:text-is('number')")
    assert tab.locator("#trials tbody tr td:first-child").all_text_contents() == ["1", "0"]
