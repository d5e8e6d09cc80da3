"""One real deployment for tests: `ccgpu up` in a folder of its own, pods from templates, and what they left behind."""
import contextlib
import copy
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from waiting import wait_for

BUILD = None  # set by run_tests.py
_open = []


class Skip(Exception):
    """The machine lacks what the test needs; the text says what."""


def close_all():
    while _open:
        _open.pop().close()


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Node:
    """A deployment. `accept`: --insecure-accept-emulated."""

    def __init__(self, gpus=2, accept=True, profile="h100-ncc-v5", platform="snp", platform_fault="none", state=None):
        self.tee = {"vtpm": "tpm"}.get(platform, platform.split("-")[0])
        self.state = pathlib.Path(state or tempfile.mkdtemp(prefix="ccgpu-", dir="/tmp"))
        self.options = ["--gpus", str(gpus), "--profile", profile, "--platform", platform, "--platform-fault", platform_fault] + (["--insecure-accept-emulated"] if accept else [])
        _open.append(self)
        self.up()

    def up(self):
        result = self.ccgpu("up", *self.options, timeout=120)
        if result.code != 0:
            raise AssertionError(f"ccgpu up failed: {result}\n{self.logs()}")
        return result

    def ccgpu(self, *arguments, timeout=90, stdin=None):
        env = dict(os.environ, CCGPU_STATE=str(self.state))
        done = subprocess.run([str(BUILD / "bin" / "ccgpu"), *map(str, arguments)], env=env, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, errors="replace")
        return Result(done.returncode, done.stdout, done.stderr)

    def file(self, name, text):
        path = self.state / "test" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text) if isinstance(text, bytes) else path.write_text(text if isinstance(text, str) else to_yaml(text))
        return path

    # A pod on its usual way: policy made, secret put for exactly this pod.
    def seal(self, pod, *options):
        name = pod["metadata"]["name"]
        sealed = self.state / "test" / f"{name}.sealed.yaml"
        result = self.ccgpu("policy", "generate", self.file(f"{name}.yaml", pod), "-o", sealed, *options)
        assert result.code == 0, result
        return sealed

    def digest(self, sealed):
        result = self.ccgpu("policy", "digest", sealed)
        assert result.code == 0, result
        return result.out.strip()

    def put_secret(self, path, value, sealed=None, **spec):
        release = {"apiVersion": "ccgpu.dev/v1alpha1", "kind": "KeyReleasePolicy", "metadata": {"name": "test"},
                   "spec": {"environment": ["emulated"], "sandbox": {"tee": self.tee, **({"hostData": [self.digest(sealed)]} if sealed else {"anyPod": True})}, **spec}}
        result = self.ccgpu("secret", "put", path, self.file("secret.bin", value), "--release", self.file("release.yaml", release))
        assert result.code == 0, result

    def run(self, sealed, *options, timeout=90):
        return self.ccgpu("run", sealed, "--timeout", "60s", *options, timeout=timeout)

    def remove(self, name):
        self.ccgpu("rm", "--force", name)

    def describe(self, name):
        result = self.ccgpu("describe", name, "--json")
        assert result.code == 0, result
        return result.json()

    def gpus(self):
        result = self.ccgpu("gpu", "list", "--json")
        assert result.code == 0, result
        gpus = result.json()
        return gpus["gpus"] if isinstance(gpus, dict) else gpus

    def fault(self, index, fault):
        result = self.ccgpu("gpu", "fault", index, fault)
        assert result.code == 0, result

    def mode(self, index, mode):
        result = self.ccgpu("gpu", "mode", index, mode)
        assert result.code == 0, result

    def daemons(self):
        return {daemon["name"]: daemon["pid"] for daemon in json.loads((self.state / "run" / "daemons.json").read_text())}

    def logs(self, lines=15):
        out = ""
        for path in sorted((self.state / "logs").glob("*.log")):
            out += f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) + "\n"
        return out

    def close(self):
        self.ccgpu("down", timeout=120)
        shutil.rmtree(self.state, ignore_errors=True)

    # What a pod may leave on the machine.
    def leftovers(self):
        found = []
        state = str(self.state)
        emulator = self.daemons().get("ccgpu-emulator")
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            name = pathlib.PurePath(command.split(" ")[0]).name
            # Ours: shims name our containerd; guests are children of our emulator, or orphans. (Other deployments may run beside us.)
            ours = (name.startswith("containerd-shim") and state in command) or (name == "ccgpu-guestd" and parent in (0, 1, emulator))
            if ours and alive(process.name):
                found.append(f"process {process.name} {command}")
        for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
            point = line.split()[1]
            if point.startswith(state):
                found.append(f"mount {point}")
        found += [f"gpu {gpu['index']} {gpu['state']}" for gpu in self.gpus() if gpu["state"] not in ("UNLOCKED",)]
        return found

    def wait_clean(self, seconds=10):
        """The last moments of a pod's end are asynchronous; nothing may be left when they are over."""
        wait_for(lambda: not self.leftovers(), seconds, lambda: f"left behind: {self.leftovers()}")


