#!/usr/bin/env python3
"""A stock JOSE library (PyJWT over cryptography, from PyPI): jose.py fetch. `./run test` calls it before it enters its network namespace."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from foreign.environment import Environment  # noqa: E402

ENVIRONMENT = Environment("PyJWT", "jose_requirements.txt", "jose.py", ("jwt", "cryptography"))
python = ENVIRONMENT.python

if __name__ == "__main__":
    ENVIRONMENT.main(__doc__)
