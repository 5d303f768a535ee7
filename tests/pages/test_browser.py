"""The pages in a real Chromium."""

import re
from pathlib import Path

import pytest

from tests.api.scenes import API, grid_spec, lease, post_spec, register
from tests.pages.conftest import Window
from tests.pages.scenes import finish, train_all, trained

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "javascript:alert(3)",
    "{{ 7*7 }}${alert(4)}",
    "\u202egnp.exe\u202c \u2066rtl\u2069",
    "</style><svg onload=alert(5)>",
]


def test_the_list_leads_to_a_study_and_back(window: Window) -> None:
    trained(window, "first")
    trained(window, "second")
    window.login()
    tab = window.tab
    assert tab.locator("#studies tbody tr").count() == 2
    tab.fill("[data-filter]", "first")
    assert tab.locator("#studies tbody tr:visible").count() == 1
    assert tab.text_content('[data-shown="#studies"]') == "showing 1 of 2"
    tab.click("text=first")
    assert tab.title() == "first – hpsearch"
    assert tab.text_content("section.answer .main b").strip().startswith("0.8")


def test_the_wall_draws_every_curve_dots_and_average(window: Window) -> None:
    trained(window)
    window.login()
    window.open("/studies/a-grid")
    tab = window.tab
    tab.wait_for_selector("#wall .curve")
    assert tab.locator("#wall .curve").count() == 4
    assert tab.locator("#wall .curve.best").count() == 1
    assert tab.locator("#wall .point").count() == 400
    assert tab.text_content("#curves-shown") == "showing 4 of 4 trials"
    before = tab.get_attribute("#wall .curve.best", "d")
    tab.keyboard.press("]")
    assert tab.get_attribute("#wall .curve.best", "d") != before
    tab.keyboard.press("p")
    assert tab.locator("#wall .point").count() == 0
    assert "smoothing=0.7" in tab.url
    assert "dots=0" in tab.url
    tab.reload()
    tab.wait_for_selector("#wall .curve")
    assert tab.locator("#wall .point").count() == 0
    tab.select_option("#metric", "val_accuracy")
    tab.wait_for_function("new URLSearchParams(location.search).get('metric') === 'val_accuracy'")
    tab.click("text=The same as a table")
    assert tab.locator("#wall-table tbody tr").count() == 4


def test_trials_are_filtered_sorted_and_lit_with_their_curve(window: Window) -> None:
    trials = trained(window)
    window.login()
    window.open("/studies/a-grid")
    tab = window.tab
    tab.wait_for_selector("#wall .curve")
    tab.keyboard.press("/")
    tab.keyboard.type("value > 0.55 and val_loss < 0.35")
    assert tab.locator("#trials tbody tr:visible").count() == 2
    assert tab.text_content('[data-shown="#trials"]') == "showing 2 of 4"
    tab.fill("#expression", "learning_rate <")
    assert "is not a comparison" in tab.text_content("#expression-error")
    tab.fill("#expression", "")
    tab.click("#trials thead button:text-is('val_accuracy')")
    tab.click("#trials thead button:text-is('val_accuracy')")
    assert tab.get_attribute("#trials tbody tr", "data-trial") == str(trials[-1])
    tab.hover(f'#trials tr[data-trial="{trials[0]}"]')
    assert tab.locator("#wall.hovering").count() == 1
    assert tab.locator("#parallel .curve.lit").count() == 1
    lit = tab.locator("#wall .curve.lit")
    assert lit.count() == 1
    assert lit.get_attribute("data-trial") == str(trials[0])


def test_a_study_under_way_is_live(window: Window) -> None:
    post_spec(window.api, grid_spec(points=2))  # type: ignore[arg-type]
    worker = register(window.api)  # type: ignore[arg-type]
    (first,) = lease(window.api, worker, request_id="first-request").leases  # type: ignore[arg-type]
    window.login()
    window.open("/studies/a-grid")
    tab = window.tab
    tab.wait_for_selector("text=nothing measured yet")
    finish(window, worker, first, 0.7)
    tab.wait_for_selector("#wall .curve", timeout=10_000)
    (second,) = lease(window.api, worker, request_id="second-request").leases  # type: ignore[arg-type]
    finish(window, worker, second, 0.9)
    tab.wait_for_selector("h1 .pill.completed", timeout=10_000)
    assert tab.locator("#trials .pill.completed").count() == 2
    assert tab.text_content("section.answer .main b").startswith("0.9")


