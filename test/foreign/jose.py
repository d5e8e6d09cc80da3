#!/usr/bin/env python3
"""A stock JOSE library (PyJWT over cryptography, from PyPI) in a virtual environment of its own, kept by version: jose.py fetch.

`./run test` calls `fetch` before it enters its network namespace; a test inside it asks `python()` for the environment's interpreter and is skipped,
with the reason that fetching left behind, when there is none. Nothing of it becomes part of the project.
"""
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = HERE / "jose_requirements.txt"
CACHE = pathlib.Path(os.environ.get("CCGPU_FOREIGN") or pathlib.Path.home() / ".cache" / "ccgpu" / "foreign")
HOME = CACHE / f"jose-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]}-{platform.machine()}"
LIMIT_S = 240


def python():
    """The environment's interpreter; raises harness.Skip when it could not be had."""
    from e2e import harness
    if (HOME / "complete").exists():
        return HOME / "bin" / "python"
    reason = HOME.with_suffix(".missing.txt")
    raise harness.Skip("no PyJWT: " + (reason.read_text().strip() if reason.exists() else "it was not fetched (python3 test/foreign/jose.py fetch, outside the namespace)"))


def run(*command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, errors="replace")
    if done.returncode != 0:
        raise OSError(f"{pathlib.Path(str(command[0])).name} ended with {done.returncode}: " + " / ".join(done.stdout.strip().splitlines()[-3:]))


def fetch():
    if (HOME / "complete").exists():
        return
    missing = HOME.with_suffix(".missing.txt")
    # A virtual environment knows its own path, so it is made in place and marked when it is whole.
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.parent.mkdir(parents=True, exist_ok=True)
    try:
        run(sys.executable, "-m", "venv", HOME)
        run(HOME / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "-r", REQUIREMENTS)
        run(HOME / "bin" / "python", "-c", "import jwt, cryptography")
        (HOME / "complete").touch()
        missing.unlink(missing_ok=True)
        print("  PyJWT: installed", flush=True)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(HOME, ignore_errors=True)
        missing.write_text(f"{error}\n")
        print(f"  PyJWT: NOT INSTALLED, its tests will be skipped: {error}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] != ["fetch"]:
        sys.exit(__doc__)
    fetch()
