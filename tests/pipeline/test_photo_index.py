"""The index of decoded photos: what goes in comes out, and it is never in memory whole."""

import json
import tracemalloc

import numpy as np

from pipeline.data import photo_index
from pipeline.data.photo_index import DIGEST_BYTES, Store
from pipeline.data.scan import PhotoFile


def files(count):
    return [PhotoFile(f"cat/{number}.jpg", "", "cat", number, 10**18 + number) for number in range(count)]


def store(count):
    return Store(np.zeros((count, 1, 1, 3), np.uint8), np.random.default_rng(0).bytes(count * DIGEST_BYTES))


def read(path, into, known):
    with path.open("rb") as lines:
        index, entries = photo_index.read(lines)
        return index, photo_index.take(into, index, entries, known)


def test_what_is_written_is_read(tmp_path):
    known, written = files(4), store(3)
    written.rows = {"cat/0.jpg": 2, "cat/1.jpg": 0, "cat/3.jpg": 1}
    written.failures = {"cat/2.jpg": "no image"}
    photo_index.write(tmp_path / "index", {"squares": "x"}, known, written)
    again = store(3)
    changed = PhotoFile("cat/3.jpg", "", "cat", 3, 5)
    for _ in range(2):  # as it is written, and as other JSON
        index, damaged = read(tmp_path / "index", again, [*known[:3], changed])
        assert (index["squares"], damaged) == ("x", 0)
        assert (again.rows, again.failures) == ({"cat/0.jpg": 2, "cat/1.jpg": 0}, {"cat/2.jpg": "no image"})
        whole = json.loads((tmp_path / "index").read_text())
        assert len(whole["rows"]) == 3
        (tmp_path / "index").write_text(json.dumps(whole, indent=2))
        again = store(3)


def test_an_index_may_be_empty(tmp_path):
    photo_index.write(tmp_path / "index", {}, [], store(0))
    assert read(tmp_path / "index", store(0), files(2))[1] == 0
    assert json.loads((tmp_path / "index").read_text()) == {"failures": {}, "rows": {}}


def test_neither_reading_nor_writing_holds_all_of_it(tmp_path):
    count = 5_000
    known, written = files(count), store(count)
    written.rows = {file.path: row for row, file in enumerate(known)}
    again = store(count)
    tracemalloc.start()
    try:
        photo_index.write(tmp_path / "index", {}, known, written)
        assert tracemalloc.get_traced_memory()[1] < 100_000
        read(tmp_path / "index", again, known)
        held = tracemalloc.get_traced_memory()[1] / count
    finally:
        tracemalloc.stop()
    assert again.rows == written.rows
    assert held < 300  # two tables of paths and a number a photo; a line of the index alone is 130