def test_buttons_steer_and_cancel_asks_first(window: Window) -> None:
    post_spec(window.api, grid_spec())  # type: ignore[arg-type]
    window.login()
    window.open("/studies/a-grid")
    tab = window.tab
    tab.click("button:text-is('Pause')")
    tab.wait_for_selector("h1 .pill.paused")
    tab.click("button:text-is('Cancel')")  # the question is dismissed
    assert window.complaints == ["dialog End this study for good and kill what is under way?"]
    window.complaints.clear()
    assert window.api.get(f"{API}/studies/a-grid").json()["state"] == "paused"


def test_a_trial_stands_beside_the_best(window: Window) -> None:
    first, *_, last = trained(window)
    window.login()
    window.open(f"/trials/{first}")
    tab = window.tab
    tab.wait_for_selector("#trial .curve")
    assert tab.locator("#trial h3").all_text_contents() == ["losses", "accuracies"]
    assert tab.locator("tr.differs").count() == 1
    tab.click("text=/trial 3/")
    tab.wait_for_url(f"{window.url}/trials/{last}")


def test_parameters_are_drawn_together(window: Window) -> None:
    trained(window)
    window.login()
    window.open("/studies/a-grid")
    tab = window.tab
    tab.wait_for_selector("#parallel .curve", state="attached")
    assert tab.locator("#parallel .curve").count() == 4
    assert tab.locator("#parallel .note").all_text_contents() == ["learning_rate", "val_accuracy"]


def test_a_trial_is_stopped_and_retried_and_a_worker_drained(window: Window) -> None:
    post_spec(window.api, grid_spec())  # type: ignore[arg-type]
    register(window.api)  # type: ignore[arg-type]
    window.login()
    window.open("/trials/1")
    tab = window.tab
    tab.click("button:text-is('Stop')")
    tab.wait_for_selector("h1 .pill.cancelled")
    tab.click("button:text-is('Retry')")
    tab.wait_for_selector("h1 .pill.waiting")
    window.open("/workers")
    tab.click("button:text-is('Drain')")
    tab.wait_for_selector(".pill.draining")


def test_studies_are_compared_side_by_side(window: Window) -> None:
    trained(window, "first")
    trained(window, "second", points=2)
    window.login()
    tab = window.tab
    for box in tab.locator("#studies input[type=checkbox]").all():
        box.check()
    tab.click("text=Compare selected")
    tab.wait_for_selector("#compare .curve")
    assert tab.locator("#compare .curve").count() == 2
    assert tab.locator("table.compare thead a").all_text_contents() == ["second", "first"]


def test_a_trial_is_diagnosed_by_its_button_and_the_card_follows_its_probes(window: Window) -> None:
    spec = grid_spec("slow").model_dump(mode="json")
    spec |= {"space": {"learning_rate": [1e-4, 1e-1]}, "grid": {}, "fixed": {"epochs": 12}}
    assert window.api.post(f"{API}/studies", json=spec).status_code == 201
    worker = register(window.api)  # type: ignore[arg-type]
    train_all(window, worker, "search")
    trial = window.api.get(f"{API}/studies/slow/trials").json()["trials"][0]["id"]
    window.login()
    window.open(f"/trials/{trial}")
    tab = window.tab
    assert "by its curves alone" in tab.text_content("#diagnosis")
    tab.click("#diagnosis button:text-is('Diagnose')")
    tab.wait_for_selector("#diagnosis .live")
    assert "unproven so far, 1 probe under way" in tab.text_content("#diagnosis").lower()
    train_all(window, worker, "probes")
    tab.wait_for_selector("#diagnosis .proof")
    said = tab.text_content("#diagnosis")
    assert "lr_too_low" in said
    assert "proved by probes" in said
    assert tab.locator("#diagnosis button").count() == 0
    tab.click("text=The probes")
    tab.wait_for_url(f"{window.url}/studies/diagnosis:{trial}")
    assert f"The probes that diagnose trial {trial} of slow." in tab.text_content("#study")
    assert tab.locator("#trials td:has-text('probe: learning_rate')").count() > 2
    window.open("/studies/slow/report")
    assert "Trial 0, diagnosed" in tab.text_content("main")


