import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from called import call
from runtime import Classifier
from runtime.camera.inbox import Inbox
from runtime.camera.pipe import Pipe
from runtime.image.mjpeg import split

FFMPEG = shutil.which("ffmpeg")


def jpeg(image, **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def frames(images):
    """Twelve frames: baseline, progressive, with restart markers, with a thumbnail in the header."""
    large = [np.kron(image, np.ones((4, 4, 1), np.uint8)) for image in images[0][:12]]
    options = [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"exif": b"Exif\0\0" + jpeg(images[0][0])}]
    return [jpeg(image, quality=90, **options[index % 4]) for index, image in enumerate(large)]


# A false start before a frame is itself a frame that was cut off after two bytes.
BETWEEN = [
    b"",
    b"\r\n--boundary\r\nContent-Type: image/jpeg\r\nContent-Length: 1234\r\n\r\n",
    b"\xff\xd8",
    b"\xff\xff\x00\xd8",
]


@pytest.mark.parametrize("between", BETWEEN, ids=["nothing", "multipart", "a false start", "noise"])
@pytest.mark.parametrize("size", [1, 2, 3, 700, 1 << 20])
def test_frames_are_found_whatever_stands_between_and_however_it_comes(frames, between, size):
    stream = between + between.join(frames) + between
    chunks = (stream[start : start + size] for start in range(0, len(stream), size))
    assert [frame for frame in split(chunks) if frame is not None] == frames


def test_a_frame_cut_in_its_picture_costs_itself_alone(frames):
    for cut in (frames[0], frames[2]):
        for length in range(cut.index(b"\xff\xda") + 1, len(cut), 7):
            assert list(split([frames[3] + cut[:length] + frames[1] + frames[2]])) == [frames[3], None, *frames[1:3]]


def test_a_frame_cut_in_its_header_costs_the_next_at_most(frames):
    next_lost = 0
    for length in range(2, 1700):
        found = list(split([frames[0] + frames[3][:length] + frames[1] + frames[2]]))
        assert found[0] == frames[0]
        assert found[-1] == frames[2]
        next_lost += found[-2] != frames[1]
    assert next_lost <= 0.03 * 1700  # only where the cut lines up with the next header by chance


def test_a_stream_that_ends_within_a_frame_says_so(frames):
    assert list(split([frames[0] + frames[1][:-1]])) == [frames[0], None]
    assert list(split([frames[0][:20]])) == [None]
    assert list(split([b"", b"\xff", b"\xd8"])) == []


def test_a_frame_without_end_does_not_fill_the_memory(frames, monkeypatch):
    monkeypatch.setattr("runtime.image.mjpeg.MAX_FRAME_BYTES", 100_000)
    endless = frames[0][:-2] + b"x" * 1_000_000
    chunks = [endless[start : start + 1000] for start in range(0, len(endless), 1000)]
    assert list(split([*chunks, frames[1]])) == [None, frames[1]]


