"""A web page and a JSON API on the device that show the camera and its predictions; needs waitress."""
