"""Look into the archive of a bundle."""

import json
import tarfile


def unpack(archive, folder):
    """The folder that an archive unpacks to."""
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def described(archive):
    """Its ``bundle.json``."""
    with tarfile.open(archive) as content:
        return json.load(content.extractfile(f"{archive.name.removesuffix('.tar.gz')}/bundle.json"))