def test_keys_walk_the_rows_and_help_is_there(window: Window) -> None:
    trained(window, "first")
    trained(window, "second")
    window.login()
    tab = window.tab
    tab.keyboard.press("?")
    assert tab.locator("#help[open]").count() == 1
    tab.keyboard.press("Escape")
    tab.wait_for_selector("#help[open]", state="detached")
    for key in ("j", "j", "k"):
        tab.keyboard.press(key)
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"{window.url}/studies/second")


FASTER_THAN_PAINT = """() => {
  document.getElementById("help").close();
  for (const key of ["j", "Enter"])
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
}"""


def test_enter_opens_the_row_at_once_after_help_is_closed(window: Window) -> None:
    trained(window)
    window.login()
    window.tab.keyboard.press("?")
    window.tab.evaluate(FASTER_THAN_PAINT)
    window.tab.wait_for_url(f"{window.url}/studies/a-grid")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(window: Window, scheme: str) -> None:
    axe = Path(__import__("axe_playwright_python").__file__).with_name("axe.min.js").read_text()
    (first, *_) = trained(window)
    window.tab.emulate_media(color_scheme=scheme)
    window.open("/login")
    found = {"/login": violations(window, axe)}
    window.login()
    for path in ("/", "/studies/a-grid", f"/trials/{first}", "/compare?study=a-grid", "/workers", "/docs"):
        window.open(path)
        window.tab.wait_for_load_state("networkidle")
        if path.startswith("/studies/"):
            window.tab.check("#select-all")
            window.tab.wait_for_selector("#selection button")
        found[path] = violations(window, axe)
    assert {path: listed for path, listed in found.items() if listed} == {}


def violations(window: Window, axe: str) -> list[str]:
    window.tab.evaluate(axe)
    result = window.tab.evaluate("axe.run()")
    return [f"{one['id']}: {one['nodes'][0]['html'][:150]}" for one in result["violations"]]


def test_s12_hostile_words_are_words_everywhere(window: Window) -> None:
    api = window.api
    spec = grid_spec("words", points=2).model_dump(mode="json")
    spec["description"] = " ".join(HOSTILE)
    spec["space"] = {"optimizer": ["sgd", "adam"]}
    spec["grid"] = {}
    assert api.post(f"{API}/studies", json=spec).status_code == 201
    worker = register(api)  # type: ignore[arg-type]
    (one,) = lease(api, worker, request_id="first-request").leases  # type: ignore[arg-type]
    (other,) = lease(api, worker, request_id="second-request").leases  # type: ignore[arg-type]
    owner = {"X-Worker-Id": str(worker)}
    series = {text: {"steps": [1, 2], "values": [0.5, 0.4]} for text in HOSTILE}
    body = {"seq": 0, "series": {**series, "val_loss": {"steps": [1, 2], "values": [0.5, 0.4]}}}
    assert api.post(f"{API}/leases/{one.run_id}/metrics", json=body, headers=owner).status_code == 200
    log = {"seq": 1, "log": "\n".join(HOSTILE)}
    assert api.post(f"{API}/leases/{one.run_id}/logs", json=log, headers=owner).status_code == 200
    done = {"seq": 2, "value": 0.9, "metrics": dict.fromkeys(HOSTILE, 0.5), "message": HOSTILE[0]}
    assert api.post(f"{API}/leases/{one.run_id}/complete", json=done, headers=owner).status_code == 200
    failed = {"seq": 0, "reason": "error", "message": " ".join(HOSTILE)}
    assert api.post(f"{API}/leases/{other.run_id}/failed", json=failed, headers=owner).status_code == 200
    token = api.post(f"{API}/tokens", json={"name": HOSTILE[1], "scope": "user"}).json()["secret"]
    window.login(token)
    for path in (
        "/",
        "/studies/words",
        f"/trials/{one.trial_id}",
        f"/trials/{other.trial_id}",
        "/compare?study=words",
        "/workers",
        "/studies/words/report",
    ):
        window.open(path)
        window.tab.wait_for_load_state("networkidle")
        assert (
            window.tab.locator("main script, main img, [onload], [onerror], a[href^=javascript]").count() == 0
        )
    window.open(f"/trials/{one.trial_id}")
    window.tab.wait_for_selector("#trial h3")
    assert HOSTILE[0] in window.tab.locator("pre.log").text_content()
    answers = [
        window.tab.request.get(f"{window.url}{path}")
        for path in ("/", "/studies/words", f"/trials/{one.trial_id}")
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert re.search(r"script-src 'self'(;|$)", policy)
