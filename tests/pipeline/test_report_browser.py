"""The report in Chromium, at the widths of a phone and a desktop, in light mode, in dark mode and on paper."""

import io
from functools import cache

import pytest
from PIL import Image

import measured_folder
from pipeline import artifacts
from pipeline.report import report
from pipeline.report.gather import gather
from pipeline.report.numbers import duration

pytestmark = pytest.mark.slow
WIDTHS = {"phone": 390, "desktop": 1280}
MARKS = {
    "latency-0": {"bar": 4, "whisker": 3},  # Keras is cut off, and so is its whisker
    "latency-1": {"bar": 4, "whisker": 3},
    "tradeoff-0": {"mark": 4, "front": 1},
    "stages-0": {"read": 1, "decode": 1, "resize": 1, "inference": 1},
    "resources-0": {"memory": 4, "start": 4},
    "parity": {"mean": 6, "max": 6},  # with their bounds
    "layers": {"line": 3},
    "confusion-keras": {"cell": 9},
    "confusion-1": {"cell": 9},
    "confusion-2": {"cell": 9},
    "reliability": {"line": 4, "count": 3},
    "risk": {"line": 4},
    "known": {"bars": 3},
}
OVERLAPS = """figure => {
  const texts = [...figure.querySelectorAll("svg text")].filter(text => !/rotate\\(-[1-9]/.test(text.outerHTML));
  const boxes = texts.map(text => [text.textContent, text.getBoundingClientRect()]);
  const found = [];
  boxes.forEach(([first, a], index) => boxes.slice(index + 1).forEach(([second, b]) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    // A line's box is higher than its letters.
    if (wide > 1 && high > 0.35 * Math.min(a.height, b.height)) found.push(first + " on " + second);
  }));
  for (const [text, box] of boxes)
    if (box.left < 0 || box.right > document.documentElement.clientWidth) found.push(text + " leaves the page");
  return found;
}"""
FITS = "box => box.checkVisibility() && box.scrollWidth <= box.clientWidth"
CONTRAST = """() => {
  const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map(value => value / 255)
      .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const against = other => (Math.max(paper, other) + 0.05) / (Math.min(paper, other) + 0.05);
  const least = (query, property) => Math.min(
    ...[...document.querySelectorAll(query)].map(element => against(light(getComputedStyle(element)[property]))));
  return {paper, text: least("p.lead, td, th, h2, figcaption", "color"),
          label: least("#chart-layers svg text", "fill"), bar: least('[id*="-bar-"] path', "fill")};
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = measured_folder.write(tmp_path_factory.mktemp("report") / "build")
    artifacts.write_json(folder / "pi.json", measured_folder.benchmark("Pi", 10))
    report(folder, [folder / "pi.json"])
    return folder


@pytest.fixture(scope="module")
def opened(chromium, folder):
    """A function that opens the page in a shared window, and returns it, its messages and its requests."""
    contexts = []

    @cache
    def open_page(width, scheme):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        contexts.append(context)
        page, heard = context.new_page(), []
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url))
        address = (folder / artifacts.REPORT_PAGE).as_uri()
        page.goto(address)
        heard.remove(address)
        return page, [entry for entry in heard if not entry.startswith("data:")]

    yield lambda width=WIDTHS["desktop"], scheme="light": open_page(width, scheme)
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", WIDTHS)
def test_page_is_whole_quiet_and_legible(opened, repository, name):
    page, heard = opened(WIDTHS[name])
    assert heard == []
    assert page.evaluate("document.documentElement.scrollWidth") == WIDTHS[name]
    figures = page.locator(".charts figure").all()
    assert len(figures) == page.locator(".charts svg").count() == 8 + 8
    for figure in figures:
        assert figure.evaluate(OVERLAPS) == [], figure.get_attribute("id")
    screenshots = repository / "artifacts" / "screenshots"
    screenshots.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=screenshots / f"report-{name}.png", full_page=True)


def test_each_chart_has_drawn_every_mark(opened):
    page, _ = opened()
    for chart, marks in MARKS.items():
        box = page.locator(f"#chart-{chart} svg").bounding_box()
        assert min(box["width"], box["height"]) > 60, chart
        for mark, count in marks.items():
            found = page.locator(f'#chart-{chart} [id^="{chart}-{mark}-"]')
            sizes = found.evaluate_all(
                "marks => marks.map(mark => { const box = mark.getBBox(); return box.width + box.height; })"
            )
            assert len(sizes) == count, (chart, mark)
            assert min(sizes) > 0, (chart, mark)


def test_bars_are_as_long_as_the_numbers(opened):
    page, _ = opened()
    widths = [page.locator(f"#latency-0-bar-{row}").evaluate("bar => bar.getBBox().width") for row in range(3)]
    assert widths[1] / widths[0] == pytest.approx(27.5 / 15.125, rel=0.01)
    assert widths[2] / widths[0] == pytest.approx(45.25 / 15.125, rel=0.01)


def test_numbers_on_the_page_are_those_of_the_files(opened, folder):
    page, _ = opened()
    facts = gather(folder, [folder / "pi.json"])

    def cells(section, row):
        return page.locator(f"#{section} tbody tr").filter(has_text=row).first.locator("td").all_text_contents()

    for name, measured in facts.verified.measured.items():
        assert cells("files", name)[3] == f"{measured.accuracy:.0%}"
        assert cells("files", name)[5] == f"{measured.agreement:.0%}"
        assert cells("parity", name)[1:5] == [
            f"{measured.mean_difference:.1e}",
            f"{measured.limits.mean_difference:.1e}",
            f"{measured.max_difference:.1e}",
            f"{measured.limits.max_difference:.1e}",
        ]
    tables = page.locator("#contenders table")
    for table, device in zip(tables.all()[1:], facts.devices.values(), strict=True):
        rows = table.locator("tbody tr").all()
        for row, (contender, latency) in zip(rows, device.timed, strict=False):
            texts = row.locator("td").all_text_contents()
            assert texts[0].startswith(contender.file)
            assert texts[1:5] == [f"{value:,.1f}" for value in (latency.p50, latency.p90, latency.p99, latency.worst)]
            assert texts[7] == f"{contender.images_per_s['1']:,.0f}"
        assert rows[-1].locator("td").last.inner_text() == "ncnn is not installed; pip install 'edgecnn[ncnn]'"
    assert cells("confusion", "bee")[1:] == ["0", "9", "1"]
    assert cells("layers", "dense")[2:] == ["125.25", "31.50", "30.25"]
    assert page.locator("#flips .card span").all_inner_texts() == [
        "Keras bee 0.61 ✓",
        f"file {measured_folder.NAMES[2]} 0.58",
    ]
    assert page.locator("#flips img").evaluate("image => image.naturalWidth") == 16


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colors_follow_the_reader_and_stand_out(opened, scheme):
    page, _ = opened(scheme=scheme)
    found = page.evaluate(CONTRAST)
    assert (found["paper"] > 0.5) == (scheme == "light")
    assert min(found["text"], found["label"]) >= 4.5
    assert found["bar"] >= 3


def test_paper_shows_the_folded_tables_in_ink(opened, tmp_path):
    page, _ = opened(scheme="dark")
    table = page.locator("#layers details table")
    assert not table.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert table.bounding_box()["height"] > 20
    assert page.evaluate(CONTRAST)["paper"] == 1
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    page.emulate_media(media="screen", color_scheme="dark")


def test_legends_have_room_for_every_file_and_engine(chromium, tmp_path):
    folder = measured_folder.write(tmp_path)
    verified, measured = measured_folder.verified(), measured_folder.benchmark()
    row = verified["artifacts"][artifacts.INT8_ONNX]
    verified["artifacts"] |= {f"model_int8_{number}.onnx": row for number in range(6)}
    artifacts.write_json(folder / artifacts.VERIFY, verified)
    for number, name in enumerate(("OpenVINO", "NCNN", "TensorFlow, SavedModel", "Keras, predict_on_batch", "Web")):
        contender = measured_folder.contender("other", name, artifacts.INT8_ONNX, 30.0 + number)
        measured["contenders"].append(contender)
    artifacts.write_json(folder / artifacts.BENCHMARK, measured)
    report(folder)
    page = chromium.new_page(viewport={"width": WIDTHS["phone"], "height": 900})
    page.goto((folder / artifacts.REPORT_PAGE).as_uri())
    for chart in ("reliability", "tradeoff-0", "latency-0", "resources-0"):
        assert page.locator(f"#chart-{chart}").evaluate(OVERLAPS) == [], chart
    page.close()


def test_every_measured_number_of_a_chart_is_in_it_or_in_its_table(opened, folder):
    page, _ = opened()
    facts = gather(folder, [folder / "pi.json"])

    def table(section, number):
        rows = page.locator(f"#{section} table").nth(number).locator("tbody tr").all()
        return [row.locator("td").all_text_contents()[1:] for row in rows]

    for number, device in enumerate(facts.devices.values()):
        for row, (contender, latency) in enumerate(device.timed):
            named = page.locator(f"#latency-{number}-name-{row}").text_content()
            assert named.split() == f"{contender.file} {contender.engine}, 1 thread".split()
            assert page.locator(f"#latency-{number}-value-{row}").text_content().strip() == duration(latency.p50)
        costs = [
            (row.load_ms, row.first_result_ms, row.cold_start_ms, row.peak_memory_bytes / 2**20)
            for row, _ in device.timed
        ]
        assert table("resources", number) == [[f"{value:.1f}" for value in row] for row in costs]
        assert [row[:2] for row in table("tradeoff", number)] == [
            [f"{latency.p50:.1f}", f"{row.accuracy:.0%}"] for row, latency in device.timed
        ]
        (whole,) = device.end_to_end
        parts = (whole.read_us, whole.decode_us, whole.resize_us, whole.inference_us, whole.total_us)
        assert table("end-to-end", number) == [["JPEG 1920×1080, 488 KiB", *(f"{part / 1000:.3f}" for part in parts)]]
        assert page.locator(f"#stages-{number}-value-0").text_content().strip() == duration(whole.total_us)


def test_tables_wider_than_a_telephone_show_that_they_go_on(opened):
    page, _ = opened(WIDTHS["phone"])
    box = page.locator("#contenders .scroll").last
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    assert "gradient" in box.evaluate("box => getComputedStyle(box).backgroundImage")
    name = box.locator("tbody td").first
    before = name.bounding_box()["x"]
    box.evaluate("box => box.scrollBy(100, 0)")
    assert name.bounding_box()["x"] == before  # rows keep their names


def test_the_word_more_stands_below_a_wide_table_until_its_end(opened):
    page, _ = opened(WIDTHS["phone"])

    def has_ink(box):
        with Image.open(io.BytesIO(box.screenshot())) as picture:
            width, height = picture.size
            # without the border of the table, and without the shade at the edge
            return picture.convert("L").crop((width - 58, height - 16, width - 24, height)).getextrema()[0] < 200

    wide = page.locator("#contenders .scroll").last
    wide.evaluate("box => box.scrollTo(0, 0)")
    assert has_ink(wide)
    wide.evaluate("box => box.scrollTo(box.scrollWidth, 0)")
    assert not has_ink(wide)
    narrow = [box for box in page.locator(".scroll").all() if box.evaluate(FITS)]
    assert narrow
    assert not any(map(has_ink, narrow))


def test_text_in_charts_is_no_smaller_than_small_print(opened):
    for width in WIDTHS.values():
        page, _ = opened(width)
        sizes = page.locator(".charts svg text, .charts svg tspan").evaluate_all(
            """texts => texts.map(text => {
                 const {a, b} = text.getScreenCTM();
                 return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(a, b);
            })"""
        )
        assert min(sizes) >= 10


def test_opened_table_takes_the_whole_width(chromium, folder, tmp_path):
    report(folder, out=tmp_path)  # one device: two charts share a row
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto((tmp_path / artifacts.REPORT_PAGE).as_uri())
    section = page.locator("#tradeoff")
    narrow = section.bounding_box()["width"]
    section.locator("summary").click()
    assert section.bounding_box()["width"] > 1.8 * narrow
    assert section.locator("table").is_visible()
    page.close()
