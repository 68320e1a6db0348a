"""``label``: the order of frames, where they go, and the page."""

import http.client
import json

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.label import Queue, serving
from pipeline.label.queue import Frame, ordered


@pytest.fixture
def kept(tmp_path):
    """A function: a frame as the device keeps it."""
    folder = tmp_path / "kept"
    folder.mkdir()

    def keep(number, reason, *top):
        path = folder / f"{number:08}-20261127T140211Z-{reason}.jpg"
        Image.fromarray(np.full((32, 32, 3), number, np.uint8)).save(path)
        answer = {"reason": reason, "top": [{"label": label, "probability": share} for label, share in top]}
        path.with_suffix(".json").write_text(json.dumps(answer))
        return path.name

    keep.folder = folder
    return keep


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_worth_most_comes_first_and_what_repeats_comes_last(tmp_path):
    def frame(number, reason, *top):
        return Frame(tmp_path / f"{number:08}-x-{reason}.jpg", reason, top)

    sure = frame(10, "changed", ("a", 0.9), ("b", 0.1))
    near = frame(20, "unsure", ("a", 0.5), ("b", 0.49))
    again = frame(21, "unsure", ("a", 0.5), ("b", 0.5))
    far = frame(30, "unsure", ("a", 0.55), ("b", 0.4))
    unknown = frame(40, "unknown", ("b", 0.99), ("a", 0.01))
    bare = Frame(tmp_path / "photo.jpg")
    by_chance = frame(50, "random", ("a", 1.0))
    frames = [bare, by_chance, sure, again, near, far, unknown]
    assert ordered(frames) == [unknown, near, far, sure, by_chance, bare, again]


def test_a_frame_moves_into_its_class_folder_and_back(kept, tmp_path):
    first, second = kept(1, "unsure", ("ship", 0.5), ("cat", 0.4)), kept(9, "random", ("ship", 1.0))
    before = names(kept.folder)
    queue = Queue(kept.folder, tmp_path / "photos")
    assert queue.state()["name"] == first
    assert queue.classes() == ["cat", "ship"]
    queue.label(first, "dog")
    queue.discard(second)
    assert queue.current is None
    assert names(tmp_path / "photos") == [f"dog/{first}"]
    assert names(kept.folder) == [f"discarded/{second}"]
    queue.undo()
    queue.undo()
    queue.undo()
    assert (names(tmp_path / "photos"), names(kept.folder)) == ([], before)
    assert queue.state()["name"] == first


def test_nothing_is_written_over_and_a_divided_folder_gets_training_photos(kept, tmp_path):
    name = kept(1, "unsure")
    (tmp_path / "photos" / "train" / "Ship").mkdir(parents=True)
    (tmp_path / "photos" / "train" / "Ship" / name).write_text("here before")
    Queue(kept.folder, tmp_path / "photos").label(name, "ship")
    assert (tmp_path / "photos" / "train" / "Ship" / name).read_text() == "here before"
    assert (tmp_path / "photos" / "train" / "Ship" / name.replace("unsure", "unsure-2")).is_file()


@pytest.mark.parametrize(
    ("folders", "target"),
    [(["car", "train", "bus"], "."), (["train"], "train"), (["Train", "VAL"], "Train"), (["car", "bus"], ".")],
)
def test_a_class_may_be_called_train(folders, target, kept, tmp_path):
    name = kept(1, "unsure")
    for folder in folders:
        (tmp_path / "photos" / folder).mkdir(parents=True)
    queue = Queue(kept.folder, tmp_path / "photos")
    queue.label(name, "ship")
    assert (tmp_path / "photos" / target / "ship" / name).is_file()


@pytest.mark.parametrize(
    "label", ["", " a", "..", ".hidden", "a/b", "../up", "a\\b", "x" * 101, "a\nb", "c:d", "\u202ea"]
)
def test_what_cannot_name_a_folder_is_refused(label, kept, tmp_path):
    name = kept(1, "unsure")
    with pytest.raises(DataError, match="the class"):
        Queue(kept.folder, tmp_path / "photos").label(name, label)
    assert not (tmp_path / "photos").exists()


def test_another_frame_than_that_at_hand_is_refused(kept, tmp_path):
    kept(1, "unsure")
    other = kept(9, "random")
    with pytest.raises(DataError, match="not the current frame"):
        Queue(kept.folder, tmp_path / "photos").label(other, "ship")


def test_a_frame_that_is_gone_holds_up_no_other(kept, tmp_path):
    first, second = kept(1, "unsure", ("ship", 0.5), ("cat", 0.4)), kept(9, "random", ("ship", 1.0))
    queue = Queue(kept.folder, tmp_path / "photos")
    (kept.folder / first).unlink()
    with pytest.raises(DataError, match="no longer there"):
        queue.label(first, "ship")
    queue.label(second, "ship")
    assert names(tmp_path / "photos") == [f"ship/{second}"]


