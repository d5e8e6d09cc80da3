"""Evidence for other people's verifiers: healthy and faulty cases that one of our programs makes, and a foreign program's word on one."""
import functools
import json
import pathlib
import shutil
import subprocess
import tempfile

from e2e import harness


@functools.cache
def made(program):
    """(folder of the cases, what its cases.json says), made once a module: gone when the harness closes all."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"ccgpu-{program}-", dir="/tmp"))
    harness._open.append(_Folder(folder))
    subprocess.run([harness.BUILD / "tests" / program, folder], check=True, timeout=120)
    return folder, json.loads((folder / "cases.json").read_text())


class _Folder:
    def __init__(self, path):
        self.path = path

    def close(self):
        made.cache_clear()
        shutil.rmtree(self.path, ignore_errors=True)


def ask(command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return harness.Result(done.returncode, done.stdout, "")
