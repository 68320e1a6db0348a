"""The progress messages of a long measurement on stderr."""

import io
import os
import sys

import pytest

from runtime.benchmark.progress import show_progress, time_left


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
    ("seconds", "left"),
    [(None, ""), (0, ", about 0 s left"), (29.7, ", about 30 s left"), (300, ", about 5 min left")],
)
def test_the_time_left_is_said_in_seconds_or_minutes(seconds, left):
    assert time_left(seconds) == left
