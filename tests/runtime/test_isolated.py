"""Images decoded in child processes: same pixels, bounded memory and time, and no process that is left behind."""

import io
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from fuzz.crafted_webp import many_codes
from fuzz.pictures import png
from fuzz.seeds import pillow_has
from runtime import Classifier, ImageDecodeError, ImageFileNotFoundError, ImageMemoryError, ModelSpec
from runtime.errors import DecodingStoppedError
from runtime.image import decoding_child
from runtime.image.isolated import IsolatedDecoder
from runtime.image.load import load_pixels

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
SPEC = ModelSpec(32, ("a", "b"))
SLOW = b"P2\n4000 4000\n255\n" + b"1 " * 16_000_000
"""Pillow takes seconds for it, in Python."""


def encoded(image_format, size=(700, 500), **options):
    stream = io.BytesIO()
    quarter = (size[0] // 4, size[1] // 4)  # computing each pixel takes a second
    picture = Image.effect_mandelbrot(quarter, (-2, -1.5, 1, 1.5), 100).resize(size).convert("RGB")
    picture.save(stream, image_format, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def heavy():
    """Images that are not decoded in this process."""
    pictures = {
        "WebP": encoded("WEBP", (1200, 1000), lossless=True),
        "TIFF": encoded("TIFF", compression="jpeg"),
        "PPM": b"P2\n40 30\n255\n" + b"77 " * 1200,
    }
    if pillow_has("avif"):
        pictures["AVIF"] = encoded("AVIF", (2600, 2200), speed=10)
    return pictures


@pytest.fixture
def decoder():
    decoder = IsolatedDecoder()
    yield decoder
    decoder.close()
    assert children() == []


def children(of=None):
    """Process ids of the decoding children."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if b"decoding_process" in (place / "cmdline").read_bytes() and (of is None or parent == of):
                found.append((int(place.name), parent))
        except OSError:
            continue
    return [number for number, parent in found if of is not None or parent == os.getpid()]


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def processor_s(process):
    """CPU time that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_busy(process):
    """Wait until a decoding child has computed for a while."""
    start = processor_s(process)
    wait_until(lambda: processor_s(process) > start + 0.3)


def once_busy(process, act, *arguments):
    """Call ``act`` in a thread when a decoding child has computed for a while; return the list of the call's time."""
    times = []

    def wait():
        wait_until_busy(process)
        times.append(time.monotonic())
        act(*arguments)

    threading.Thread(target=wait).start()
    return times


def test_the_pixels_are_those_of_this_process(decoder, heavy, tmp_path):
    for name, content in heavy.items():
        path = tmp_path / name
        path.write_bytes(content)
        expected = load_pixels(content, SPEC)
        for source in (content, path, str(path), io.BytesIO(content)):
            pixels = decoder(source, SPEC)
            assert (pixels == expected).all(), name
            assert pixels.flags.writeable
    assert len(children()) == 1  # the same for all


def test_small_images_whose_headers_tell_all_need_no_child(decoder):
    for image_format, options in (
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("GIF", {}),
    ):
        decoder(encoded(image_format, **options), SPEC)
    assert children() == []


def test_another_model_may_use_the_same_child(decoder, heavy):
    for side in (32, 8, 64):
        assert decoder(heavy["PPM"], ModelSpec(side, ("a", "b"))).shape == (side, side, 3)


def test_errors_are_those_of_this_process(decoder, heavy, tmp_path):
    with pytest.raises(ImageFileNotFoundError, match="nowhere"):
        decoder(tmp_path / "nowhere.jpg", SPEC)
    cut = tmp_path / "cut.webp"
    cut.write_bytes(heavy["WebP"][:-1000])
    with pytest.raises(ImageDecodeError, match=f"^{cut}: not an image that can be decoded whole") as caught:
        decoder(cut, SPEC)
    assert str(caught.value).count(str(cut)) == 1
    decoder(heavy["PPM"], SPEC)


def test_an_image_that_takes_too_long_is_an_error_and_the_next_one_is_decoded(heavy):
    decoder = IsolatedDecoder(deadline_s=1)
    with pytest.raises(ImageDecodeError, match="longer to decode than 1 s"):
        decoder(SLOW, SPEC)
    IsolatedDecoder.__init__(decoder)
    decoder(heavy["PPM"], SPEC)
    decoder.close()


def test_an_image_that_takes_more_memory_than_its_header_says_is_an_error(decoder, heavy):
    with pytest.raises((ImageDecodeError, ImageMemoryError)):
        decoder(many_codes(), SPEC)
    decoder(heavy["WebP"], SPEC)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_child_that_dies_is_an_error_of_one_image(decoder, heavy, number):
    decoder(heavy["PPM"], SPEC)
    process = children()[0]
    once_busy(process, os.kill, process, number)
    with pytest.raises(ImageMemoryError if number == signal.SIGKILL else ImageDecodeError):
        decoder(SLOW, SPEC)
    decoder(heavy["PPM"], SPEC)
    os.kill(children()[0], number)  # idle
    wait_until(lambda: not children())
    decoder(heavy["PPM"], SPEC)


def test_a_request_to_stop_is_heard_while_an_image_is_decoded(heavy):
    reading, writing = os.pipe()
    decoder = IsolatedDecoder(stop_fd=reading)
    decoder(heavy["PPM"], SPEC)
    times = once_busy(children()[0], os.write, writing, b".")
    with pytest.raises(DecodingStoppedError):
        decoder(SLOW, SPEC)
    assert time.monotonic() - times[0] < decoding_child.STOPPING_S + 4
    decoder.close()


def test_another_thread_can_interrupt_it(decoder, heavy):
    decoder(heavy["PPM"], SPEC)
    once_busy(children()[0], decoder.interrupt)
    with pytest.raises(DecodingStoppedError):
        decoder(SLOW, SPEC)
    decoder(heavy["PPM"], SPEC)


def test_several_threads_have_a_child_each(decoder, heavy, reference):
    with Classifier(reference / "model_int8.onnx", decoder=decoder) as classifier:
        answers = list(classifier.classify_many([*heavy.values()] * 5, workers=3))
        assert len(children()) <= 3
        alone = [classifier.classify(content).label for content in heavy.values()]
    assert [answer.label for answer in answers] == alone * 5


def test_nobody_waits_for_images_whose_answers_nobody_wants(decoder, reference):
    classifier = Classifier(reference / "model_int8.onnx", decoder=decoder)
    answers = classifier.classify_many([encoded("PNG"), SLOW, SLOW], workers=2, batch_size=1)
    next(answers)
    start = time.monotonic()
    answers.close()
    assert time.monotonic() - start < 5


def test_a_classifier_that_isolates_can_be_pickled(reference, heavy):
    classifier = pickle.loads(pickle.dumps(Classifier(reference / "model_int8.onnx", decoder=IsolatedDecoder())))  # noqa: S301
    assert classifier.classify(heavy["TIFF"]).label
    classifier.decoder.close()


def test_a_child_whose_parent_is_gone_already_decodes_nothing():
    spec, path = SPEC.to_json().encode(), b"/nowhere"
    messages = b"".join(kind + len(text).to_bytes(4) + text for kind, text in ((b"s", spec), (b"p", path)))
    command = [sys.executable, "-m", "runtime.image.decoding_process", "5"]
    done = subprocess.run(command, input=messages, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_child_outlives_its_parent(tmp_path, reference, number):
    (tmp_path / "slow.pgm").write_bytes(SLOW)
    command = [sys.executable, "-m", "runtime", "classify", str(reference / "model_int8.onnx"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: children(process.pid))
        child = children(process.pid)[0]
        wait_until_busy(child)
        process.send_signal(number)
        assert process.wait(60) == -number
    wait_until(lambda: not Path(f"/proc/{child}").exists(), 5)


@pytest.mark.parametrize(("command", "number"), [("classify", signal.SIGINT), ("watch", signal.SIGTERM)])
def test_signals_are_heard_within_two_seconds(tmp_path, reference, command, number):
    for name in ("a.pgm", "b.pgm"):
        (tmp_path / name).write_bytes(SLOW)
    with subprocess.Popen(
        [sys.executable, "-m", "runtime", command, str(reference / "model_int8.onnx"), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        wait_until(lambda: children(process.pid))
        wait_until_busy(children(process.pid)[0])
        start = time.monotonic()
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert time.monotonic() - start < 5  # two on an idle machine
    assert process.returncode == (130 if command == "classify" else 0)
    assert (said, errors) == (b"", b"")


def memory_group(limit):
    """A new control group with this memory limit; ``None`` if this machine does not allow it."""
    for root, files in (
        ("/sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]),
        ("/sys/fs/cgroup", ["memory.max", "memory.swap.max"]),
    ):
        place = Path(root) / f"edgecnn-test-{os.getpid()}"
        try:
            if not any((Path(root) / name).exists() for name in ("memory.limit_in_bytes", "cgroup.subtree_control")):
                continue
            place.mkdir()
            for name in files:
                if (place / name).exists():
                    (place / name).write_text(str(limit if "swap.max" not in name else 0))
            if (place / files[0]).exists() and (place / files[0]).read_text().strip() == str(limit):
                return place
            place.rmdir()
        except OSError:
            continue
    return None


@pytest.mark.slow
@pytest.mark.parametrize(("mebibytes", "is_killed"), [(512, False), (160, True)])
def test_a_service_in_a_memory_group_gives_one_line_a_picture_and_lives_on(
    tmp_path, reference, images, mebibytes, is_killed
):
    group = memory_group(mebibytes << 20)
    if group is None:
        pytest.skip("this machine lets nobody make a control group of bounded memory")
    folder, out = tmp_path / "photos", tmp_path / "answers.jsonl"
    folder.mkdir()
    hostile = {"codes.webp": many_codes(), "large.png": png(8192, 8192, (8, 6)), "sixteen.webp": b"RIFF" + bytes(30)}
    Image.fromarray(images[0][0]).save(folder / "first.png")
    for name, content in hostile.items():
        (folder / name).write_bytes(content)
    command = [sys.executable, "-m", "runtime", "watch", str(reference / "model_int8.onnx"), str(folder)]
    try:
        with subprocess.Popen(
            ["/bin/sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh", *command, "--out", out]
        ) as process:

            def lines():
                text = out.read_text() if out.exists() else ""
                return {line["file"]: line for line in map(json.loads, text.splitlines())}

            wait_until(lambda: len(lines()) == 4 or process.poll() is not None, 100)
            Image.fromarray(images[0][1]).save(folder / "last.png")
            wait_until(lambda: len(lines()) == 5 or process.poll() is not None, 30)
            assert process.poll() is None  # the same process all along
            process.terminate()
            process.wait(20)
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()
    assert {name for name, line in lines().items() if "label" in line} == (
        {"first.png", "last.png"} if is_killed else {"first.png", "last.png", "large.png"}
    )
    if is_killed:
        assert "memory" in lines()["large.png"]["error"]
