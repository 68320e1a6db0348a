"""A page and a JSON API on the device for the camera at hand; needs waitress."""
