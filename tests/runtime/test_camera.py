"""Cameras: a stub program for rpicam-vid and ffmpeg, and a local HTTP server."""

import base64
import io
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from runtime.camera.connect import Camera, open_camera
from runtime.camera.http import HttpConnection
from runtime.camera.inbox import Inbox
from runtime.camera.program import ProgramConnection, commands
from runtime.errors import CameraError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes that can be waited for")


class Never:
    """Replaces ``Stop``: no signal arrives."""

    number = 0

    def __init__(self):
        self._ends = os.pipe()

    def fileno(self):
        return self._ends[0]

    def within(self, seconds):
        time.sleep(min(seconds, 0.01))
        return False


@pytest.fixture
def stop():
    return Never()


@pytest.fixture(scope="module")
def frame():
    stream = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def program(tmp_path, monkeypatch, frame):
    """A function: put a program of this name first in the search path; it is a Python script."""
    (tmp_path / "frame").write_bytes(frame)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def write(name, code):
        head = f"#!{sys.executable} -S\nimport os, sys, time\nframe = open({str(tmp_path / 'frame')!r}, 'rb').read()\n"
        path = tmp_path / name
        path.write_text(f"{head}out = sys.stdout.buffer\nopen({str(tmp_path / 'runs')!r}, 'a').write('x')\n{code}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write


def read(camera, count):
    """The first frames of a camera, through an inbox."""
    inbox = Inbox(every_frame=True, tick_s=60)
    inbox.start(camera, time.monotonic())
    frames = []
    for frame in inbox:
        assert frame is not None, "no frame within 60 s"
        frames.append(frame.content)
        if len(frames) == count:
            camera.close()
            inbox.end()
            break
    return frames, inbox


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("rpicam", "rpicam-vid is not installed: sudo apt install rpicam-apps"),
        ("0", "ffmpeg, which reads USB cameras, is not installed"),
        ("front door", "no such kind of camera: 'front door'"),
        ("rtsp://x", "no such kind of camera"),
        ("http://", "not an address"),
        ("http://x:y/", "not an address"),
        ("http://x/a b", "not an address"),
        ("http://cam..local/mjpeg", "not an address"),
        ("http://cam era/", "not an address"),
        ("http://cam\x7fera/", "not an address"),
        (f"http://{'x' * 64}/", "not an address"),
    ],
)
def test_what_is_missing_is_said(name, told, stop, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CameraError, match=told):
        open_camera(name, stop)


def test_commands_by_name(program):
    program("libcamera-vid", "")
    program("ffmpeg", "")
    assert commands("rpicam")[0][:5] == ["libcamera-vid", "-n", "-t", "0", "--codec"]
    program("rpicam-vid", "")
    assert commands("rpicam")[0][0] == "rpicam-vid"
    assert ["/dev/video3" in command for command in commands("3")] == [True, True]
    assert commands("/dev/video3") == commands("3")


def test_a_program_that_ends_is_started_again_and_its_last_words_are_told_once(program, stop, frame, tmp_path):
    path = program("camera", "out.write(frame * 2); out.flush(); sys.exit('unplugged\\nno such device')")
    said = []
    camera = Camera([lambda: ProgramConnection([str(path)], stop)], stop, said.append, first_wait_s=0.01)
    frames, _ = read(camera, 7)
    assert frames == [frame] * 7
    assert len((tmp_path / "runs").read_text()) >= 4
    assert "has ended: no such device" in said[0]
    assert set(said[1::2]) == {"camera: it is back"}


def test_another_way_is_tried_when_one_gives_nothing(program, stop, frame):
    bad = program("bad", "sys.exit('no JPEG here')")
    good = program("good", "out.write(frame * 3); out.flush(); time.sleep(60)")
    said = []
    ways = [lambda path=path: ProgramConnection([str(path)], stop) for path in (bad, good)]
    assert read(Camera(ways, stop, said.append), 3)[0] == [frame] * 3
    assert said == []


class Fake:
    """A connection that gives these chunks and ends."""

    def __init__(self, *given):
        self.given = given

    def chunks(self):
        yield from self.given

    def close(self):
        pass


def test_a_camera_that_has_worked_is_waited_for_while_it_cannot_be_opened(stop, frame):
    tries, said = iter([Fake(frame), None, None, Fake(frame[:100]), Fake(), Fake(frame, frame)]), []

    def unplugged_and_back():
        connection = next(tries)
        if connection is None:
            raise CameraError("no such device")
        return connection

    frames, inbox = read(Camera([unplugged_and_back], stop, said.append, first_wait_s=0.01), 3)
    assert frames == [frame] * 3
    assert (inbox.error, inbox.broken) == (None, 1)  # half a frame does not go on in the next connection
    reasons = [text.partition(";")[0] for text in said]
    assert reasons[:3] == ["camera: it has ended", "camera: no such device", "camera: it is back"]
    assert "camera: it is back" in reasons[3:]


def test_a_camera_that_never_works_is_an_error(program, stop):
    path = program("bad", "sys.exit('no camera found')")
    camera = Camera([lambda: ProgramConnection([str(path)], stop)], stop, print)
    frames, inbox = read(camera, 1)
    assert frames == []
    assert "has ended: no camera found" in str(inbox.error)


def test_a_silent_program_is_ended_even_if_it_will_not(program, stop):
    path = program(
        "deaf", "import signal; signal.signal(15, signal.SIG_IGN); out.write(frame); out.flush(); time.sleep(99)"
    )
    connection = ProgramConnection([str(path)], stop, silent_s=1.0)
    with pytest.raises(CameraError, match="has given nothing for 1 s"):
        list(connection.chunks())
    connection.close()
    assert connection._process.returncode == -signal.SIGKILL  # noqa: SLF001 - how it ended


