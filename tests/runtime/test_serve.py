"""``serve``: the application alone, the server with many and slow clients, and the command as a process."""

import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from PIL import Image

from runtime.camera.inbox import Inbox
from runtime.errors import OutputError
from runtime.events.detector import Event
from runtime.events.session import ClassifiedFrame
from runtime.prediction import Prediction
from runtime.serve import live as live_module
from runtime.serve.app import App
from runtime.serve.live import Live
from runtime.serve.server import LOOPBACK, Server, check_token

TOKEN = "0123456789abcdef"  # noqa: S105 - of these tests
TOP = (("ship", 0.75), ("<b>frog", 0.25))


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def live(clock):
    return Live(Inbox(every_frame=False), "model.onnx", clock)


def see(live, content=b"\xff\xd8 frame"):
    live.on_frame(ClassifiedFrame("1", content, Prediction("ship", 0.75, TOP), is_repeated=False))


def get(app, path, method="GET", **headers):
    """Status, headers and body of a request."""
    path, _, query = path.partition("?")
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "HTTP_HOST": "localhost:8080"}
    environ["SERVER_PORT"] = "8080"
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    got = []
    body = b"".join(app(environ, lambda status, headers: got.append((status, dict(headers)))))
    return int(got[0][0][:3]), got[0][1], body


def test_the_state_says_what_is_seen_and_what_has_happened(live, clock):
    app = App(live, None, LOOPBACK)
    see(live)
    clock.now += 0.5
    see(live)
    live.on_event(Event("begins", "ship", 1.0, 0.8))
    status, _, body = get(app, "/api/state")
    state = json.loads(body)
    assert status == 200
    assert state["top"] == [{"label": label, "probability": share} for label, share in TOP]
    assert (state["on"]["label"], state["classified"], state["frame"], state["status"]) == ("ship", 2, 2, "ok")
    assert [(event["number"], event["event"]) for event in state["events"]] == [(1, "begins")]
    live.on_event(Event("ends", "ship", 1.0, 0.8))
    assert json.loads(get(app, "/api/state")[2])["on"] is None


def test_only_the_last_events_are_kept(live):
    for _ in range(live_module.EVENTS + 7):
        live.on_event(Event("begins", "ship", 1.0, 0.8))
    assert [event["number"] for event in live.state()["events"]] == list(range(8, live_module.EVENTS + 8))


def test_health_is_late_when_no_frame_comes_and_needs_no_token(live, clock):
    app = App(live, TOKEN, None)
    assert get(app, "/health")[0] == 200
    assert json.loads(get(app, "/health")[2])["status"] == "starting"
    clock.now += 11
    assert get(app, "/health")[0] == 503
    see(live)
    assert json.loads(get(app, "/health")[2]) == {"status": "ok", "seconds_since_frame": 0}
    clock.now += 11
    assert (get(app, "/health")[0], json.loads(get(app, "/health")[2])["status"]) == (503, "late")


def test_a_picture_is_sent_once(live):
    app = App(live, None, LOOPBACK)
    assert get(app, "/frame.jpg")[0] == 503
    see(live)
    status, headers, body = get(app, "/frame.jpg")
    assert (status, headers["Content-Type"], body) == (200, "image/jpeg", b"\xff\xd8 frame")
    assert get(app, "/frame.jpg", if_none_match=headers["ETag"])[::2] == (304, b"")
    assert get(app, "/frame.jpg", "HEAD")[::2] == (200, b"")
    see(live, bytes(live_module.MAX_FRAME_BYTES + 1))
    assert get(app, "/frame.jpg")[2] == b"\xff\xd8 frame"


PATHS = ["/", "/page.js", "/api/state", "/frame.jpg", "/nothing"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"cookie": "edgecnn_token_8080=wrong"},
        {"cookie": ";;=\x01"},
        {"host": "x"},
    ],
)
def test_without_the_token_there_is_nothing(path, headers, live):
    see(live)
    app = App(live, TOKEN, None)
    assert get(app, path, **headers)[0] == 401
    assert get(app, f"{path}?token=wrong", **headers)[0] == 401


OURS = f"edgecnn_token_8080={TOKEN}"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"bearer {TOKEN}"},
        {"cookie": f"a=b; {OURS}"},
        {"cookie": f'a={{"x": 1}}; b; {OURS}'},
        {"cookie": f"edgecnn_token_8081=of-another-program; {OURS};"},
    ],
)
def test_with_the_token_there_is_all(headers, live):
    see(live)
    app = App(live, TOKEN, None)
    assert [get(app, path, **headers)[0] for path in PATHS] == [200, 200, 200, 200, 404]


def test_the_page_takes_the_token_once_and_keeps_it_in_a_cookie(live):
    status, headers, _ = get(App(live, TOKEN, None), f"/?token={TOKEN}")
    assert (status, headers["Location"]) == (303, "/")
    assert headers["Set-Cookie"].startswith(f"{OURS}; HttpOnly; SameSite=Strict")


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("LOCALHOST:8080", 200), ("127.0.0.1:1", 200), ("[::1]:8080", 200), ("evil.com:8080", 403)],
)
def test_a_name_of_the_internet_reaches_nothing_here(host, status, live):
    assert get(App(live, None, LOOPBACK), "/api/state", host=host)[0] == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(method, live):
    assert get(App(live, None, LOOPBACK), "/", method)[0] == 405


@pytest.mark.parametrize("path", ["/../live.py", "/page/index.html", "//etc/passwd", "/%2e%2e/x", ""])
def test_no_other_file_is_given(path, live):
    assert get(App(live, None, LOOPBACK), path)[0] == 404


