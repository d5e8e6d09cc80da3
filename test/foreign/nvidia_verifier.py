#!/usr/bin/env python3
"""NVIDIA's own Python verifier from PyPI, unmodified, in a virtual environment that is kept by version: nvidia_verifier.py fetch.

`./run test` and `./run bench` call `fetch` before they enter their network namespace; inside it `World` is an emulated GPU with RIM and OCSP services
on loopback, and `World.attest` runs the verifier on it through our libnvidia-ml.so.1. Without the environment both raise harness.Skip
with the reason that fetching left behind. Nothing of it becomes part of the project.
"""
import base64
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from foreign.environment import HERE, Environment  # noqa: E402

ENVIRONMENT = Environment("nv-local-gpu-verifier", "nvidia_requirements.txt", "nvidia_verifier.py")
python = ENVIRONMENT.python
RUN_LIMIT_S = 120


class RimServer:
    """A RIM service of its own for {id: XML}, with the vendor's answers; what is not there is 404."""

    def __init__(self, rims):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                xml = rims.get(self.path.rpartition("/")[2])
                body = {"message": "RIM_NOT_FOUND"} if xml is None else {"id": self.path.rpartition("/")[2], "rim": base64.b64encode(xml.encode()).decode()}
                self.send_response(404 if xml is None else 200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/rim/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class World:
    """One emulated GPU (test/foreign/gpu_world_main.cc) in a folder of its own."""

    def __init__(self, build, profile="h100-ncc-v5"):
        self.build = pathlib.Path(build)
        self.python = python()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ccgpu-nv-", dir="/tmp"))
        self.process = subprocess.Popen([str(self.build / "tests" / "foreign-gpu-world"), str(self.folder), profile], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.places = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        assert line, "foreign-gpu-world ended"
        return json.loads(line)

    def do(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def rims(self):
        """{id: XML} as the emulator's service hands them out."""
        def get(path):
            with urllib.request.urlopen(self.places["rim_url"] + path, timeout=20) as answer:
                return json.load(answer)
        return {name: base64.b64decode(get(name)["rim"]).decode() for name in get("ids")["ids"]}

    def attest(self, nonce, asked=None, **more):
        """What NVIDIA's verifier says: {"result", "claims", "ready", "log", "evidence": file} or {"error"}.

        `nonce` goes into the report, `asked` (the same by default) is what the verifier compares; `more` replaces places.
        """
        evidence = self.folder / "evidence.json"
        evidence.unlink(missing_ok=True)
        case = {**self.places, "nonce": nonce, "asked": asked or nonce, "evidence": str(evidence), "folder": str(self.folder), **more}
        env = dict(os.environ, LD_LIBRARY_PATH=str(self.build / "bin"), CCGPU_DRIVER_SOCKET=self.places["socket"])
        done = subprocess.run([str(self.python), "-W", "ignore", str(HERE / "nvidia_case.py"), json.dumps(case)], cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=RUN_LIMIT_S, errors="replace")
        lines = done.stdout.splitlines()
        assert lines and lines[-1].startswith("{"), f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return {**json.loads(lines[-1]), "log": "\n".join(lines[:-1]), "evidence": str(evidence)}

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


if __name__ == "__main__":
    ENVIRONMENT.main(__doc__)
