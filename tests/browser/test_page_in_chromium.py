"""What a family does with the page, in a real browser.

`PEMS_PICTURES=docs/img` (relative to the checkout) also writes the pictures of the documentation.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.browser.page_server import PASSWORD

ROOT = Path(__file__).parents[2]
PICTURES = os.environ.get("PEMS_PICTURES")
WAIT_MS = 30_000


class Visit:
    """A browser tab with what went wrong in it."""

    def __init__(
        self, chromium: Any, url: str, *, width: int = 1440, height: int = 900, dark: bool, locale: str
    ) -> None:
        phone = width < 500
        self.context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=locale,
            is_mobile=phone,
            has_touch=phone,
            device_scale_factor=2 if phone else 1,
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.troubles: list[str] = []
        self.foreign: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("request", lambda request: self._request(request.url, url))
        self.url = url

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.troubles.append(message.text)

    def _request(self, address: str, own: str) -> None:
        if not address.startswith((own, own.replace("http", "ws", 1), "data:", "blob:")):
            self.foreign.append(address)

    def log_in(self) -> Any:
        self.page.goto(f"{self.url}/")
        self.page.wait_for_url("**/login")
        self.page.fill("#password", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.wait_for_selector(".top")
        return self.page

    def picture(self, name: str, *, full: bool = True) -> None:
        if PICTURES:
            folder = ROOT / PICTURES
            folder.mkdir(parents=True, exist_ok=True)
            self.page.wait_for_timeout(1_500)
            self.page.screenshot(path=folder / f"{name}.png", full_page=full)

    def close(self) -> None:
        self.context.close()
        assert self.foreign == []
        assert self.troubles == []


@pytest.fixture
def visit(chromium: Any) -> Any:
    visits: list[Visit] = []

    def start(url: str, *, dark: bool = False, locale: str = "en-GB", **size: int) -> Visit:
        visits.append(Visit(chromium, url, dark=dark, locale=locale, **size))
        return visits[-1]

    yield start
    for one in visits:
        one.close()


def _no_sideways_scrolling(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_a_day_with_the_page(start_page: Callable[..., Any], visit: Callable[..., Visit]) -> None:
    site = start_page()
    tab = visit(site.url)
    page = tab.log_in()
    page.wait_for_selector(".plan-chart canvas")
    assert page.locator("text=Following the plan").count() == 1
    assert page.locator(".room").count() == 17
    assert page.locator("svg.flow").is_visible()
    assert page.locator("text=Expected cost").is_visible()
    assert "kW" in page.locator(".flow-value").first.text_content()
    # the chart is drawn: it has ink of the colours of prices and sun
    drawn = page.evaluate(
        "() => { const c = document.querySelector('.plan-chart canvas');"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; const seen = new Set();"
        " for (let i = 0; i < d.length; i += 4) if (d[i + 3]) seen.add(d[i] + ',' + d[i + 1] + ',' + d[i + 2]);"
        " return seen.size }"
    )
    assert drawn > 30
    assert _no_sideways_scrolling(page)
    tab.picture("page-light", full=False)
    tab.picture("page-full")

    # how good the forecasts are: 80 % is marked, a band that is off looks and reads differently
    assert page.locator("#forecasts tbody tr").count() == 4
    assert "trained model of 14\u00a0Jan" in page.locator("[data-forecast=pv]").inner_text()
    price = page.locator("[data-forecast=price]").inner_text()
    assert all(words in price for words in ("too narrow", "11.4\u00a0EUR/MWh", "8\u00a0% worse"))
    colors = page.evaluate(
        "['kept', 'narrow', 'wide'].map(v => getComputedStyle("
        "document.querySelector(`.held.${v} .held-share`)).backgroundColor)"
    )
    assert len(set(colors)) == 3
    bar, mark, share = (page.locator(f"[data-forecast=pv] .held-{part}").first for part in ("bar", "promise", "share"))
    length = bar.bounding_box()["width"]
    at = mark.bounding_box()["x"] + mark.bounding_box()["width"] / 2 - bar.bounding_box()["x"]
    assert at / length == pytest.approx(0.80, abs=0.01)
    assert share.bounding_box()["width"] / length == pytest.approx(0.809, abs=0.01)

    # how well each room is known: tier and warning on its card, evidence and picture behind it
    page.wait_for_selector(
        "#rooms >> text=models: 13\u00a0proven, 2\u00a0on trial, 1\u00a0learning, 1\u00a0not trusted"
    )
    guests = page.locator("[data-model=hosti]")
    assert "not trusted" in guests.inner_text()
    assert guests.locator(".room-warned").is_visible()
    assert not page.locator("[data-model=obyvak] .room-warned").is_visible()
    assert page.locator("#rooms >> text=on its thermostat").count() == 3
    guests.click()
    page.wait_for_selector(".model-chart canvas")
    sheet = page.locator(".sheet.wide").inner_text()
    assert all(
        words in sheet for words in ("same as yesterday", "47\u00a0% worse", "the relay reports on", "30\u00a0W/K")
    )
    page.locator(".sheet.wide >> text=Close").click()
    page.wait_for_selector(".sheet.wide", state="hidden")
    page.click("[data-model=spajz]")  # of which hardly anything is told
    page.wait_for_selector("text=There is no picture of it yet")
    page.locator(".sheet.wide >> text=Close").click()
    page.wait_for_selector(".sheet.wide", state="hidden")
    page.click("[data-identify]")
    page.wait_for_selector("text=learning the rooms")
    assert page.locator("[data-identify]").is_disabled()

    # hovering shows the values of a slot, with units
    page.locator(".plan-chart").scroll_into_view_if_needed()
    chart = page.locator(".plan-chart").bounding_box()
    page.mouse.move(chart["x"] + chart["width"] * 0.5, chart["y"] + chart["height"] * 0.4)
    page.wait_for_selector(".tip")
    assert "Kč/kWh" in page.locator(".tip").inner_text()
    page.mouse.move(5, 5)

    # set a room by hand, see it, end it
    page.click("[data-room=obyvak]")
    page.fill("input[type=number]", "23.5")
    page.click("[data-set]")
    page.wait_for_selector("#overrides >> text=Keep a temperature 23.5")
    page.wait_for_selector("text=1× by hand")
    assert "Living room" in page.locator("#overrides").inner_text()
    page.click("[data-end='room:obyvak']")
    page.wait_for_selector("text=Nothing is set by hand")

    # Czech, and it stays
    page.click("[data-language]")
    page.wait_for_selector("text=Podle plánu")
    assert page.locator("text=Obývák").count() >= 1
    page.reload()
    page.wait_for_selector("text=Podle plánu")
    page.wait_for_selector(".plan-chart canvas")

    # log out from the menu; the page is closed again
    page.click("[aria-label=Nastavení]")
    page.click("text=Odhlásit")
    page.wait_for_url("**/login")
    page.goto(f"{site.url}/")
    page.wait_for_url("**/login")


def test_phone_and_dark(start_page: Callable[..., Any], visit: Callable[..., Visit]) -> None:
    site = start_page("--scene", "alert")
    phone = visit(site.url, dark=True, locale="cs-CZ", width=390, height=844)
    page = phone.log_in()
    page.wait_for_selector(".plan-chart canvas")
    page.wait_for_selector(".banner.warning")
    assert page.evaluate("document.body.classList.contains('body--dark')")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 20, 18)"
    assert _no_sideways_scrolling(page)
    phone.picture("page-phone", full=False)
    page.locator("#plan").scroll_into_view_if_needed()
    assert page.locator("text=Zádveří").count() >= 1
    assert page.locator("[data-forecast=load] >> text=Pásmo drželo 0–24").is_visible()
    assert not page.locator("#forecasts thead").is_visible()
    # a room's picture fits a phone, and what is below it does not lie upon it
    page.click("[data-model=obyvak]")
    page.wait_for_selector(".model-chart canvas")
    chart, more = (page.locator(f".sheet.wide {part}").bounding_box() for part in (".model-chart", ".model-more"))
    assert chart["x"] >= 0
    assert chart["x"] + chart["width"] <= 390
    assert more["y"] >= chart["y"] + chart["height"]
    page.locator(".sheet.wide >> text=Zavřít").click()
    page.wait_for_selector(".sheet.wide", state="hidden")
    # choosing light by hand wins over the device, and the alert can be dismissed
    page.click("[data-theme]")
    page.wait_for_function("!document.body.classList.contains('body--dark')")
    page.locator("#alerts [aria-label=Skrýt]").first.click()
    page.wait_for_selector("text=Vše v pořádku")
    assert page.locator(".banner.warning").count() == 0 or not page.locator(".banner").is_visible()


def test_dark_desktop(start_page: Callable[..., Any], visit: Callable[..., Visit]) -> None:
    tab = visit(start_page().url, dark=True)
    page = tab.log_in()
    page.wait_for_selector(".plan-chart canvas")
    page.evaluate("window.scrollTo(0, document.querySelector('#plan').offsetTop - 90)")
    tab.picture("page-dark", full=False)
    assert _no_sideways_scrolling(page)


def test_before_anything_is_known(start_page: Callable[..., Any], visit: Callable[..., Visit]) -> None:
    tab = visit(start_page("--empty").url)
    page = tab.log_in()
    page.wait_for_selector("text=Waiting for the first readings")
    assert page.locator("text=Waiting for the controller").is_visible()
    assert page.locator(".empty >> text=No plan yet").is_visible()
    assert page.locator("#forecasts >> text=The first figures come after one whole day").is_visible()
    assert not page.locator("#forecasts table").is_visible()
    assert page.locator(".room").count() == 17
    assert page.locator("[data-model=obyvak] >> text=no model").is_visible()
    page.click("[data-model=obyvak]")
    page.wait_for_selector("text=Nothing is known of how this room keeps its warmth")
    page.locator(".sheet.wide >> text=Close").click()
    assert _no_sideways_scrolling(page)


def test_without_optimizer_the_page_says_so(start_page: Callable[..., Any], visit: Callable[..., Visit]) -> None:
    tab = visit(start_page("--scene", "rules").url)
    page = tab.log_in()
    page.wait_for_selector("text=Simple rules")
    page.wait_for_selector("text=too old to follow")
    page.wait_for_selector("text=The last plan is more than two hours old")
    page.wait_for_selector(".service.down >> text=Planner")
    assert page.locator("text=This plan is too old to follow").is_visible()


def test_markup_in_data_is_shown_as_text(start_page: Callable[..., Any], visit: Callable[..., Visit]) -> None:
    tab = visit(start_page("--scene", "markup").url)
    page = tab.log_in()
    page.wait_for_selector(".plan-chart canvas")
    page.wait_for_function("document.body.innerText.includes('<script>window.pwned=1</script>')")
    assert page.evaluate("window.pwned") is None
    assert page.locator("#alerts b").count() == 0
    # what the controller refuses is shown in its own words, as text too
    page.click("[aria-label=Settings] >> nth=0")
    page.keyboard.press("Escape")
    page.click("text=Set a device")
    page.locator(".sheet .q-select").first.click()
    page.locator(".q-menu >> text=Water heater").click()
    page.locator(".sheet .q-select").nth(1).click()
    page.locator(".q-menu >> text=Off").click()
    page.click("[data-set]")
    page.wait_for_function("document.body.innerText.includes('<img src=x onerror=alert(1)>')")
    assert page.locator("img[src=x]").count() == 0
    tab.troubles[:] = [t for t in tab.troubles if not re.search("422", t)]


def test_api_keys_are_shown_once(start_page: Callable[..., Any], visit: Callable[..., Visit]) -> None:
    tab = visit(start_page().url)
    page = tab.log_in()
    page.click("[aria-label=Settings]")
    page.click("text=API keys")
    page.locator(".sheet input[maxlength='80']").fill("my <b>script</b>")
    page.locator(".sheet >> text=Create").click()
    page.wait_for_selector(".secret >> text=pems_")
    key = page.locator(".secret").inner_text()
    reply = page.request.get(f"{tab.url}/v1/alerts", headers={"X-API-Key": key, "Cookie": ""})
    assert reply.status == 200
    page.locator(".sheet >> text=Close").click()
    page.click("[aria-label=Settings]")
    page.click("text=API keys")
    page.wait_for_selector("text=my <b>script</b>")
    assert key not in page.content()
