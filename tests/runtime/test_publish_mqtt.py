"""``--mqtt`` with a real broker, if mosquitto is installed."""

import argparse
import gc
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from runtime.commands.event_options import listeners_of
from runtime.errors import OutputError, PackageMissingError
from runtime.events import Event
from runtime.publish.mqtt import MAX_QUEUED, Broker, MqttPublisher

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")


OPENSSL = shutil.which("openssl")


BEGINS, ENDS = Event("begins", "ship", 1.0, 0.75), Event("ends", "ship", 3.5, 0.9, 2.5)


HOSTS = ["mqtt://a..b/x", "mqtt://a b/x", "mqtt://a\x7fb/x"]


@pytest.mark.parametrize(
    "url", ["broker", "http://x", "mqtt://", "mqtt://x:y", "mqtt://x/a/+/b", "mqtt://x/%00", *HOSTS]
)
def test_what_is_no_address_of_a_broker_is_said(url):
    with pytest.raises(OutputError, match="--mqtt: "):
        Broker.of(url)


def test_addresses_of_brokers(monkeypatch):
    monkeypatch.setenv("EDGECNN_MQTT_PASSWORD", "of the environment")
    assert Broker.of("mqtts://me@x/a/b") == Broker("x", 8883, True, "a/b", "me", "of the environment")  # noqa: FBT003
    broker = Broker.of("mqtt://me:p%40ss@x:99")
    assert (broker.port, broker.password, broker.prefix) == (99, "p@ss", f"edgecnn/{socket.gethostname()}")
    assert "p@ss" not in repr(broker)


def test_devices_of_other_scripts_are_told_apart(monkeypatch):
    monkeypatch.setattr("runtime.publish.mqtt._client", lambda *_: mock.MagicMock())
    nodes = [
        MqttPublisher(Broker.of(f"mqtt://x/{prefix}"), ("a",), "m")._node  # noqa: SLF001 - part of its topics
        for prefix in ("edgecnn/door", "\u95e8", "\u7a97", "t\u00fcr")
    ]
    assert nodes == ["edgecnn_door", "95e8", "7a97", "tfcr"]


def test_what_has_changed_is_retained_and_sent_again_to_a_broker_that_was_gone(monkeypatch):
    client = mock.MagicMock()
    client.is_connected.return_value = False
    monkeypatch.setattr("runtime.publish.mqtt._client", lambda *_: client)
    publisher = MqttPublisher(Broker.of("mqtt://x/door"), ("a",), "m")
    sent = mock.call("door/drift", '["since Tuesday darker"]', qos=0, retain=True)
    publisher.on_drift(["since Tuesday darker"])
    assert sent not in client.publish.mock_calls
    publisher._on_connect(client, None, None, mock.MagicMock(is_failure=False), None)  # noqa: SLF001 - as paho calls it
    assert client.publish.mock_calls.count(sent) == 1
    client.is_connected.return_value = True
    publisher.on_drift([])
    assert mock.call("door/drift", "[]", qos=0, retain=True) in client.publish.mock_calls


def test_an_old_package_is_said(monkeypatch):
    pytest.importorskip("paho.mqtt.client")
    monkeypatch.delattr("paho.mqtt.client.CallbackAPIVersion")
    with pytest.raises(PackageMissingError, match="paho-mqtt 2 or later"):
        MqttPublisher(Broker.of("mqtt://x"), ("a",), "m")


@pytest.mark.parametrize("mqtt", [None, "mqtt://x/a"])
def test_certificates_without_encryption_are_refused(mqtt):
    options = argparse.Namespace(exec=None, mqtt=mqtt, mqtt_ca=Path("ca.pem"), keep=None)
    with pytest.raises(OutputError, match="--mqtt-ca needs --mqtt mqtts://"):
        listeners_of(options, None)


