"""An MQTT broker (Debian's mosquitto) that can be stopped and restarted, and a subscriber that loses no message."""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError

USER, PASSWORD = "me", "secret"
START_S = 30.0


class Broker:
    """A broker on a free port of the loopback interface.

    Raises:
        PipelineError: mosquitto is not installed, or does not start.
    """

    def __init__(self, folder: Path) -> None:
        program, passwd = shutil.which("mosquitto", path="/usr/sbin:/usr/bin"), shutil.which("mosquitto_passwd")
        if program is None or passwd is None:
            raise PipelineError("mosquitto is not installed: apt-get install mosquitto")
        folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._folder, self._program, self._passwd = folder, program, passwd
        lines = [f"listener {self.port} 127.0.0.1", f"password_file {folder}/passwords", "user root"]
        lines += ["persistence true", f"persistence_location {folder}/", "max_queued_messages 0"]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="ascii")
        self.start()

    def start(self, password: str = PASSWORD) -> None:
        """Start the broker with this password for the device; the subscriber has its own user and password."""
        passwords = self._folder / "passwords"
        passwords.write_text(f"{USER}:{password}\nlistener:{PASSWORD}\n", encoding="ascii")
        passwords.chmod(0o600)
        subprocess.run([self._passwd, "-U", str(passwords)], check=True)  # noqa: S603 - found by its name
        self._process = subprocess.Popen(  # noqa: S603 - found by its name
            [self._program, "-c", str(self._folder / "mosquitto.conf")], stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise PipelineError("mosquitto does not start")

    def stop(self) -> None:
        """Stop the broker; undelivered messages are kept on disk."""
        self._process.terminate()
        self._process.wait(START_S)


class Subscriber:
    """A recorder of all published messages in ``heard`` as (topic, payload); it reconnects after a restart."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as paho

        self.heard: list[tuple[str, str]] = []
        self._client: Any = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        self._client.username_pw_set("listener", PASSWORD)
        self._client.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, message.payload.decode())
        )
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        """End it."""
        self._client.disconnect()
        self._client.loop_stop()
