"""``--exec``: a program that runs for each event."""

import io
import os
import subprocess
import sys
import time

import pytest
from PIL import Image

from runtime.errors import OutputError
from runtime.events import Event
from runtime.publish.execute import MAX_WAITING, Executor

BEGINS, ENDS = Event("begins", "ship", 1.0, 0.75), Event("ends", "ship", 3.5, 0.9, 2.5)


@pytest.fixture
def script(tmp_path):
    """A function: a command that runs some Python."""

    def write(code):
        (tmp_path / "script.py").write_text(f"import os, sys, time\n{code}\n")
        return f"'{sys.executable}' -S '{tmp_path / 'script.py'}' 'one word'"

    return write


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_a_program_gets_the_event_and_no_shell(script, tmp_path):
    out = tmp_path / "out"
    code = f"open({str(out)!r}, 'a').write(repr((sys.argv[1:], os.environ['EDGECNN_PROBABILITY'])) + '\\n')"
    said = []
    executor = Executor(script(code), say=said.append)
    for event in (Event("begins", "$(reboot); ship", 1.0, 0.75), ENDS):
        executor.on_event(event)
    executor.close()
    lines = [(["one word", "begins", "$(reboot); ship"], "0.75"), (["one word", "ends", "ship"], "0.9")]
    assert out.read_text().splitlines() == [repr(line) for line in lines]
    assert said == []


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_a_program_that_hangs_is_killed_with_its_children_and_the_next_runs(script, tmp_path, monkeypatch):
    monkeypatch.setattr("runtime.publish.execute.CLOSE_S", 60)
    code = (
        "if sys.argv[-2] == 'begins':\n    if not os.fork(): time.sleep(99)\n"
        f"    open({str(tmp_path / 'hung')!r}, 'w').close(); time.sleep(99)\n"
        f"open({str(tmp_path / 'ended')!r}, 'w').close(); sys.exit(3)"
    )
    said = []
    executor = Executor(script(code), limit_s=6.0, say=said.append)
    executor.on_event(BEGINS)
    executor.on_event(ENDS)
    executor.close()
    assert (tmp_path / "hung").exists()
    assert (tmp_path / "ended").exists()
    assert [text.rpartition(": ")[2] for text in said] == ["took more than 6 s", "exit status 3"]


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_events_that_come_too_fast_are_bounded_and_the_end_is_soon(script, monkeypatch):
    monkeypatch.setattr("runtime.publish.execute.CLOSE_S", 0.5)
    said = []
    executor = Executor(script("time.sleep(60)"), say=said.append)
    for _ in range(MAX_WAITING + 5):
        executor.on_event(BEGINS)
    start = time.monotonic()
    executor.close()
    assert time.monotonic() - start < 10
    counts = [int(text.rpartition(" ")[2]) for text in said if "too slow, events left out" in text]
    assert len(counts) == 2  # one at once, the others at the end
    assert 103 <= sum(counts) <= 105  # all but those that have run
    assert [text.rpartition(": ")[2] for text in said if "killed" in text] == ["killed, because edgecnn ends"]


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_all_events_that_were_left_out_are_counted_by_the_end(script, tmp_path):
    said = []
    code = f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(.02)\nos._exit(0)"
    executor = Executor(script(code), say=said.append)
    executor.on_event(BEGINS)
    while executor._waiting:  # noqa: SLF001 - until it runs
        time.sleep(0.01)
    for _ in range(MAX_WAITING + 5):
        executor.on_event(BEGINS)
    executor._waiting.clear()  # noqa: SLF001 - a hundred would take long
    (tmp_path / "go").touch()
    executor.close()
    assert [int(text.rpartition(" ")[2]) for text in said] == [1, 4]


@pytest.mark.parametrize(
    ("command", "told"), [("no-such-program x", "no program 'no-such-program'"), ("", "no program"), ("a 'b", "quote")]
)
def test_a_program_that_is_not_there_is_said_at_once(command, told):
    with pytest.raises(OutputError, match=told):
        Executor(command)


@pytest.fixture
def frame(images):
    frame = io.BytesIO()
    Image.fromarray(images[0][0]).save(frame, "JPEG")
    return frame.getvalue()


def test_what_has_begun_ends_for_a_program_even_if_nobody_reads_the_lines(reference, frame, tmp_path, script):
    options = ["--every-frame", "--votes", "1/1", "--min-seconds", "0"]
    options += ["--exec", script(f"open({str(tmp_path / 'out')!r}, 'a').write(sys.argv[2] + ' ')")]
    command = [sys.executable, "-m", "runtime", "stream", str(reference / "model_int8.onnx"), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(frame)
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(frame * 2)
        process.stdin.close()
        assert process.wait(60) == 0
    assert (tmp_path / "out").read_text() == "begins ends "


def test_stream_runs_a_program_at_its_events(reference, frame, tmp_path, script):
    code = f"open({str(tmp_path / 'out')!r}, 'a').write(sys.argv[2] + ' '); print('said by it')"
    options = ["--no-drop", "--votes", "1/1", "--min-seconds", "0", "--exec", script(code)]
    command = [sys.executable, "-m", "runtime", "stream", str(reference / "model_int8.onnx"), *options]
    done = subprocess.run(command, input=frame * 3, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
    assert (tmp_path / "out").read_text() == "begins ends "
    assert b"said by it" not in done.stdout
    assert done.stderr.count(b"said by it\n") == 2