class Mosquitto:
    """A broker with a user ``me`` and the password ``secret``, that can be ended and started again."""

    def __init__(self, folder, port=None, lines=()):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = port or free.getsockname()[1]
        self.config = folder / "mosquitto.conf"
        passwords = folder / "passwords"
        passwords.write_text("me:secret\n")
        passwords.chmod(0o600)
        subprocess.run([shutil.which("mosquitto_passwd"), "-U", passwords], check=True)
        settings = [f"listener {self.port} 127.0.0.1", f"password_file {passwords}", "user root", *lines]
        settings += ["persistence true", f"persistence_location {folder}/"]
        self.config.write_text("\n".join(settings) + "\n")
        self.start()

    def start(self):
        self.process = subprocess.Popen([MOSQUITTO, "-c", self.config], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("mosquitto does not start")

    def end(self):
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture
def broker(tmp_path):
    pytest.importorskip("paho.mqtt")
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    broker = Mosquitto(tmp_path)
    yield broker
    broker.end()


class Listening:
    """A client that records messages: topic, payload, whether it was retained."""

    def __init__(self, port, name=None):
        from paho.mqtt import client as paho

        self.heard = []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, clean_session=name is None)
        self.client.username_pw_set("me", "secret")
        self.client.on_message = lambda _c, _d, m: self.heard.append((m.topic, m.payload.decode(), m.retain))
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def wait_for(self, what):
        end = time.monotonic() + 60
        while not any(what(*message) for message in list(self.heard)):
            assert time.monotonic() < end, self.heard
            time.sleep(0.02)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def listening(broker):
    clients = []

    def listen(name=None):
        clients.append(Listening(broker.port, name))
        return clients[-1]

    yield listen
    for client in clients:
        client.close()


def url(broker, password="secret"):  # noqa: S107 - the test's own broker
    return f"mqtt://me:{password}@127.0.0.1:{broker.port}/edgecnn/door"


def is_state(label):
    return lambda topic, payload, _: topic == "edgecnn/door/state" and json.loads(payload)["label"] == label


def is_availability(word):
    return lambda topic, payload, _: (topic, payload) == ("edgecnn/door/availability", word)


def test_the_broker_gets_events_state_and_what_home_assistant_wants(broker, listening):
    said = []
    publisher = MqttPublisher(Broker.of(url(broker)), ("none", "ship"), "model.onnx", say=said.append)
    live = listening()
    live.wait_for(is_availability("online"))
    publisher.on_event(BEGINS)
    live.wait_for(is_state("ship"))
    live.wait_for(lambda topic, payload, _: topic == "edgecnn/door/event" and json.loads(payload)["event"] == "begins")
    late = listening()
    late.wait_for(is_state("ship"))
    late.wait_for(is_availability("online"))
    assert all(is_retained for *_, is_retained in late.heard)
    topics = {topic: payload for topic, payload, _ in late.heard}
    assert "edgecnn/door/event" not in topics
    config = json.loads(topics["homeassistant/sensor/edgecnn_door/class/config"])
    assert config["state_topic"] in topics
    assert config["availability_topic"] in topics
    assert config["options"] == ["none", "ship"]
    assert (
        config["unique_id"] != json.loads(topics["homeassistant/sensor/edgecnn_door/probability/config"])["unique_id"]
    )
    publisher.on_event(ENDS)
    publisher.close()
    live.wait_for(is_availability("offline"))
    assert is_state(None)(*[message for message in live.heard if message[0] == "edgecnn/door/state"][-1])
    assert said == []


