"""Print the messages at a broker on loopback, one per line, after a line ``ready``; runs on the board."""

from paho.mqtt import client as paho

client = paho.Client(paho.CallbackAPIVersion.VERSION2)
client.on_connect = lambda client, *_: client.subscribe("edgecnn/#", qos=1)
client.on_subscribe = lambda *_: print("ready", flush=True)
client.on_message = lambda _client, _data, message: print(message.topic, message.payload.decode(), flush=True)
client.connect("127.0.0.1")
client.loop_forever()
