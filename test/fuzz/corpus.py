"""What fuzzing has found so far: all of it in a folder outside of the clone, the part that matters most in the tree.

The folder (CCGPU_CORPUS, else `corpus` in the cache folder) has one folder a target, which every run makes minimal again. The tree has
test/fuzz/kept/<target>.b64, one input a line in Base64: small inputs that reach code which no seed reaches, so that a fresh clone starts
from what earlier runs found, and the targets' libraries run them as tests (KeptInputs). `./run fuzz --keep` writes them.
"""
import base64
import os
import pathlib
import shutil

import cache

FOLDER = pathlib.Path(os.environ.get("CCGPU_CORPUS") or cache.FOLDER / "corpus")
KEPT = pathlib.Path(__file__).resolve().parent / "kept"
# What is larger is mostly somebody's evidence with a bit changed: that is what the seeds are for.
MOST_INPUT, MOST_FILE = 1024, 32 << 10


def kept(target):
    """The inputs of the tree, in the file's order."""
    path = KEPT / f"{target}.b64"
    return [base64.b64decode(line, validate=True) for line in path.read_text().split()] if path.exists() else []


def keep(target, inputs):
    """Writes the smallest of the inputs to the tree, as many as fit; the number of them."""
    lines, size = [], 0
    for data in sorted({data for data in inputs if 0 < len(data) <= MOST_INPUT}, key=lambda data: (len(data), data)):
        line = base64.b64encode(data).decode() + "\n"
        size += len(line)
        if size > MOST_FILE:
            break
        lines.append(line)
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"{target}.b64"
    if lines:
        path.write_text("".join(lines))
    else:
        path.unlink(missing_ok=True)
    return len(lines)


def replace(folder, smaller):
    """`smaller` (beside it, on the same file system) becomes the folder. Of two runs at once the later one stays."""
    old = smaller.with_name(smaller.name + ".old")
    try:
        folder.rename(old)
    except FileNotFoundError:
        pass
    smaller.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
