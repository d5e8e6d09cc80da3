#!/usr/bin/env python3
"""Programs that others wrote in Go (verifiers, a registry), built once from the module proxy and kept by version: go_tools.py fetch.

`./run test` calls `fetch` before it enters its network namespace; a test inside it asks `tool("go-sev-guest")` for the program and is skipped,
with the reason that fetching left behind, when there is none. Versions stand in go_tools.json; the module's checksum is held by Go itself
(its checksum database). Nothing of it becomes part of the project.
"""
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import golang

PINS = json.loads((pathlib.Path(__file__).parent / "go_tools.json").read_text())
CACHE = pathlib.Path(os.environ.get("CCGPU_FOREIGN") or golang.CACHE / "foreign")
BUILD_LIMIT_S = 420


def place(name):
    return CACHE / f"{name}-{PINS['tools'][name]['version']}-{platform.machine()}"


def built(name):
    """Where `go install` leaves it: named as its package is."""
    return place(name) / PINS["tools"][name]["package"].rpartition("/")[2]


def tool(name):
    """The built program; raises harness.Skip when it could not be had."""
    from e2e import harness
    program = built(name)
    if program.exists():
        return program
    reason = place(name) / "missing.txt"
    raise harness.Skip(f"no {name}: " + (reason.read_text().strip() if reason.exists() else "it was not fetched (python3 test/foreign/go_tools.py fetch, outside the namespace)"))


def build(name):
    pin, home = PINS["tools"][name], place(name)
    if built(name).exists():
        return
    part = home.with_suffix(f".part{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        go = golang.usable(PINS["go"])
        env = dict(os.environ, GOBIN=str(part), **golang.ENVIRONMENT)
        golang.run([go, "install", f"{pin['package']}@{pin['version']}"], env=env, cwd=part, limit_s=BUILD_LIMIT_S)
        shutil.rmtree(home, ignore_errors=True)
        part.rename(home)
        print(f"  {name} {pin['version']}: built", flush=True)
    except (OSError, subprocess.SubprocessError) as error:
        home.mkdir(parents=True, exist_ok=True)
        (home / "missing.txt").write_text(f"{error}\n")
        print(f"  {name} {pin['version']}: NOT BUILT, its tests will be skipped: {error}", flush=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def main():
    if sys.argv[1:] != ["fetch"]:
        sys.exit(__doc__)
    for name in PINS["tools"]:
        build(name)


if __name__ == "__main__":
    main()
