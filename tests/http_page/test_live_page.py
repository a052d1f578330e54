"""The live page in a real browser, served by a real server on loopback."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import live_data
import numpy as np
import pytest
from chromium import Page
from page_server import PageServer

from lengthwise.formulations.online.law import OnlineLaw

SHOWN = "!document.getElementById('content').hidden"


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """A tab without a memory of the last test; its script must have thrown nothing."""
    browser.events.clear()
    yield browser
    errors = browser.errors()
    browser.call("Page.navigate", url="about:blank")
    assert errors == []


def opened(page: Page, server: PageServer, **window: Any) -> Page:
    page.open(server.url, **window)
    page.wait(SHOWN)
    return page


def count(page: Page, selector: str) -> int:
    return int(page.evaluate(f"document.querySelectorAll({selector!r}).length"))


def drawn(page: Page, selector: str) -> int:
    """Marks of a path: its moves."""
    d = page.evaluate(f"document.querySelector({selector!r})?.getAttribute('d') ?? ''")
    return str(d).count("M")


def test_it_asks_nobody_but_its_own_server(page: Page) -> None:
    with PageServer(live_data.live()) as server:
        opened(page, server)
        page.wait("performance.getEntriesByType('resource').length > 4")
        asked = [url for url in page.requested() if not url.startswith(("data:", "about:"))]
        assert {url.removeprefix(server.url) for url in asked} == {
            "", "page/live.css", "page/live.js", "page/charts.js", "v1/live",
        }  # fmt: skip
        assert all(url.startswith(server.url) for url in asked)


def test_every_request_is_a_mark_in_both_charts(page: Page) -> None:
    data = live_data.live()
    recent = data["recent"]["ttft"]
    inside = sum(
        lo <= seen <= hi
        for lo, seen, hi in zip(
            recent["lo_ms"], recent["observed_ms"], recent["hi_ms"], strict=True
        )
    )
    with PageServer(data) as server:
        opened(page, server)
        for chart in (1, 2):
            found = f"#ttft .charts > div:nth-child({chart}) figure svg[tabindex]"
            assert drawn(page, f"{found} path.in") == inside
            assert drawn(page, f"{found} path.out") == 1200 - inside
        assert drawn(page, "#ttft path.band") == 1


def test_the_diagonal_is_where_predicted_is_observed(page: Page) -> None:
    data = live_data.live(1)
    recent = data["recent"]["ttft"]
    recent["predicted_ms"] = recent["observed_ms"]
    with PageServer(data) as server:
        opened(page, server)
        off = page.evaluate("""(() => {
          const svg = document.querySelector('#ttft svg[tabindex]');
          const d = svg.querySelector('path.in').getAttribute('d');
          const [x, y] = d.match(/[\\d.]+/g).map(Number), line = svg.querySelector('line.ideal');
          const along = (v, axis) => (v - line.getAttribute(`${axis}1`))
            / (line.getAttribute(`${axis}2`) - line.getAttribute(`${axis}1`));
          return Math.abs(along(x, 'x') - along(y, 'y'));
        })()""")
        assert off < 0.005


def test_tiles_give_the_numbers_with_units(page: Page) -> None:
    data = live_data.live()
    last = data["error"]["ttft"]["median_percent"][-1]
    with PageServer(data) as server:
        tiles = opened(page, server).text("#tiles")
    for text in (f"{last:.1f} %", "law version\n12\nthe newest", "48,000", "of TTFT, 9"):
        assert text in tiles
    assert "quarantined\n3\nTTFT is longer than a day (2), waiting is negative (1)" in tiles
    assert "drifts noticed\n2" in tiles


def test_events_are_listed_and_marked_where_they_happened(page: Page) -> None:
    with PageServer(live_data.live()) as server:
        opened(page, server)
        events = page.text("#events")
        assert "drift noticed" in events
        assert "shift 34.8 %" in events
        assert "error before 8.4 %, error after 6.1 %" in events
        assert "fit 11" in events  # a target counts its fits, the service its laws
        assert "version 12" in events
        assert "after 41 requests" in events
        assert "correction" not in events
        assert "offset 81.2 ms" in events
        assert count(page, "#events li") == 6
        # those of the other target are not marked here; promotions of both are
        assert count(page, "#ttft figure:nth-child(1) svg line.event") == 5
        assert count(page, "#tpot figure:nth-child(1) svg line.event") == 2


def test_the_law_and_its_domain_are_tables(page: Page) -> None:
    with PageServer(live_data.live()) as server:
        opened(page, server)
        law = page.text("#law")
        assert "prefill\t45.2\tµs/token\t± 1.3 %" in law
        assert "attention\t310\tps/pair\t± 8.0 %" in law
        assert "crowding\t520\tns/request2\tfactor 2.3" in law
        assert "prompt length\t12\t8,192\ttokens" in page.text("#domain")
        assert "requests running\t0\t128\trequests" in page.text("#domain")


def test_types_of_pods_have_tables_of_their_own(page: Page) -> None:
    data = live_data.live(50)
    terms = data["law"]["terms"]
    data["law"]["terms"] = [t | {"pod_type": kind} for kind in ("*", "prefill") for t in terms]
    with PageServer(data) as server:
        opened(page, server)
        captions = "[...document.querySelectorAll('#law caption')].map(c => c.textContent)"
        assert page.evaluate(captions) == [
            "Time to first token, pods of type prefill",
            "Time per output token, pods of type prefill",
            "Time to first token",
            "Time per output token",
        ]
        assert not page.evaluate("document.querySelector('#law details').open")


def test_nothing_learnt_yet(page: Page) -> None:
    with PageServer(live_data.nothing()) as server:
        opened(page, server)
        text = page.text()
        assert "Learning" in page.text("#state")
        for empty in ("No observed time to first token yet", "No observed time per output token",
                      "None. Drift", "Answers come from the prior", "none yet"):  # fmt: skip
            assert empty in text
        assert "NaN" not in text
        assert "undefined" not in text
        assert not page.evaluate("document.querySelector('#ttft .charts').checkVisibility()")


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"now_s": 1.0, "law": None, "recent": None, "error": None},
        {"recent": {"ttft": {"time_s": [1.0]}}, "events": [{}]},
    ],
)
def test_missing_parts_are_empty_states(page: Page, data: dict[str, Any]) -> None:
    with PageServer(data) as server:
        text = opened(page, server).text()
    assert "No observed time to first token yet" in text
    assert "NaN" not in text


def test_a_replica_without_observations_names_its_trainer(page: Page) -> None:
    data = {"law": {"version": 7, "ready": True, "terms": []}, "counts": {}}
    with PageServer(data) as server:
        opened(page, server)
        assert "open the page of the trainer" in page.text("#ttft")
        assert page.text("#state") == "Ready"


def test_the_sd_of_a_term_is_that_of_its_logarithm() -> None:
    law = OnlineLaw.cold()
    target, term = law.targets["ttft"], law.terms()[1]
    assert term["value"] == pytest.approx(np.exp(target.theta[0, 1]))
    assert term["sd"] == pytest.approx(np.sqrt(target.covariance[0, 1, 1]))


def test_one_request_and_no_error_yet(page: Page) -> None:
    with PageServer(live_data.live(1)) as server:
        opened(page, server)
        assert drawn(page, "#ttft svg[tabindex] path.in") == 1
        assert drawn(page, "#ttft path.bars") == 1
        assert "once a few more requests" in page.text("#ttft")
        assert "1 request at" in page.text("#ttft .readout")


def test_only_one_target(page: Page) -> None:
    with PageServer(live_data.live(300, tpot=False)) as server:
        opened(page, server)
        assert "Ready for TTFT" in page.text("#state")
        assert "No observed time per output token yet" in page.text("#tpot")
        assert count(page, "#ttft svg[tabindex]") == 2


def test_thousands_of_requests_are_drawn_within_a_poll(page: Page) -> None:
    with PageServer(live_data.live(6000, span_s=40_000.0)) as server:
        opened(page, server)
        assert drawn(page, "#ttft svg[tabindex] path.in") > 5000
        before = server.polls
        end = time.monotonic() + 30
        while server.polls < before + 2 and time.monotonic() < end:
            page.wait("true")
            time.sleep(0.1)
        assert server.polls >= before + 2


def test_requests_differing_in_length_are_shown_as_times_on_demand(page: Page) -> None:
    with PageServer(live_data.live()) as server:
        opened(page, server)
        page.evaluate("document.querySelector('#ttft input[value=time]').click()")
        assert "the latest 120" in page.text("#ttft")
        assert drawn(page, "#ttft path.bars") == 120


def test_keys_read_single_requests(page: Page) -> None:
    data = live_data.live(50)
    with PageServer(data) as server:
        opened(page, server)
        page.evaluate("document.querySelector('#ttft svg[tabindex]').focus()")
        page.key("End")
        seen = data["recent"]["ttft"]["observed_ms"][-1]
        assert f"observed {seen:.3g} ms" in page.text("#ttft .readout")
        assert count(page, "#ttft circle.pick") == 2
        page.key("Escape")
        assert "50 requests" in page.text("#ttft .readout")


def test_charts_have_a_text_alternative(page: Page) -> None:
    with PageServer(live_data.live(300)) as server:
        opened(page, server)
        labels = page.evaluate(
            "[...document.querySelectorAll('svg[role=img]')].map(s => s.getAttribute('aria-label'))"
        )
        assert len(labels) == 8
        assert all(labels)
        assert "300 requests" in labels[0]
        assert count(page, "#ttft details tbody tr") == 20
        assert "%" in page.evaluate("document.querySelector('#ttft details table').textContent")


def test_new_values_appear_by_themselves(page: Page) -> None:
    data = live_data.live(50)
    with PageServer(data) as server:
        opened(page, server)
        changed = copy.deepcopy(data)
        changed["law"]["version"] = 13
        server.live = changed
        page.wait("document.getElementById('law-title').textContent.includes('version 13')")


def test_a_refusing_or_lost_service_is_told_and_found_again(page: Page) -> None:
    with PageServer(live_data.live(50)) as server:
        opened(page, server)
        server.status = 503
        page.wait("document.getElementById('notice').textContent.includes('the database is away')")
        assert page.text("#state") == "Not connected"
        assert page.evaluate("document.body.classList.contains('stale')")
        server.status = 200
        page.wait("document.getElementById('notice').hidden")
        assert page.text("#state") == "Ready"
    page.wait("document.getElementById('notice').textContent.includes('no connection')")
    assert "What is shown is from before" in page.text("#notice")


def test_a_token_is_asked_for_and_kept_in_the_tab(page: Page) -> None:
    with PageServer(live_data.live(50), token="secret") as server:
        page.open(server.url)
        page.wait("!document.getElementById('login').hidden")
        for given in ("wrong", "secret"):
            page.evaluate(f"document.getElementById('token').value = {given!r}")
            page.evaluate("document.querySelector('#login button').click()")
            if given == "wrong":
                page.wait("document.getElementById('notice').textContent.includes('not accept')")
        page.wait(SHOWN)
        assert page.evaluate("sessionStorage.getItem('lengthwise-token')") == "secret"
        assert page.evaluate("localStorage.length") == 0
        opened(page, server)  # the same tab is not asked again
        page.evaluate("sessionStorage.clear()")


def test_markup_in_names_stays_text(page: Page) -> None:
    data = live_data.live(50)
    bad = "<img src=x onerror=\"document.title='bad'\">"
    data["events"][0]["detail"] = {"pod": bad}
    data["law"]["terms"][0]["name"] = bad
    with PageServer(data) as server:
        opened(page, server)
        assert bad in page.text("#events")
        assert count(page, "img") == 0
        assert page.evaluate("document.title") == "lengthwise"


@pytest.mark.parametrize("width", [320, 390, 820, 1280])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    with PageServer(live_data.live(300)) as server:
        opened(page, server, width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_colours_follow_the_scheme(page: Page) -> None:
    with PageServer(live_data.live(50)) as server:
        back = "getComputedStyle(document.body).backgroundColor"
        opened(page, server, scheme="dark")
        assert page.evaluate(back) == "rgb(20, 24, 29)"
        opened(page, server, scheme="light")
        assert page.evaluate(back) == "rgb(255, 255, 255)"


def test_a_pause_in_the_traffic_is_a_gap(page: Page) -> None:
    data = live_data.live(200)
    series = data["error"]["ttft"]
    series["time_s"] = [t - (20_000.0 if i < 40 else 0.0) for i, t in enumerate(series["time_s"])]
    with PageServer(data) as server:
        opened(page, server)
        assert drawn(page, "#ttft figure:nth-child(2) path.law") == 2
        # the error now has a time axis of its own, so it carries the numbers of the events
        assert count(page, "#ttft figure:nth-child(2) text.mark") > 0


def test_the_band_ends_where_traffic_does(page: Page) -> None:
    data = live_data.live(300)
    series = data["recent"]["ttft"]
    series["time_s"] = [t - (3_000.0 if i < 150 else 0.0) for i, t in enumerate(series["time_s"])]
    with PageServer(data) as server:
        opened(page, server)
        assert drawn(page, "#ttft path.band") == 2


def test_ready_is_said_once(page: Page) -> None:
    with PageServer(live_data.live(300)) as server:
        text = opened(page, server).text()
    assert text.lower().count("ready") == 1


def test_the_recent_level_and_a_pinned_law_are_told(page: Page) -> None:
    data = live_data.live(300)
    data["law"] |= {
        "pinned": 12,
        "recent": {
            "ttft": {"percent": 6.1, "at_s": live_data.NOW_S - 12.0, "fades_s": 30.0},
            "tpot": {"percent": 0.0, "at_s": 0.0, "fades_s": 1.0},
        },
    }
    with PageServer(data) as server:
        opened(page, server)
        assert "pinned; newer ones wait" in page.text("#tiles")
        assert "TTFT +6.1 % at" in page.text("#levels")
        assert "TPOT" not in page.text("#levels")  # no request has said anything


TOUCHING = """[...document.querySelectorAll('.charts svg')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], i) => boxes.slice(i + 1)
    .filter(([, q]) => p.left < q.right && q.left < p.right && p.top < q.bottom - 1 && q.top < p.bottom - 1)
    .map(([b]) => `${a} / ${b}`));
})"""  # noqa: E501


@pytest.mark.parametrize("span_s", [3.0, 5_000.0, 2e6])
def test_ticks_do_not_touch(page: Page, span_s: float) -> None:
    data = live_data.live(200, span_s=span_s)
    for name in ("observed_ms", "predicted_ms", "lo_ms", "hi_ms"):
        data["recent"]["ttft"][name] = [v**2.2 for v in data["recent"]["ttft"][name]]
        data["recent"]["tpot"][name] = [10 + v / 50 for v in data["recent"]["tpot"][name]]
    with PageServer(data) as server:
        for width in (320, 1280):
            opened(page, server, width=width)
            assert page.evaluate(TOUCHING) == [], width
            page.evaluate("document.querySelector('#ttft input[value=time]').click()")
            assert page.evaluate(TOUCHING) == [], width
