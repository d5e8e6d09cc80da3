"""Other people's Python programs from PyPI, unmodified, each in a virtual environment of its own that is kept by its pinned versions.

Fetched before a test run enters its network namespace; inside it `python()` gives the interpreter, or raises harness.Skip with the reason
that fetching left behind. Nothing of it becomes part of the project.
"""
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import sys

import cache

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("CCGPU_FOREIGN") or cache.FOLDER / "foreign")
LIMIT_S = 300


class Environment:
    """`what`: the package's name for people; `requirements`: a file beside this one; `script`: who fetches it; `imports`: what must load."""

    def __init__(self, what, requirements, script, imports=()):
        self.what, self.requirements, self.script, self.imports = what, HERE / requirements, script, imports
        digest = hashlib.sha256(self.requirements.read_bytes()).hexdigest()[:16]
        version = "py" + ".".join(map(str, sys.version_info[:2]))
        self.home = CACHE / f"{self.requirements.stem.removesuffix('_requirements')}-{digest}-{version}-{platform.machine()}"
        self.missing = self.home.with_name(self.home.name + ".missing.txt")

    def python(self):
        from e2e import harness
        if (self.home / "complete").exists():
            return self.home / "bin" / "python"
        reason = self.missing.read_text().strip() if self.missing.exists() else f"it was not fetched (python3 test/foreign/{self.script} fetch, outside the namespace)"
        raise harness.Skip(f"no {self.what}: {reason}")

    def fetch(self):
        if (self.home / "complete").exists():
            return
        # An environment's scripts and links name its folder, so it is made in place and marked when it is whole.
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.parent.mkdir(parents=True, exist_ok=True)
        try:
            _run(sys.executable, "-m", "venv", self.home)
            _run(self.home / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "-r", self.requirements)
            if self.imports:
                _run(self.home / "bin" / "python", "-c", "import " + ", ".join(self.imports))
            (self.home / "complete").touch()
            self.missing.unlink(missing_ok=True)
            print(f"  {self.what}: installed", flush=True)
        except (OSError, subprocess.SubprocessError) as error:
            shutil.rmtree(self.home, ignore_errors=True)
            self.missing.write_text(f"{error}\n")
            print(f"  {self.what}: NOT INSTALLED, its tests will be skipped: {error}", flush=True)

    def main(self, about):
        if sys.argv[1:] != ["fetch"]:
            sys.exit(about)
        self.fetch()


def _run(*command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, errors="replace")
    if done.returncode != 0:
        raise OSError(f"{pathlib.Path(str(command[0])).name} ended with {done.returncode}: " + " / ".join(done.stdout.strip().splitlines()[-3:]))