def test_a_program_that_only_complains_is_silent(program, stop):
    path = program("loud", "end = time.time() + 20\nwhile time.time() < end: sys.stderr.write('x'); time.sleep(.05)")
    connection, start = ProgramConnection([str(path)], stop, silent_s=1.0), time.monotonic()
    with pytest.raises(CameraError, match="has given nothing for 1 s"):
        list(connection.chunks())
    connection.close()
    assert time.monotonic() - start < 15


def test_an_unforeseen_error_ends_the_inbox():
    class Broken:
        def connections(self):
            raise RuntimeError

    inbox = Inbox(every_frame=False, tick_s=0.01)
    with pytest.raises(RuntimeError):
        inbox.read(Broken(), 0.0)
    assert list(inbox) == []


def test_much_on_its_stderr_stops_nothing(program, stop, frame):
    path = program("loud", "sys.stderr.write('x' * 300_000); out.write(frame); out.flush(); time.sleep(99)")
    assert read(Camera([lambda: ProgramConnection([str(path)], stop)], stop), 1)[0] == [frame]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stream_ends_its_camera(number, program, reference, tmp_path):
    program(
        "rpicam-vid",
        "open(sys.argv[0] + '.pid', 'w').write(str(os.getpid()))\n"
        "while 1: out.write(frame); out.flush(); time.sleep(.05)",
    )
    command = [sys.executable, "-m", "runtime", "stream", str(reference / "model_int8.onnx"), "--camera", "rpicam"]
    with subprocess.Popen([*command, "--frames"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["frame"] == 1
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 0)
    assert errors.startswith(b"camera: runs rpicam-vid -n -t 0 --codec mjpeg -o -\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "rpicam-vid.pid").read_text()), 0)


def test_stream_says_that_there_is_no_camera(program, reference):
    program("rpicam-vid", "sys.exit('*** no cameras available ***')")
    command = [sys.executable, "-m", "runtime", "stream", str(reference / "model_int8.onnx"), "--camera", "rpicam"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: rpicam-vid has ended: *** no cameras available ***"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.server.credentials and self.headers.get("Authorization") != self.server.credentials:
            self.send_error(401)
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        page, stream = "Text/HTML; charset=utf-8", "multipart/x-mixed-replace; boundary=next"
        if self.path != "/untyped":
            self.send_header("Content-Type", page if self.path == "/page" else stream)
        self.end_headers()
        for _ in range(2):
            self.wfile.write(b"--next\r\nContent-Type: image/jpeg\r\n\r\n" + self.server.frame + b"\r\n")
        self.wfile.flush()
        if self.path == "/silent":
            time.sleep(5)


@pytest.fixture
def server(frame):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        server.asked, server.credentials, server.frame = [], None, frame
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def url(server, path="/mjpeg?size=1", user=""):
    return f"http://{user}127.0.0.1:{server.server_port}{path}"


def http_camera(address, stop, said):
    place = HttpConnection.address_of(address)
    return Camera([lambda: HttpConnection(place, 1.0)], stop, said.append, first_wait_s=0.01)


def test_an_address_is_read_and_opened_again_when_it_ends(server, stop, frame):
    said = []
    frames, _ = read(http_camera(url(server), stop, said), 7)
    assert frames == [frame] * 7
    assert len(server.asked) >= 4
    assert server.asked[0] == ("/mjpeg?size=1", None)
    assert said[0].endswith("/mjpeg has ended the stream; trying again")


@pytest.mark.parametrize("where", ["address", "environment"])
def test_user_and_password(where, server, stop, frame, monkeypatch):
    server.credentials = "Basic " + base64.b64encode(b"me:pa:ss/word").decode()
    monkeypatch.setenv("EDGECNN_CAMERA_PASSWORD", "pa:ss/word")
    user = "me:pa:ss%2Fword@" if where == "address" else "me@"
    said = []
    assert read(http_camera(url(server, user=user), stop, said), 3)[0] == [frame] * 3
    assert not any("pa:ss" in text or "pa%3Ass" in text or "me" in text.split() for text in said)


@pytest.mark.parametrize(("path", "told"), [("/", "asks for a user and a password"), ("/missing", "has no such page")])
def test_a_refusal_is_an_error_at_first(path, told, server, stop):
    server.credentials = None if path == "/missing" else "Basic x"
    frames, inbox = read(http_camera(url(server, path, "me:secret@"), stop, []), 1)
    assert frames == []
    assert told in str(inbox.error)
    assert "secret" not in str(inbox.error)


def test_a_page_is_no_camera(server, stop):
    frames, inbox = read(http_camera(url(server, "/page"), stop, []), 1)
    assert frames == []
    assert str(inbox.error).endswith("/page answers with text/html, expected MJPEG: give the address of the stream")


def test_a_camera_may_say_nothing_of_its_type(server, stop, frame):
    assert read(http_camera(url(server, "/untyped"), stop, []), 1)[0] == [frame]


def test_a_camera_that_says_nothing_more_is_opened_anew(server, stop, frame):
    said = []
    assert read(http_camera(url(server, "/silent"), stop, said), 3)[0] == [frame] * 3
    assert "/silent has given nothing for 1 s" in said[0]


def test_nobody_there_is_an_error(server, stop):
    address = url(server)
    server.shutdown()
    server.server_close()
    assert "cannot be read: Connection refused" in str(read(http_camera(address, stop, []), 1)[1].error)
