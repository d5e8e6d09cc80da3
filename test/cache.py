"""Where things are kept that outlive a clone: programs of other people, cluster tools, inputs that fuzzers found."""
import os
import pathlib

FOLDER = pathlib.Path(os.environ.get("CCGPU_CACHE") or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ccgpu")
