"""The page of ``serve`` in a real browser, at the widths of a desktop and of a phone."""

import io

import numpy as np
import pytest
from PIL import Image

from runtime.camera.inbox import Inbox
from runtime.events.detector import Event
from runtime.events.session import ClassifiedFrame
from runtime.prediction import Prediction
from runtime.serve.app import App
from runtime.serve.live import Live
from runtime.serve.server import LOOPBACK, Server

HOSTILE = "<img src=x onerror=alert(1)>" + "long" * 30


@pytest.fixture
def live():
    live = Live(Inbox(every_frame=False), "model.onnx")
    frame = io.BytesIO()
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(frame, "JPEG")
    top = (("ship", 0.75), (HOSTILE, 0.25))
    live.on_frame(ClassifiedFrame("1", frame.getvalue(), Prediction("ship", 0.75, top), is_repeated=False))
    live.on_event(Event("begins", "ship", 1.0, 0.75))
    live.on_event(Event("ends", "ship", 1.0, 0.75, 2.5))
    live.on_event(Event("begins", HOSTILE, 1.0, 0.5))
    return live


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_shows_picture_classes_and_events(width, live, chromium):
    server = Server(App(live, None, LOOPBACK), "127.0.0.1", 0)
    page = chromium.new_page(viewport={"width": width, "height": 800})
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    try:
        page.goto(f"http://localhost:{server.port}/")
        page.wait_for_selector("#picture:not([hidden])")
        assert page.locator("#picture").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
        assert page.inner_text("#on") == HOSTILE
        assert page.locator("#bars li").count() == 2
        events = page.locator("#events li").all_inner_texts()
        assert [HOSTILE in event for event in events] == [True, False, False]
        assert "ship ends after 2.5 s" in events[1]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert "frames a second" in page.inner_text("#status")
        server.close()
        page.wait_for_selector("#status.bad")
        assert not [text for text in said if "Failed to load resource" not in text]
    finally:
        page.close()
        server.close()
