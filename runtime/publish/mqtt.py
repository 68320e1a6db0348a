"""``--mqtt``: publish state and events to an MQTT broker, with discovery messages for Home Assistant.

Topics below the prefix: ``state`` (retained JSON: the active labels), ``event`` (JSON, one message per event),
``drift`` (retained JSON, with ``--drift``), ``availability`` (retained, ``online`` or ``offline``; the broker itself
publishes ``offline`` if the device disappears).
"""

import json
import os
import re
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from runtime import __version__
from runtime.errors import OutputError, PackageMissingError
from runtime.events.detector import Event
from runtime.events.session import ClassifiedFrame
from runtime.publish.lines import PublishedEvent
from runtime.text import is_host, say

PASSWORD = "EDGECNN_MQTT_PASSWORD"  # noqa: S105 - the name of an environment variable
DISCOVERY = "homeassistant"
MAX_QUEUED = 1000
"""Most events that are queued while the broker cannot be reached."""
CONNECT_S, CLOSE_S = 3.0, 2.0
LONGEST_WAIT_S = 60
GONE = "has gone"


@dataclass(frozen=True)
class Broker:
    """Address of the broker, credentials, and the prefix of our topics."""

    host: str
    port: int
    is_secure: bool
    prefix: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> "Broker":
        """Parse ``mqtt://USER:PASSWORD@HOST:PORT/PREFIX``, or ``mqtts://…`` for TLS.

        Raises:
            OutputError: not a valid address.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise OutputError(f"--mqtt: not an address of a broker: {error}") from error
        prefix = unquote(parts.path).strip("/") or f"edgecnn/{socket.gethostname()}"
        if (
            parts.scheme not in {"mqtt", "mqtts"}
            or not host
            or not is_host(host)
            or re.search(r"[+#\x00-\x1f]", prefix)
        ):
            raise OutputError("--mqtt: expected an address such as mqtt://user:password@broker:1883/edgecnn/door")
        is_secure = parts.scheme == "mqtts"
        user = None if parts.username is None else unquote(parts.username)
        password = os.environ.get(PASSWORD) if parts.password is None else unquote(parts.password)
        return cls(host, port or (8883 if is_secure else 1883), is_secure, prefix, user, password)


class MqttPublisher:
    """A listener that publishes from a thread of its own; it reconnects to the broker and then publishes the state.

    Args:
        broker: the broker.
        class_names: the possible values of the state.
        model: name of the model, shown by Home Assistant.
        ca_file: CA certificates to trust instead of the system's.
        say: called with each new reason why publishing fails.

    Raises:
        PackageMissingError: paho-mqtt is not installed.
        OutputError: the certificates cannot be read.
    """

    def __init__(
        self,
        broker: Broker,
        class_names: Sequence[str],
        model: str,
        ca_file: Path | None = None,
        say: Callable[[str], None] = say,
    ) -> None:
        self._broker, self._say, self._said = broker, say, ""
        self._node = re.sub(r"[^A-Za-z0-9_-]", _node_letter, broker.prefix)
        self._configs = self._discovery(class_names, model)
        self._on: dict[str, float] = {}
        self._state: dict[str, Any] = {"label": None, "probability": None, "labels": [], "time": None}
        self._drift: list[str] | None = None
        client = self._client = _client(broker, ca_file)
        client.will_set(f"{broker.prefix}/availability", "offline", qos=1, retain=True)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_connect_fail = self._on_connect_fail
        client.max_queued_messages_set(MAX_QUEUED)
        client.reconnect_delay_set(1, LONGEST_WAIT_S)
        client.connect_timeout = CONNECT_S
        client.connect_async(broker.host, broker.port, keepalive=30)
        client.loop_start()

    def on_frame(self, frame: ClassifiedFrame) -> None:
        """Do nothing: frames are not published."""

    def on_event(self, event: Event) -> None:
        """Publish the event and the new state."""
        published = PublishedEvent.of(event)
        self._on.pop(event.label, None)
        if event.kind == "begins":
            self._on[event.label] = published.probability
        label, probability = next(reversed(self._on.items()), (None, None))  # the active label that began last
        self._state = {
            "label": label,
            "probability": probability,
            "labels": list(self._on),
            "time": published.time,
        }
        self._client.publish(f"{self._broker.prefix}/event", json.dumps(asdict(published)), qos=1)
        if self._client.is_connected():
            self._publish_state()

    def on_drift(self, sentences: Sequence[str]) -> None:
        """Publish the drift report."""
        self._drift = list(sentences)
        if self._client.is_connected():
            self._publish_state()

    def close(self) -> None:
        """Publish ``offline`` if the broker is connected, and disconnect."""
        self._client.on_disconnect = self._client.on_connect_fail = None
        if self._client.is_connected():
            sent = self._retain("availability", "offline")
            with suppress(
                RuntimeError, ValueError
            ):  # disconnected meanwhile; the broker then publishes "offline" itself
                sent.wait_for_publish(CLOSE_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _publish_state(self) -> None:
        self._retain("state", json.dumps(self._state))
        if self._drift is not None:
            self._retain("drift", json.dumps(self._drift))

    def _retain(self, name: str, payload: str) -> Any:
        # QoS 0: with QoS 1, a message that is sent again after a reconnection could overwrite a later one, and paho
        # refuses messages with QoS 1 while its queue is full of events.
        return self._client.publish(f"{self._broker.prefix}/{name}", payload, qos=0, retain=True)

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._tell(f"refuses: {reason}")
            return
        if self._said:
            self._say("mqtt: it is back")
            self._said = ""
        for topic, config in self._configs.items():
            client.publish(topic, json.dumps(config), qos=0, retain=True)
        self._retain("availability", "online")
        self._publish_state()

    def _on_connect_fail(self, _client: Any, _data: Any) -> None:
        error = sys.exc_info()[1]
        if self._said == GONE:
            return  # one line for one fault
        self._tell("cannot be reached" + (f": {error}" if error else ""))

    def _on_disconnect(self, *_: Any) -> None:
        if not self._said:
            self._tell(GONE)  # paho's reason is usually uninformative

    def _tell(self, what: str) -> None:
        if what != self._said:
            self._said = what
            self._say(f"mqtt: {self._broker.host}:{self._broker.port} {what}; trying again")

    def _discovery(self, class_names: Sequence[str], model: str) -> dict[str, dict[str, Any]]:
        """Make the discovery messages by topic: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery."""
        prefix, node = self._broker.prefix, self._node
        common: dict[str, Any] = {
            "state_topic": f"{prefix}/state",
            "availability_topic": f"{prefix}/availability",
            "device": {
                "identifiers": [node],
                "name": prefix.rpartition("/")[2],
                "manufacturer": "edgecnn",
                "model": model,
                "sw_version": __version__,
            },
            "origin": {"name": "edgecnn", "sw_version": __version__},
        }
        label: dict[str, Any] = {
            "name": "Class",
            "unique_id": f"{node}_class",
            "device_class": "enum",
            "options": ["none", *(name for name in class_names if name != "none")],
            "value_template": "{{ value_json.label or 'none' }}",
            "json_attributes_topic": f"{prefix}/state",
        }
        probability: dict[str, Any] = {
            "name": "Probability",
            "unique_id": f"{node}_probability",
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "value_template": "{{ (value_json.probability * 100) | round(1) if value_json.probability else 0 }}",
        }
        sensors = {"class": label, "probability": probability}
        return {f"{DISCOVERY}/sensor/{node}/{name}/config": common | sensor for name, sensor in sensors.items()}


def _node_letter(match: re.Match[str]) -> str:
    """Replace a character that Home Assistant does not accept in an identifier."""
    return "_" if match[0].isascii() else f"{ord(match[0]):x}"


def _client(broker: Broker, ca_file: Path | None) -> Any:
    try:
        from paho.mqtt import client as paho
    except ImportError as error:
        raise PackageMissingError("--mqtt needs paho-mqtt, which is not installed: pip install paho-mqtt") from error
    if not hasattr(paho, "CallbackAPIVersion"):
        raise PackageMissingError("--mqtt needs paho-mqtt 2 or later: pip install -U paho-mqtt")
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    if broker.is_secure:
        try:
            client.tls_set(ca_certs=None if ca_file is None else str(ca_file))
        except (OSError, ssl.SSLError) as error:
            raise OutputError(f"{ca_file}: not certificates that can be read ({error})") from error
    return client
