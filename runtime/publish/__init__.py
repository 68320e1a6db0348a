"""Where events go: lines, commands, an MQTT broker. One file each; what is not asked for is not imported."""
