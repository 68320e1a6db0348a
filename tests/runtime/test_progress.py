"""The progress messages of a long measurement on stderr."""

import io
import os
import sys

import pytest

from runtime.benchmark import progress
from runtime.benchmark.progress import Countdown, show_progress


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def fileno(self):
        return 2


def test_on_a_terminal_one_line_is_rewritten_and_gone_in_the_end(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((20, 24)))
    with show_progress() as say:
        say("round 1 of 30, about 90 s left")
        say("round 2")
    assert sys.stderr.getvalue() == f"\rround 1 of 30, abou\r{'round 2':<19}\r{'':<19}\r"


def test_elsewhere_plain_lines_come_now_and_then(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with show_progress() as say:
        for now in (1.0, 10.0, 11.0, 19.0, 21.0):
            say(f"at {now:.0f}")
    assert sys.stderr.getvalue() == "at 10\nat 21\n"


def test_without_stderr_nothing_is_said(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with show_progress() as say:
        say("round 1")


@pytest.mark.parametrize(
    ("seconds", "done", "left"),
    [(0, 0, ""), (10, 10, ", about 30 s left"), (100, 10, ", about 5 min left"), (40, 40, ", about 0 s left")],
)
def test_time_left_is_what_it_would_be_at_this_pace(monkeypatch, seconds, done, left):
    monkeypatch.setattr(progress.time, "monotonic", lambda: 5.0)
    countdown = Countdown(40)
    monkeypatch.setattr(progress.time, "monotonic", lambda: 5.0 + seconds)
    assert countdown.left(done) == left
