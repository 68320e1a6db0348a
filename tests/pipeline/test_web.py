"""The page that runs the model in a browser: made by the command, and tested in Chromium."""

import io
import json
import re
import shutil
import urllib.error
import urllib.request
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from types import SimpleNamespace

import onnx
import pytest
from PIL import Image

from pipeline import artifacts
from pipeline.cli import main
from pipeline.data import samples
from pipeline.deploy.web.engine import PACKAGE, TARBALL
from pipeline.deploy.web.serve import serving
from pipeline.export.onnx import with_metadata
from runtime import Classifier
from served import served
from users_cache import DOWNLOADS

READY = "#file:enabled"
FORBIDDEN_CAMERA = (
    '() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError")) }',
    "delete navigator.mediaDevices.getUserMedia",
)
"""A script that takes the camera away, and one that gives it back."""
HIDDEN_CAMERA = (
    "Object.defineProperty(navigator, 'mediaDevices', { value: undefined, configurable: true }), true",
    "delete navigator.mediaDevices",
)


def web(*arguments, **environment):
    """Run ``python -m pipeline web``, without a process of its own."""
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        for name, value in ({"EDGECNN_DATA": str(DOWNLOADS)} | environment).items():
            patch.setenv(name, value)
        with redirect_stderr(io.StringIO()) as errors:
            status = main(["web", *map(str, arguments)])
    return SimpleNamespace(returncode=status, stdout=out.getvalue(), stderr=errors.getvalue())