def test_a_broker_that_goes_and_comes_back_has_the_last_state_and_every_event(broker, listening):
    said = []
    publisher = MqttPublisher(Broker.of(url(broker)), ("ship",), "model.onnx", say=said.append)
    keeping = listening("whose session the broker keeps")
    keeping.wait_for(is_availability("online"))
    keeping.close()
    broker.end()
    end = time.monotonic() + 60
    while not said:
        assert time.monotonic() < end
        time.sleep(0.02)

    def events():
        return [json.loads(payload)["event"] for topic, payload, _ in again.heard if topic == "edgecnn/door/event"]

    for _ in range(3):
        publisher.on_event(BEGINS)
        publisher.on_event(ENDS)
    publisher.on_event(BEGINS)
    broker.start()
    again = listening("whose session the broker keeps")
    again.wait_for(is_state("ship"))
    again.wait_for(is_availability("online"))
    again.wait_for(lambda *_: len(events()) >= 7)
    publisher.close()
    assert events() == ["begins", "ends"] * 3 + ["begins"]
    assert said == [f"mqtt: 127.0.0.1:{broker.port} has gone; trying again", "mqtt: it is back"]


def test_a_full_queue_loses_no_state(broker, listening):
    broker.end()
    publisher = MqttPublisher(Broker.of(url(broker)), ("ship",), "model.onnx", say=lambda _: None)
    for _ in range(MAX_QUEUED + 10):
        publisher.on_event(BEGINS)
    broker.start()
    live = listening()
    live.wait_for(is_availability("online"))
    live.wait_for(is_state("ship"))
    live.wait_for(lambda topic, *_: topic == "homeassistant/sensor/edgecnn_door/class/config")
    publisher.close()
    live.wait_for(is_availability("offline"))


def test_a_device_that_vanishes_is_offline(broker, listening):
    live = listening()
    code = (
        "import sys, time, os; from runtime.publish.mqtt import *; "
        "p = MqttPublisher(Broker.of(sys.argv[1]), ('ship',), 'm'); time.sleep(99)"
    )
    with subprocess.Popen([sys.executable, "-c", code, url(broker)]) as process:
        live.wait_for(is_availability("online"))
        process.kill()
        live.wait_for(is_availability("offline"))


def test_a_wrong_password_is_one_line_and_the_end_is_soon(broker):
    said = []
    publisher = MqttPublisher(Broker.of(url(broker, "wrong")), ("ship",), "model.onnx", say=said.append)
    end = time.monotonic() + 60
    while not said:
        assert time.monotonic() < end
        time.sleep(0.02)
    publisher.on_event(BEGINS)
    time.sleep(1.5)
    start = time.monotonic()
    publisher.close()
    assert time.monotonic() - start < 10
    assert len(said) == 1
    assert "refuses: Not authorized" in said[0]
    assert "wrong" not in said[0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(MOSQUITTO is None or OPENSSL is None, reason="needs mosquitto and openssl")
def test_a_broker_with_tls_is_trusted_by_its_certificate_alone(tmp_path):
    pytest.importorskip("paho.mqtt")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([OPENSSL, *request, "-keyout", key, "-out", certificate, *names], check=True, capture_output=True)
    broker, said, publishers = Mosquitto(tmp_path, lines=[f"certfile {certificate}", f"keyfile {key}"]), [], []
    try:
        address = url(broker).replace("mqtt:", "mqtts:")
        for ca_file in (certificate, None):
            publishers += [MqttPublisher(Broker.of(address), ("ship",), "m", ca_file, said.append)]
        end = time.monotonic() + 60
        while not (said and publishers[0]._client.is_connected()):  # noqa: SLF001 - no other sign
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        for publisher in publishers:
            publisher.close()
        broker.end()
        gc.collect()  # paho leaves the socket of a failed handshake open
    assert len(said) == 1
    assert "certificate verify failed" in said[0]
    with pytest.raises(OutputError, match="not certificates"):
        MqttPublisher(Broker.of(address), ("ship",), "m", tmp_path / "mosquitto.conf")


def test_no_broker_at_all_is_one_line():
    pytest.importorskip("paho.mqtt")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = []
    publisher = MqttPublisher(Broker.of(f"mqtt://127.0.0.1:{port}"), ("ship",), "model.onnx", say=said.append)
    end = time.monotonic() + 60
    while not said:
        assert time.monotonic() < end
        time.sleep(0.02)
    publisher.close()
    assert "cannot be reached" in said[0]