_shared = {}


def shared(**options):
    """One node for all tests of a module with these options; healthy again at each call."""
    key = tuple(sorted(options.items()))
    if key not in _shared or _shared[key] not in _open:
        _shared[key] = Node(**options)
    node = _shared[key]
    for gpu in node.gpus():
        if gpu.get("fault", "none") not in ("none", ""):
            node.fault(gpu["index"], "none")
    return node


def pod(name, command, gpus=1, **container):
    """A pod of one busybox container that runs this shell text."""
    main = {"name": "main", "image": "localhost/ccgpu/busybox:latest", "command": ["sh", "-c", command], **container}
    if gpus:
        main["resources"] = {"limits": {"ccgpu.dev/cc-gpu": gpus}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"runtimeClassName": "ccgpu", "restartPolicy": "Never", "containers": [main]}}


def fetch(resource):
    """Shell text that prints a resource, and fails when the agent refuses it."""
    return f"wget -q -O - http://127.0.0.1:8006/cdh/resource/{resource}"


@contextlib.contextmanager
def full(folder):
    """Filled to the last byte while the block runs."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def rerun(node, program, *more, **environment):
    """The program runs anew while the block does, with more words on its command line and in another environment; afterwards as before."""
    command = pathlib.Path(f"/proc/{node.daemons()[program]}/cmdline").read_bytes().split(b"\0")[:-1]
    os.kill(node.daemons()[program], signal.SIGTERM)
    wait_for(lambda: not alive(node.daemons()[program]), 20, lambda: f"{program} goes on")
    with open(node.state / "logs" / f"{program}.log", "a") as log:
        process = subprocess.Popen([*command, *more], env=dict(os.environ, **environment), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: _answers(node), 30, lambda: node.logs())
        yield
    finally:
        process.terminate()
        process.wait()
        node.up()
        wait_for(lambda: _answers(node), 30, lambda: node.logs())


def _answers(node):
    """Broker and emulator do, and the device plugin has seen that the GPU is there."""
    checkpoint = (node.state / "node" / "kubelet_internal_checkpoint").read_text()
    return node.ccgpu("secret", "list").code == 0 and node.ccgpu("gpu", "list").code == 0 and all(gpu["uuid"] in checkpoint for gpu in node.gpus())


def promtool(*arguments, stdin=None):
    """Prometheus' own judge: its exit code and what it says."""
    program = shutil.which("promtool")
    if not program:
        raise Skip("no promtool (./run test fetches it out of Debian's prometheus)")
    done = subprocess.run([program, *map(str, arguments)], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    return done.returncode, done.stdout


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def edited(sealed_path, edit, name="edited.yaml"):
    """A copy of a sealed manifest that somebody changed after the policy was made. `edit` gets the pod as Python values."""
    value = json.loads(from_yaml(sealed_path))
    edit(value)
    path = pathlib.Path(sealed_path).with_name(name)
    path.write_text(to_yaml(value))
    return path


def to_yaml(value):
    import yaml
    return yaml.safe_dump(value, sort_keys=False, width=10**6)


def from_yaml(path):
    import yaml
    return json.dumps(yaml.safe_load(pathlib.Path(path).read_text()))


def refused(result, code):
    """The run was refused (exit 3) for exactly this reason."""
    assert result.code == 3, result
    assert code in result.out + result.err, f"expected the reason {code} in {result}"


def deep(value):
    return copy.deepcopy(value)
