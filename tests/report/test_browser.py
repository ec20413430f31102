"""The report in a real browser: silent, self-contained, and its controls work."""

import shutil

import pytest

from brainforge.report import write_report
from tests.report.make_result import make_result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # a page behind another one gets no animation frames, and waiting for one would never end
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]
WATCH = (
    "addEventListener('securitypolicyviolation', e => console.error('policy', e.violatedDirective))"
)
SCROLL = """async () => {
    for (const plot of document.querySelectorAll('.plot')) {
        plot.scrollIntoView({ behavior: 'instant' });
        await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    }
}"""


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("Chromium is not here: install the package chromium (`make test` does)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    cases = {"full": {}, "vectorview": {"layout": "vectorview"}, "short": {"full": False}}
    cases["bare"] = {"geometry": False, "n_epochs": 12}
    return {
        name: write_report(make_result(**case), folder / f"{name}.html")
        for name, case in cases.items()
    }


class Visit:
    """A page with everything it said and asked for."""

    def __init__(self, browser, path, width=1400, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        self.page = context.new_page()
        self.page.bring_to_front()
        self.page.add_init_script(WATCH)
        self.said, self.asked = [], []
        self.page.on("console", lambda m: self.said.append(m.text))
        self.page.on("pageerror", lambda e: self.said.append(str(e)))
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready=true]")
        self.own = path.as_uri()

    def see_all(self):
        """Bring every figure into view, so that all are drawn."""
        self.page.evaluate(SCROLL)
        self.wait_drawn()
        return self

    def wait_drawn(self):
        # a selector, as the page's policy forbids the polling of a function
        self.page.wait_for_selector(".plot:not([data-done])", state="detached")

    def check_silent(self):
        assert self.said == []
        outside = [u for u in self.asked if u != self.own and not u.startswith(("data:", "blob:"))]
        assert outside == []


@pytest.mark.parametrize(
    "name, width, scheme",
    [
        ("full", 1400, "light"),
        ("vectorview", 420, "dark"),
        ("short", 1000, "dark"),
        ("bare", 420, "light"),
    ],
)
def test_whole_report_is_drawn_without_a_word(browser, reports, tmp_path, name, width, scheme):
    visit = Visit(browser, reports[name], width, scheme).see_all()
    page = visit.page
    for section in page.locator("main > section").all():
        assert section.is_visible()
        assert section.locator("h2").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    shot = tmp_path / "report.png"
    page.screenshot(path=shot)
    assert shot.stat().st_size > 10_000
    visit.check_silent()


def test_choices_change_the_figures(browser, reports):
    visit = Visit(browser, reports["full"]).see_all()
    page = visit.page
    state = """() => {
        const m = document.querySelector('[data-chart="conn-matrix"]').data[0];
        const e = document.querySelector('[data-chart="conn-edges"]').data[1];
        return [m.z[0][1], m.zmax, e.x.length, m.z.length];
    }"""
    before = page.evaluate(state)
    assert before[3] == 306
    page.locator('input[name="connectivity-band"][value="theta"]').check(force=True)
    band = page.evaluate(state)
    page.locator('select[data-name="measure"]').select_option("aec")
    measure = page.evaluate(state)
    assert before[:2] != band[:2] != measure[:2]
    overlay = """() => document.querySelector('[data-chart="psd-mag"]').data
        .filter(t => t.name && t.name.startsWith('chosen')).map(t => t.y.length)"""
    assert page.evaluate(overlay) == [0, 0]
    page.locator('select[data-name="channel"]').select_option("5")
    assert all(n > 100 for n in page.evaluate(overlay))
    visit.check_silent()


def test_numbers_in_the_browser_are_those_of_the_result(browser, reports):
    page = Visit(browser, reports["vectorview"]).see_all().page
    result = make_result("vectorview")
    matrix = result.connectivity.values["wpli2_debiased"]["alpha"]
    row = {n: i for i, n in enumerate(result.connectivity.channel_names)}
    x, z, n = page.evaluate("""() => {
        const m = document.querySelector('[data-chart="conn-matrix"]').data[0];
        return [m.x, m.z.map(r => Array.from(r)), m.z.length];
    }""")
    step = (matrix.max() - matrix.min()) / 254
    plain = [i for i in range(n) if x[i] in row]
    assert len(plain) >= n - 1
    for i in plain[::7]:
        for j in plain[::5]:
            if i != j:
                assert abs(z[i][j] - matrix[row[x[i]], row[x[j]]]) <= 0.51 * step


def test_theme_button_keyboard_and_print(browser, reports):
    visit = Visit(browser, reports["full"])
    page = visit.page
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.locator("#theme").focus()
    page.keyboard.press("Enter")
    assert page.evaluate(paper) != light
    page.keyboard.press("Enter")
    assert page.evaluate(paper) == light
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    visit.wait_drawn()
    assert page.evaluate("[...document.querySelectorAll('details')].every(d => d.open)")
    visit.check_silent()


def test_toolbar_has_no_cloud(browser, reports):
    page = Visit(browser, reports["short"]).see_all().page
    titles = page.evaluate(
        "[...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title || '')"
    )
    assert titles
    assert not any(w in t.lower() for t in titles for w in ("cloud", "share", "chart studio"))
    assert page.locator(".modebar-btn.plotlyjsicon").count() == 0


def test_missing_geometry_and_epochs_are_told(browser, reports):
    page = Visit(browser, reports["bare"]).page
    assert page.locator(".card.silent").count() == 2
    assert "collecting" in page.locator("#connectivity .lead").inner_text()
    assert page.locator("#topographies .absent").is_visible()
