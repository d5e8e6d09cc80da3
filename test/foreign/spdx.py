#!/usr/bin/env python3
"""The SPDX project's own tools (spdx-tools, from PyPI), which judge our bills of materials: spdx.py fetch. `./run test` calls it before it
enters its network namespace.
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from foreign.environment import Environment  # noqa: E402

ENVIRONMENT = Environment("spdx-tools", "spdx_requirements.txt", "spdx.py", ("spdx_tools.spdx.clitools.pyspdxtools",))


def complaints(path):
    """What the validator says of a document; empty when it is valid. Raises harness.Skip where there is no validator."""
    command = [ENVIRONMENT.python(), "-m", "spdx_tools.spdx.clitools.pyspdxtools", "--infile", path]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return "" if done.returncode == 0 else done.stdout.strip() or f"exit {done.returncode}"


if __name__ == "__main__":
    ENVIRONMENT.main(__doc__)