@pytest.mark.parametrize(
    ("host", "token", "told"),
    [
        ("0.0.0.0", None, "without a token"),  # noqa: S104 - refused
        ("::", None, "without a token"),
        ("localhost", "short", "16 or more"),
        ("localhost", "with spaces and ;;;;", "letters, digits"),
    ],
)
def test_a_camera_is_not_shown_to_a_network_without_a_token(host, token, told):
    with pytest.raises(OutputError, match=told):
        check_token(host, token)


def test_tokens_that_will_do():
    check_token("127.0.0.1", None)
    check_token("0.0.0.0", TOKEN)  # noqa: S104 - a check alone


@pytest.fixture
def server(live):
    pytest.importorskip("waitress")
    server = Server(App(live, None, LOOPBACK), "127.0.0.1", 0)
    yield server
    server.close()


def test_fifty_clients_that_do_not_read_hold_up_nobody(server, live):
    large = bytes(live_module.MAX_FRAME_BYTES)
    see(live, large)
    slow = []
    for _ in range(50):
        client = socket.create_connection(("127.0.0.1", server.port))
        client.sendall(b"GET /frame.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        slow.append(client)
    longest, stop = [0.0], threading.Event()

    def loop():
        while not stop.is_set():
            start = time.monotonic()
            see(live, large)
            longest[0] = max(longest[0], time.monotonic() - start)
            time.sleep(0.005)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        for _ in range(20):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request("GET", "/api/state")
            assert connection.getresponse().status == 200
            connection.close()
    finally:
        stop.set()
        thread.join()
        for client in slow:
            client.close()
    assert longest[0] < 2  # thousandths of a second on an idle machine


def test_clients_that_send_many_requests_and_do_not_read_hold_up_nobody(server, live):
    see(live, bytes(live_module.MAX_FRAME_BYTES))
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(8)]
    try:
        for client in clients:
            client.sendall(b"GET /frame.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n" * 40)
        for _ in range(40):  # some while the answers are made, some once they wait
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200
            connection.close()
    finally:
        for client in clients:
            client.close()


def test_a_server_closes_though_its_threads_wake_its_loop_at_the_same_time(server, monkeypatch):
    def write(descriptor, content):
        os.write(descriptor, content)  # of a thread that has just answered
        deadline = time.monotonic() + 60
        while not refused(server.port):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return os.write(descriptor, content)

    monkeypatch.setattr("waitress.trigger.os", SimpleNamespace(write=write, close=os.close))
    server.close()
    assert refused(server.port)


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_idle_clients_are_let_go_though_the_clock_is_set_back(live, monkeypatch):
    pytest.importorskip("waitress")
    monkeypatch.setattr("runtime.serve.server.IDLE_S", 0)
    monkeypatch.setattr("runtime.serve.server.CLEANUP_S", 0.1)
    server, now = Server(App(live, None, LOOPBACK), "127.0.0.1", 0), time.time
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as first:
            assert first.recv(1) == b""
        monkeypatch.setattr(time, "time", lambda: now() - 1e6)
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as second:
            assert second.recv(1) == b""
    finally:
        server.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 50_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: evil.com\r\n\r\n", 403),
    ],
)
def test_what_is_too_large_is_refused(request_, status, server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(request_)
        assert client.recv(100).split()[1] == str(status).encode()


def test_a_port_that_is_taken_is_said(server, live):
    for host, port in (("127.0.0.1", server.port), ("no.such.host.invalid", 0)):
        with pytest.raises(OutputError, match="choose another --host or --port"):
            Server(App(live, None, LOOPBACK), host, port)


def serve(reference, *arguments, **options):
    command = [sys.executable, "-m", "runtime", "serve", str(reference / "model_int8.onnx"), *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **(pipes | options))


def test_the_command_serves_what_it_classifies_until_a_signal_comes(reference, images):
    pytest.importorskip("waitress")
    pixels, labels = images
    frame = io.BytesIO()
    Image.fromarray(pixels[labels.index("ship")]).resize((320, 320)).save(frame, "JPEG")
    with serve(reference, "--port", "0", "--min-seconds", "0", "--no-drop") as process:
        port = int(re.fullmatch(rb"serve: http://localhost:(\d+)/\n", process.stderr.readline())[1])
        for _ in range(6):
            process.stdin.write(frame.getvalue())
            process.stdin.flush()
            time.sleep(0.1)
        assert b"ship begins" in process.stdout.readline()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/api/state")
        state = json.loads(connection.getresponse().read())
        assert (state["on"]["label"], state["top"][0]["label"]) == ("ship", "ship")
        connection.request("GET", "/frame.jpg")
        assert connection.getresponse().read() == frame.getvalue()
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert b"ship ends" in process.stdout.read()
        process.stdin.close()


def test_the_command_refuses_to_show_a_camera_to_everybody(reference):
    environment = {name: value for name, value in os.environ.items() if name != "EDGECNN_TOKEN"}
    with serve(reference, "--host", "0.0.0.0", env=environment) as process:  # noqa: S104 - refused
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.startswith(b"error: --host 0.0.0.0 without a token")
    assert len(errors.splitlines()) == 1


def test_a_missing_package_is_said(reference):
    command = (
        "import sys; sys.modules['waitress'] = None; from runtime.cli import main; "
        "sys.exit(main(['serve', sys.argv[1], '--port', '0']))"
    )
    line = [sys.executable, "-c", command, str(reference / "model_int8.onnx")]
    done = subprocess.run(line, input=b"", capture_output=True, check=False, timeout=60)
    assert done.returncode == 2
    assert b"error: serve needs waitress, which is not installed: pip install waitress" in done.stderr