def test_a_frame_that_cannot_be_deleted_is_not_copied(kept, tmp_path, monkeypatch):
    first, target = kept(1, "unsure", ("ship", 0.5), ("cat", 0.4)), tmp_path / "photos"
    unlink = type(target).unlink

    def refuse(path, missing_ok=False):  # noqa: FBT002 - the signature of unlink
        if path.parent == kept.folder:
            raise PermissionError(path)
        unlink(path, missing_ok)

    monkeypatch.setattr(type(target), "unlink", refuse)
    with pytest.raises(PermissionError):
        Queue(kept.folder, target).label(first, "ship")
    assert names(target) == []


def test_a_port_that_is_taken_is_said(kept, tmp_path):
    kept(1, "unsure", ("ship", 0.5), ("cat", 0.4))
    queue = Queue(kept.folder, tmp_path / "photos")
    with serving(queue, 0) as address:
        port = int(address.rpartition(":")[2].strip("/"))
        with pytest.raises(DataError, match=f"port {port} is taken"), serving(queue, port):
            pass


def test_a_frame_that_cannot_be_moved_stays(kept, tmp_path):
    name = kept(1, "unsure")
    before = names(kept.folder)
    queue = Queue(kept.folder, tmp_path / "photos")
    (tmp_path / "photos").write_text("a file")
    with pytest.raises(OSError, match="photos"):
        queue.label(name, "ship")
    assert names(kept.folder) == before
    assert queue.state()["left"] == 1


@pytest.mark.parametrize("content", ["", "[]", "{", '{"top": 1}', '{"top": [{}], "reason": "x"}', "[" * 10_000])
def test_a_damaged_prediction_counts_as_missing(content, kept, tmp_path):
    name = kept(1, "unsure")
    (kept.folder / name).with_suffix(".json").write_text(content)
    assert Queue(kept.folder, tmp_path).current == Frame(kept.folder / name)


def test_an_empty_folder_gives_a_message(kept, tmp_path):
    for folder in (kept.folder, tmp_path / "absent"):
        with pytest.raises(DataError, match="--keep"):
            Queue(folder, tmp_path)


def test_other_sites_can_do_nothing(kept, tmp_path):
    name = kept(1, "unsure")
    (tmp_path / "secret").write_text("")
    body, header = json.dumps({"name": name, "label": "ship"}), {"X-Edgecnn": "label"}
    requests = [
        ("POST", "/label", body, {}, 403),
        ("POST", "/label", body, header | {"Host": "evil.com:80"}, 403),
        ("GET", "/state", None, {"Host": "evil.com"}, 403),
        ("POST", "/label", "x" * 10_001, header, 403),
        ("POST", "/label", "[]", header, 400),
        ("POST", "/nothing", "{}", header, 400),
        ("POST", "/label", json.dumps({"name": name, "label": "a/b"}), header, 409),
        ("GET", "/picture/..%2Fsecret", None, {}, 404),
        ("GET", "/queue.py", None, {}, 404),
        ("GET", f"/picture/{name}", None, {}, 200),
        ("POST", "/label", body, header, 200),
    ]
    with serving(Queue(kept.folder, tmp_path / "photos"), 0) as address:
        port = int(address.rpartition(":")[2].strip("/"))
        for method, path, content, headers, status in requests:
            connection = http.client.HTTPConnection("localhost", port, timeout=60)
            connection.request(method, path, content, headers)
            assert (path, connection.getresponse().status) == (path, status)
            connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 360])
def test_labels_come_from_the_keyboard(width, kept, tmp_path, chromium):
    hostile = "<img src=x onerror=alert(1)>"
    for number in (1, 11, 21, 31):
        kept(number, "unsure", (hostile, 0.5 + number / 1000), ("ship", 0.4))
    page = chromium.new_page(viewport={"width": width, "height": 800})
    said = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    try:
        with serving(Queue(kept.folder, tmp_path / "photos"), 0) as address:
            page.goto(address)
            page.wait_for_selector("#progress:has-text('4 left')")
            for key, left in [("2", 3), ("n", 2), ("u", 3), ("d", 2)]:
                page.keyboard.press(key)
                page.wait_for_selector(f"#progress:has-text('{left} left')")
            page.keyboard.press("1")
            page.wait_for_selector("#error:has-text('cannot name a folder')")
            page.fill("#name", "dog 2")
            page.keyboard.press("Enter")
            page.wait_for_selector("#progress:has-text('1 left')")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        page.close()
    folders = [name.partition("/")[0] for name in names(tmp_path / "photos")]
    assert folders == ["dog 2", "ship"]
    assert said == []
