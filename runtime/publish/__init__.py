"""Where events go: lines, commands, an MQTT broker. One file each, imported only where it is asked for."""
