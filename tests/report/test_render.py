"""What is in the page: no way out of it, names escaped, every reference resolvable."""

import base64
import hashlib
import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from brainforge.report import render_report
from brainforge.report.arrays import ArrayPool
from brainforge.report.render import BUILDERS
from tests.report.make_result import NASTY, make_result

CASES = {
    "mag306": {},
    "vectorview": {"layout": "vectorview"},
    "no geometry, few epochs": {"geometry": False, "n_epochs": 12},
    "short recipe": {"full": False},
}


class Page(HTMLParser):
    """Collects tags with their attributes, and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.ids = [], [], []
        self._in = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "script":
            self._in = attrs
            self.scripts.append((attrs, ""))

    def handle_endtag(self, tag):
        if tag == "script":
            self._in = None

    def handle_data(self, data):
        if self._in is not None:
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    result = make_result(**CASES[request.param])
    html = render_report(result)
    return result, html, Page(html)


def payload_of(page):
    return json.loads(next(t for a, t in page.scripts if a.get("id") == "payload"))


def test_nothing_leads_out_of_the_page(case):
    _, html, page = case
    for tag, attrs in page.tags:
        assert tag not in {"iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for name in attrs)
        for name in ("src", "href", "data", "action", "srcset", "poster"):
            if name in attrs:
                assert attrs[name].startswith(("#", "data:")), attrs[name][:80]
    style = html[html.index("<style>") : html.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style


def test_policy_allows_exactly_the_scripts_of_the_page(case):
    _, _, page = case
    policy = next(
        a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")
    assert "connect-src" not in policy
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    inline = [t for a, t in page.scripts if a.get("type") != "application/json"]
    hashes = {base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in inline}
    assert hashes == allowed
    assert len(inline) == 2
    assert sum("plotly.js v" in t for t in inline) == 1


def test_names_cannot_become_tags(case):
    _, html, page = case
    assert "<script>alert" not in html
    assert len(page.scripts) == 3
    for chart in payload_of(page)["charts"].values():
        assert "<script" not in json.dumps(chart)


def test_nasty_name_is_shown_as_it_is():
    page = render_report(make_result())
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;&amp;amp;%{y}" in page
    assert NASTY not in page


def test_size(case):
    assert len(case[1].encode()) < 6_700_000


def test_ids_are_unique_and_charts_described(case):
    _, _, page = case
    assert len(page.ids) == len(set(page.ids))
    plots = [a for _, a in page.tags if "data-chart" in a]
    assert {a["data-chart"] for a in plots} == set(payload_of(page)["charts"])
    for attrs in plots:
        assert attrs["role"] == "img"
        assert len(attrs["aria-label"]) > 20
    assert all(a.get("alt") for t, a in page.tags if t == "img")


def test_plots_say_their_units(case):
    result, _, _ = case
    for section in build(result):
        for chart in section.charts:
            assert chart.title
            if chart.size != "small" and not chart.id.startswith("component-"):
                assert len(chart.note) > 20
            x, y = chart.layout["xaxis"], chart.layout["yaxis"]
            if x.get("visible", True) and x.get("type") != "category":
                assert x["title"]["text"]
                assert y["title"]["text"] or chart.id in ("timeline", "regions", "asymmetry")


def build(result):
    pool = ArrayPool()
    return [module.build(result, pool) for module in BUILDERS]


def references(node):
    if isinstance(node, dict):
        if "$a" in node or "$v" in node or "$edges" in node:
            yield node
        else:
            for value in node.values():
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_resolves_in_every_state(case):
    result, _, page = case
    data = payload_of(page)
    controls = {}
    for section in build(result):
        for part in section.parts:
            for c in part.controls:
                controls.setdefault(c.group, {})[c.name] = [v for v, _ in c.options]
    seen = 0
    for chart in data["charts"].values():
        options = controls.get(chart["group"], {})
        for chosen in itertools.product(*options.values()):
            state = dict(zip(options, chosen))
            for ref in references([chart["data"], chart["layout"]]):
                key = next(k for k in ("$a", "$v", "$edges") if k in ref)
                name = re.sub(r"@(\w+)", lambda m: state[m[1]], ref[key])  # noqa: B023
                assert name in (data["arrays"] if key == "$a" else data["values"])
                seen += 1
            if "channel" in options:
                break
    assert seen > 10


def test_missing_parts_say_why():
    html = render_report(make_result(full=False))
    for sentence in (
        "computes no band power",
        "keeps no excerpt",
        "removes no components",
        "looks for no heartbeats",
        "computes no connectivity",
        "computes no graph metrics",
    ):
        assert sentence in html


def test_abstentions_are_shown_with_their_reason():
    html = render_report(make_result(geometry=False, n_epochs=12))
    assert html.count('class="card silent"') == 2
    assert "Still collecting: 12 clean epochs" in html
    assert "not known, so sides cannot be compared" in html


def test_same_result_same_page():
    assert render_report(make_result(full=False)) == render_report(make_result(full=False))


def test_survives_empty_and_unknown_values():
    full = make_result()
    nan = np.full_like(full.spectra.after, np.nan)
    quiet = replace(
        full,
        info=replace(full.info, subject=None, meas_date="not a date", line_freq=None),
        quality=replace(
            full.quality,
            bads=(),
            intervals=(),
            line_freq=None,
            rms=np.full(306, np.nan),
            noise_floor=np.full(306, np.nan),
        ),
        spectra=replace(full.spectra, before=nan, after=nan),
        artifacts=replace(
            full.artifacts,
            components=(),
            muscle=(),
            ecg=replace(full.artifacts.ecg, samples=np.zeros(0)),
            eog=replace(full.artifacts.eog, reduction_db=float("nan")),
        ),
        recording={},
        steps=(),
        timings={},
        provenance={},
        warnings=(),
    )
    html = render_report(quiet)
    assert "No heartbeat was found" in html
    assert "No component was removed" in html
    data = next(t for a, t in Page(html).scripts if a.get("id") == "payload")
    json.loads(data, parse_constant=pytest.fail)


def test_one_channel():
    result = make_result(full=False, nasty=False)
    names = result.info.names[:1]
    one = replace(
        result,
        info=result.info.pick(names),
        quality=replace(
            result.quality,
            channel_names=names,
            units=("fT",),
            rms=np.ones(1),
            peak_to_peak=np.ones(1),
            line_db=np.ones(1),
            noise_floor=np.ones(1),
            bads=(),
        ),
        spectra=replace(
            result.spectra,
            channel_names=names,
            units=("fT",),
            before=result.spectra.before[:1],
            after=result.spectra.after[:1],
        ),
    )
    assert "no map to draw" in render_report(one)
