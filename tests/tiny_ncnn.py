"""An .ncnn file written by hand: the channels' means, times a matrix (4, 3), softmax."""

import zipfile

import numpy as np

from runtime import ModelSpec
from runtime.engines.checksum import add_checksum
from runtime.engines.ncnn import PARAM_FILE, WEIGHTS_FILE
from runtime.spec import SPEC_FILE

GRAPH = """\
7767517
4 4
Input    in0  0 1 in0 0=8 1=8 2=3
Pooling  mean 1 1 in0 1 0=1 4=1
InnerProduct dense 1 1 1 2 0=4 1=0 2=12
Softmax  soft 1 1 2 out0 0=0 1=1
"""


def write(path, weights, **changes):
    """Write it with a checksum to ``path``; ``changes`` replace the members spec, param and bin, ``None`` drops one."""
    members = {
        "spec": (SPEC_FILE, ModelSpec(8, ("a", "b", "c", "d")).to_json()),
        "param": (PARAM_FILE, GRAPH),
        "bin": (WEIGHTS_FILE, bytes(4) + np.asarray(weights, np.float32).tobytes()),  # four zeros: floats follow
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, (name, content) in members.items():
            if changes.get(member, content) is not None:
                archive.writestr(name, changes.get(member, content))
    path.write_bytes(add_checksum(path.read_bytes()))
    return path