MIB = 1 << 20
START = b"\xff\xd8"
SCAN = START + b"\xff\xda\0\x02"
STUCK = {
    "zeros": bytes(8 * MIB),
    "noise": np.random.default_rng(0).bytes(8 * MIB),
    "0xff alone": b"\xff" * 8 * MIB,
    "a start and 0xff": START + b"\xff" * 8 * MIB,
    "a segment and 0xff": START + b"\xff\xe0\0\x02" + b"\xff" * 8 * MIB,
    "empty comments": START + b"\xff\xfe\0\x02" * 2 * MIB,
    "empty tables": START + b"\xff\xdb\0\x02" * 2 * MIB,
    "starts": START * 4 * MIB,
    "starts with 0xff": (START + b"\xff" * 62) * (MIB // 8),
    "starts with a comment": (START + b"\xff\xfe\0\x40" + bytes(58)) * (MIB // 8),
    "starts with segments that reach far": (START + b"\xff\xe1\xff\xff") * (MIB // 4),
    "empty frames": (START + b"\xff\xdb\0\x02\xff\xd9") * (MIB // 8),
    "a scan without end": SCAN + b"x" * 8 * MIB,
    "a scan of stuffed bytes": SCAN + b"\xff\0" * 4 * MIB,
    "a scan of restart markers": SCAN + b"\xff\xd0" * 4 * MIB,
    "a scan of 0xff": SCAN + b"\xff" * 8 * MIB,
    "many scans": START + SCAN[2:] * (8 * MIB // 6),
}
"""What a stuck camera or line sends; before it was read in one pass, some of it would have taken hours."""


@pytest.mark.parametrize("kind", STUCK)
def test_good_frames_behind_a_stuck_line_come_through_soon(kind, frames):
    stream = STUCK[kind] + b"".join(frames * 3)  # a segment that is cut off may take 64 KiB of them with it
    chunks = (stream[start : start + 65_536] for start in range(0, len(stream), 65_536))
    start = time.process_time()
    found = [frame for frame in split(chunks) if frame is not None]
    assert found[-len(frames) :] == frames
    assert time.process_time() - start < 20  # one to five seconds at most; the square of the length took minutes


@pytest.mark.parametrize("kind", STUCK)
def test_a_stuck_line_gives_the_same_in_small_chunks(kind, frames):
    stream = STUCK[kind][:20_000] + b"".join(frames[:4])
    whole = list(split([stream]))
    for size in (1, 5, 1000):
        assert list(split(stream[start : start + size] for start in range(0, len(stream), size))) == whole


def test_a_frame_is_given_as_soon_as_its_last_byte_has_come(frames):
    taken = []
    for frame in split(taken.append(len(chunk)) or chunk for chunk in [frames[0][:-1], frames[0][-1:], frames[1]]):
        assert frame == frames[len(taken) - 2]


def test_the_oldest_frames_are_dropped_and_counted(frames):
    inbox = Inbox(every_frame=False)
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as file:
        threading.Thread(target=lambda: (file.write(b"".join(frames)), file.close())).start()
        inbox.read(Pipe(reader), time.monotonic())  # nobody takes any meanwhile
    os.close(reader)
    assert [frame.number for frame in inbox] == [11, 12]
    assert (inbox.seen, inbox.dropped, inbox.broken) == (12, 10, 0)


def stream(model, content, *switches):
    done = call("stream", model, *switches, input=content, text=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def test_every_frame_gets_a_line(reference, frames):
    model = reference / "model_int8.onnx"
    broken = bytearray(frames[4])
    broken[broken.index(b"\xff\xc0") + 9] = 77  # a number of components that no decoder takes
    status, lines, summary = stream(model, b"".join([*frames[:4], bytes(broken), *frames[5:]]), "--every-frame")
    assert status == 0
    assert [line["frame"] for line in lines] == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    classifier = Classifier(model)
    for line in lines:
        assert line["label"] == classifier.classify(frames[line["frame"] - 1]).label
        assert set(line) == {"frame", "time", "label", "probability", "confident", "known", "dropped"}
    assert summary.startswith("12 frames in ")
    assert "11 classified" in summary
    assert "0 dropped, 1 broken" in summary


def test_no_frame_at_all_is_status_1(reference):
    status, lines, summary = stream(reference / "model_int8.onnx", b"no frames here")
    assert (status, lines) == (1, [])
    assert summary.startswith("0 frames")
    assert (
        "error: no JPEG frame in 14 bytes, which begin with the text 'no frames here'; expected JPEG frames" in summary
    )


def test_an_empty_stream_says_that_nothing_came(reference):
    status, _, summary = stream(reference / "model_int8.onnx", b"")
    assert status == 1
    assert "error: stdin was empty; expected JPEG frames" in summary


def test_frames_that_are_all_broken_say_why(reference, frames):
    status, _, summary = stream(reference / "model_int8.onnx", frames[0][:400])
    assert status == 1
    assert "error: no frame could be decoded, the last one: " in summary


@pytest.fixture
def started(reference):
    """A function: ``stream`` as a process that is ended after the test."""
    processes = []

    def start(*switches, **options):
        command = [sys.executable, "-m", "runtime", "stream", str(reference / "model_int8.onnx"), *switches]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, **(pipes | options)))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


HEARD_S = 30
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 0)]


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_a_signal_ends_the_wait_for_a_frame_with_the_summary(number, status, started, frames):
    process = started("--frames")
    process.stdin.write(frames[0] + frames[1][:100])
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["frame"] == 1
    process.send_signal(number)
    assert process.wait(HEARD_S) == status
    assert process.stderr.read().startswith(b"1 frame in ")


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_a_signal_ends_a_stream_that_never_ends(number, status, started, frames, tmp_path):
    (tmp_path / "film").write_bytes(b"".join(frames) * 1000)
    with (tmp_path / "film").open("rb") as film, (tmp_path / "lines").open("wb") as lines:
        process = started("--every-frame", stdin=film, stdout=lines)
        while not (tmp_path / "lines").stat().st_size:
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(HEARD_S) == status
    assert 0 < int(re.search(rb"(\d+) classified", process.stderr.read())[1]) < 12_000


@pytest.mark.skipif(os.name != "posix", reason="pipes that do not block")
def test_a_stdin_that_does_not_block_is_waited_for(started, frames):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    process = started("--frames", stdin=reader)
    for frame in frames[:3]:
        for part in (frame[:100], frame[100:]):
            os.write(writer, part)
            time.sleep(0.1)
        assert json.loads(process.stdout.readline())["dropped"] == 0
    assert not os.get_blocking(reader)  # it is the other programs' too
    os.close(writer)
    os.close(reader)
    assert process.wait(HEARD_S) == 0
    assert process.stderr.read().startswith(b"3 frames")


def test_good_frames_behind_a_stuck_line_get_their_lines_at_once(started, frames):
    process = started("--every-frame")
    process.stdin.write(frames[0])
    process.stdin.flush()
    process.stdout.readline()
    start = time.monotonic()
    process.stdin.write(STUCK["a start and 0xff"] + STUCK["empty comments"] + frames[1])  # and stays open
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"{")
    assert time.monotonic() - start < 30  # about half a second; minutes before


@pytest.mark.skipif(FFMPEG is None, reason="ffmpeg is not installed")
def test_frames_of_ffmpeg(reference):
    source = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=10:duration=3"]
    for output in (["-f", "image2pipe", "-c:v", "mjpeg"], ["-f", "mpjpeg"]):
        film = subprocess.run([*source, *output, "-"], capture_output=True, check=True).stdout
        status, lines, summary = stream(reference / "model_int8.onnx", film, "--every-frame")
        assert status == 0
        assert [line["frame"] for line in lines] == list(range(1, 31))
        assert "0 dropped, 0 broken" in summary