@pytest.fixture(scope="module")
def site(tmp_path_factory, reference):
    """A folder whose ``demo/page`` is the page."""
    folder = tmp_path_factory.mktemp("site")
    done = web(reference, "--out", folder / "demo" / "page")
    if "npm" in done.stderr and done.returncode:
        pytest.skip(f"no ONNX Runtime Web to test: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert "python -m http.server --bind 127.0.0.1" in done.stdout
    return folder


@pytest.fixture(scope="module")
def address(site):
    with served(site) as server:
        yield server + "demo/page/"


@contextmanager
def loaded(chromium, address):
    """Yield the loaded page and its console errors; fails if it has asked other hosts."""
    complaints, requests = [], []
    page = chromium.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    page.wait_for_selector(READY)
    yield page, complaints
    page.close()
    assert len(requests) > 10
    assert all(request.startswith(address) for request in requests)


@pytest.fixture(scope="module")
def kept(chromium, address):
    with loaded(chromium, address) as page_and_complaints:
        yield page_and_complaints


@pytest.fixture
def page(kept):
    """The loaded page, without the answer of an earlier test; fails after the test if it logged an error."""
    page, complaints = kept
    page.set_input_files("#file", {"name": "none.png", "mimeType": "image/png", "buffer": b""})
    assert "none.png is empty" in problem(page)
    yield page
    assert not complaints


@pytest.fixture
def fresh(chromium, address):
    """The page as it is after loading, for tests of its camera and of its first use."""
    with loaded(chromium, address) as (page, complaints):
        yield page
    assert not complaints


@pytest.fixture
def bare(chromium):
    """An empty browser page, for tests of failures while loading."""
    page = chromium.new_page()
    yield page
    page.close()


def choose(page, path):
    page.set_input_files("#file", path)
    page.wait_for_selector(".answer[aria-busy=false]")


def answers(page):
    """The bars on the page: class names and their probabilities."""
    names, values = page.locator(".bars .name").all_inner_texts(), page.locator(".bars .value").all_inner_texts()
    return {name: float(value.rstrip("%")) / 100 for name, value in zip(names, values, strict=True)}


def said_of(expected):
    return expected.label if expected.is_known else f"None of these, most like {expected.label}"


def problem(page):
    page.wait_for_selector("#problem:visible")
    assert page.locator(".bars li").count() == 0
    return page.inner_text("#problem")


@pytest.mark.slow
@pytest.mark.parametrize(("size", "suffix"), [((32, 32), "png"), ((200, 150), "jpeg"), ((640, 480), "jpeg")])
def test_fifty_images_are_named_as_the_runtime_names_them(page, reference, tmp_path, size, suffix):
    classifier = Classifier(reference / artifacts.INT8_ONNX)
    differences = []
    for index, pixels in enumerate(samples.read_test(reference).pixels[:50]):
        path = tmp_path / f"{index}.{suffix}"
        Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
        with Image.open(path) as image:
            # Large ones without the runtime's reductions, which alone move a probability by up to 0.08.
            whole = image.resize((32, 32), Image.Resampling.BILINEAR)
        expected = classifier.classify(path if size[0] <= 200 else whole)
        choose(page, path)
        assert page.inner_text("#verdict") == said_of(expected)
        shown = answers(page)
        differences += [abs(shown[name] - probability) for name, probability in expected.top if name in shown]
    assert len(differences) > 240
    assert max(differences) <= 0.02


@pytest.mark.slow
@pytest.mark.usefixtures("site")
def test_what_is_like_no_class_is_said_to_be_none(bare, reference, tmp_path):
    model = onnx.load(reference / artifacts.INT8_ONNX)
    with Classifier(reference / artifacts.INT8_ONNX) as classifier:
        spec, golden = replace(classifier.spec, known_threshold=1e6), classifier.golden()
    del model.metadata_props[:]
    content = with_metadata(model, spec, golden)
    (tmp_path / artifacts.INT8_ONNX).write_bytes(content)
    path = tmp_path / "ship.png"
    Image.fromarray(samples.read_test(reference).pixels[0]).save(path)
    expected = Classifier(tmp_path / artifacts.INT8_ONNX).classify(path)
    assert not expected.is_known
    done = web(tmp_path, "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    with served(tmp_path) as server:
        bare.goto(f"{server}demo/")
        bare.wait_for_selector(READY)
        choose(bare, path)
        assert bare.inner_text("#verdict") == f"None of these, most like {expected.label}"


def test_the_camera_is_watched_until_it_is_stopped(fresh, reference):
    fresh.click("#camera-button")
    fresh.wait_for_selector("#camera:visible")
    fresh.wait_for_selector(".bars li")
    assert set(answers(fresh)) <= set(Classifier(reference / artifacts.INT8_ONNX).spec.class_names)
    assert fresh.inner_text("#camera-button") == "Stop the camera"
    fresh.click("#camera-button")
    assert fresh.inner_text("#verdict") == "The camera is off."
    assert fresh.evaluate("document.getElementById('camera').srcObject") is None


def test_a_picture_chosen_while_the_camera_runs_takes_its_place(fresh, photo):
    fresh.click("#camera-button")
    fresh.wait_for_selector("#camera:visible")
    choose(fresh, photo)
    assert fresh.is_visible("#preview")
    assert fresh.is_hidden("#camera")
    assert "reading" in fresh.inner_text("#time")


@pytest.fixture
def photo(reference, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(samples.read_test(reference).pixels[0]).save(path)
    return path


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_pictures_are_dropped_and_pasted(page, photo, way):
    give = """
    ([way, bytes]) => {
      const data = new DataTransfer();
      if (bytes) data.items.add(new File([new Uint8Array(bytes)], "photo.png", { type: "image/png" }));
      else data.setData("text/plain", "https://example.org/photo.png");
      const [kind, name] = way === "drop" ? [DragEvent, "dataTransfer"] : [ClipboardEvent, "clipboardData"];
      document.body.dispatchEvent(new kind(way, { [name]: data, bubbles: true, cancelable: true }));
    }
    """
    page.evaluate(give, [way, list(photo.read_bytes())])
    page.wait_for_selector(".bars li")
    page.evaluate(give, [way, None])
    assert "No picture came along" in problem(page)


def test_several_pictures_are_named_in_a_list(page, reference, tmp_path):
    classifier = Classifier(reference / artifacts.INT8_ONNX)
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, pixels in zip(paths, samples.read_test(reference).pixels[:3], strict=True):
        Image.fromarray(pixels).save(path)
    paths.insert(1, tmp_path / "notes.png")
    paths[1].write_text("no picture")
    page.set_input_files("#file", paths)
    labels = page.locator(".pictures b")
    page.wait_for_selector(".pictures li:last-child b:not(:empty)")
    assert labels.nth(1).inner_text() == "No picture"
    for index in (0, 2, 3):
        expected = classifier.classify(paths[index])
        name, _, percent = labels.nth(index).inner_text().partition(" ")
        assert name == expected.label
        assert float(percent.rstrip("%")) / 100 == pytest.approx(expected.probability, abs=0.02)
        page.locator(".pictures button").nth(index).click()
        page.wait_for_selector(".answer[aria-busy=false]")
        assert page.inner_text("#verdict") == expected.label
    page.locator(".pictures button").nth(1).click()
    assert "notes.png is not a picture" in problem(page)
    choose(page, paths[0])
    assert page.is_hidden("#pictures")


def test_samples_are_the_golden_set_and_it_is_replayed(page, reference):
    golden = Classifier(reference / artifacts.INT8_ONNX).golden()
    said = "computes what was computed where the model was built: on the 8 pictures of 32 × 32 pixels that the model"
    assert said in page.inner_text("#golden")
    buttons = page.locator(".sample")
    assert buttons.count() == len(golden.pixels)
    buttons.nth(3).click()
    page.wait_for_selector(".bars li")
    expected = golden.probabilities[3]
    assert max(answers(page).values()) == pytest.approx(expected.max(), abs=0.01)


def test_all_can_be_done_with_the_keyboard_and_is_named(fresh):
    for name in ("file", "camera-button"):
        fresh.keyboard.press("Tab")
        assert fresh.evaluate("document.activeElement.id") == name
    fresh.keyboard.press("Tab")
    fresh.keyboard.press("Enter")
    fresh.wait_for_selector(".bars li")
    assert fresh.get_by_label("Choose pictures").count() == 1
    assert fresh.get_by_role("status").inner_text() == fresh.locator(".bars .name").first.inner_text()
    assert all(fresh.locator(".sample").nth(index).get_attribute("aria-label") for index in range(8))


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_window(page, photo, repository, width):
    page.set_viewport_size({"width": width, "height": 800})
    choose(page, photo)
    page.screenshot(path=repository / "artifacts" / "screenshots" / f"web-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"no picture", "file.png is not a picture that this browser can read"),
        (b"\x89PNG\r\n\x1a\n\0\0", "file.png is not a picture that this browser can read"),
        (b"", "file.png is empty"),
    ],
)
def test_what_is_no_picture_is_said_so_and_the_next_one_works(page, photo, content, expected):
    choose(page, photo)
    page.set_input_files("#file", {"name": "file.png", "mimeType": "image/png", "buffer": content})
    assert expected in problem(page)
    choose(page, photo)
    assert page.is_hidden("#problem")


@pytest.mark.parametrize(
    ("scripts", "expected"),
    [(FORBIDDEN_CAMERA, "is not allowed"), (HIDDEN_CAMERA, "only to pages served over https")],
    ids=["forbidden", "hidden"],
)
def test_a_camera_that_is_not_given_is_said_so(page, photo, scripts, expected):
    taken, returned = scripts
    choose(page, photo)
    page.evaluate(taken)
    try:
        page.click("#camera-button")
        assert expected in problem(page)
        assert page.inner_text("#camera-button") == "Use the camera"
    finally:
        page.evaluate(returned)


def test_opened_as_a_file_it_says_how_to_serve_it(bare, site):
    bare.goto(f"file://{site}/demo/page/index.html")
    assert "python -m http.server --bind 127.0.0.1" in problem(bare)


def test_a_browser_without_webassembly_is_told(bare, address):
    bare.add_init_script("delete globalThis.WebAssembly")
    bare.goto(address)
    assert "no WebAssembly" in problem(bare)


def test_a_model_that_is_missing_or_damaged_is_told(bare, address):
    bare.route("**/model_int8.onnx", lambda route: route.fulfill(status=404))
    bare.goto(address)
    assert "model_int8.onnx: the server answers 404" in problem(bare)
    bare.unroute("**/model_int8.onnx")
    bare.route("**/model_int8.onnx", lambda route: route.fulfill(body=b"no model"))
    bare.goto(address)
    assert "The page cannot be used" in problem(bare)


def test_a_browser_that_computes_otherwise_is_not_trusted(bare, address, site):
    told = json.loads((site / "demo" / "page" / "page.json").read_text())
    told["golden"]["probabilities"][2].reverse()
    bare.route("**/page.json", lambda route: route.fulfill(json=told))
    bare.goto(address)
    bare.wait_for_selector(READY)
    assert re.search("does not compute what was computed .* Do not trust it", bare.inner_text("#golden"))


def test_uncertain_answers_are_called_so(bare, address, site, photo):
    told = json.loads((site / "demo" / "page" / "page.json").read_text())
    told["spec"]["confidence_threshold"] = 1.0
    bare.route("**/page.json", lambda route: route.fulfill(json=told))
    bare.goto(address)
    bare.wait_for_selector(READY)
    choose(bare, photo)
    assert bare.inner_text("#verdict").startswith("Not sure, perhaps ")


def test_a_folder_that_is_not_the_package_is_refused(reference, tmp_path):
    done = web(reference, "--out", tmp_path / "out", "--onnxruntime-web", tmp_path)
    assert done.returncode == 2
    assert f"not the npm package {PACKAGE}" in done.stderr
    (tmp_path / "package.json").write_text('{"name": "other", "version": "1"}')
    assert "is the npm package other" in web(reference, "--onnxruntime-web", tmp_path).stderr
    assert not (tmp_path / "out").exists()


def test_without_npm_it_says_what_to_do(reference, tmp_path):
    done = web(reference, "--out", tmp_path / "out", PATH="", EDGECNN_DATA=str(tmp_path))
    assert done.returncode == 2
    assert "npm, which downloads it, is not installed. Put" in done.stderr
    assert "or give --onnxruntime-web DIR" in done.stderr


def test_a_package_of_another_digest_is_refused(reference, tmp_path):
    (tmp_path / TARBALL).write_bytes(b"altered")
    done = web(reference, "--out", tmp_path / "out", EDGECNN_DATA=str(tmp_path))
    assert done.returncode == 2
    assert f"{TARBALL}: its digest is sha512-" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_without_the_model_is_refused(tmp_path, site):
    package = tmp_path / "package"
    (package / "dist").mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"name": PACKAGE, "version": "0"}))
    for name, file in (("js", "ort.wasm.bundle.min.mjs"), ("wasm", "ort-wasm-simd-threaded.wasm")):
        shutil.copy(site / "demo" / "page" / f"{PACKAGE}.{name}", package / "dist" / file)
    done = web(tmp_path, "--onnxruntime-web", package)
    assert done.returncode == 2
    assert "model_int8.onnx: No such file" in done.stderr


def test_files_are_served_by_name_and_no_others():
    with serving({"page.html": b"a page"}) as address:
        with urllib.request.urlopen(f"{address}page.html") as answer:  # noqa: S310 - our own server
            assert (answer.status, answer.read()) == (200, b"a page")
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}other.html")  # noqa: S310
