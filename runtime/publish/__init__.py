"""Listeners that publish events: lines on stdout, commands, MQTT. Each module is imported only if it is used."""
