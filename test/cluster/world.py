"""One real cluster with ccgpu in it, for tests: kind on containerd 1.6 or 2, our images loaded, the chart installed.

`World.of("2")` makes it at the first call and keeps it until close_all(): creating a cluster costs half a minute, so the tests of one
containerd share one and leave it as they found it.
"""
import base64
import fcntl
import json
import os
import pathlib
import re
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "test" / "kind"))
import programs
from kind_cluster import Cluster

from e2e import harness

SYSTEM = "ccgpu-system"
GPU = "ccgpu.dev/cc-gpu"
VERSION = re.search(r"project\(\w+ VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())[1]
TOOLS = f"localhost/ccgpu/tools:{VERSION}"


class World:
    _kept = {}

    @classmethod
    def of(cls, containerd, nodes=1, gpus=4):
        """`gpus` on each node."""
        key = (containerd, nodes, gpus)
        if key not in cls._kept:
            cls._kept[key] = cls(*key)
        return cls._kept[key]

    def __init__(self, containerd, nodes=1, gpus=4):
        if programs.missing() or programs.MISSING.exists():
            raise harness.Skip("no cluster: " + (programs.MISSING.read_text().strip() if programs.MISSING.exists() else "it was not built (./run kind fetch, outside the namespace)"))
        self.containerd, self.gpus = containerd, gpus
        self.cluster = Cluster(f"test-containerd{containerd}" + (f"-nodes{nodes}" if nodes > 1 else ""))
        self.images = harness.BUILD.parent / "images"  # ./run images
        self.lock = _alone(self.cluster)
        harness._open.append(self)
        self.cluster.down()
        self.cluster.up(containerd, nodes, lambda text: print(f"    {text}", flush=True))
        self.node = self.cluster.nodes()[0]
        for archive in sorted(self.images.glob("*.tar")):
            self.cluster.load(archive)

    def close(self):
        World._kept = {key: world for key, world in World._kept.items() if world is not self}
        if os.environ.get("CCGPU_KEEP_CLUSTER"):
            print(f"    kept: ./run kind --name {self.cluster.name} kubectl get pods -A; down takes it away", flush=True)
        else:
            self.cluster.down()
        self.lock.close()

    # --- the cluster's own tools

    def run(self, *words, check=True, stdin=None, limit_s=180):
        """A command in the cluster's network with KUBECONFIG set."""
        done = subprocess.run(self.cluster.engine.inside(words), env=dict(self.cluster.engine.environment(), PATH=f"{harness.BUILD}/bin:{self.cluster.engine.environment()['PATH']}"),
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", timeout=limit_s)
        result = harness.Result(done.returncode, done.stdout, done.stderr)
        assert not check or result.code == 0, f"{' '.join(map(str, words))}: {result}"
        return result

    def begin(self, *words):
        """The same without waiting for its end: a process whose output is piped."""
        return subprocess.Popen(self.cluster.engine.inside(words), env=self.cluster.engine.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def kubectl(self, *words, **more):
        return self.run("kubectl", *words, **more)

    def helm(self, *words, **more):
        return self.run("helm", *words, **more)

    def get(self, *words):
        return self.kubectl("get", *words, "-o", "json").json()

    def find(self, *words):
        """The object, or None."""
        result = self.kubectl("get", *words, "-o", "json", "--ignore-not-found")
        return result.json() if result.out.strip() else None

    def apply(self, *objects):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", "-f", "-", stdin=text)

    def on_node(self, *words, node=None, check=True):
        """A command in the node, as its administrator."""
        return self.run("podman", "exec", node or self.node, *words, check=check)

    def until(self, what, holds, limit_s=60):
        """Asks until `holds` answers something true, which it returns; fails with what a person would look at first."""
        try:
            return harness.wait_for(holds, limit_s, lambda: what)
        except TimeoutError as late:
            raise AssertionError(f"not within {limit_s} s: {what}; {self.trouble()}") from late

    def trouble(self):
        """What a person would look at first."""
        parts = [self.kubectl("get", "pods", "-A", "-o", "wide", check=False).out,
                 self.kubectl("get", "events", "-A", "--sort-by=.lastTimestamp", check=False).out[-3000:]]
        for pod in json.loads(self.kubectl("-n", SYSTEM, "get", "pods", "-o", "json", check=False).out or '{"items":[]}')["items"]:
            name = pod["metadata"]["name"]
            parts.append(f"--- {name}\n" + self.kubectl("-n", SYSTEM, "logs", name, "--all-containers", "--tail=15", check=False).out)
        return "\n".join(parts)

    # --- ccgpu in it

    def install(self, *values):
        """Two commands of a user: helm install, and the node's label. Returns when the node advertises its GPUs."""
        self.helm("install", "ccgpu", ROOT / "charts" / "ccgpu", "-n", SYSTEM, "--create-namespace", "--wait", "--timeout", "180s",
                  "--set", f"emulator.gpus={self.gpus},broker.insecureAcceptEmulated=true", *values)
        self.kubectl("label", "node", self.node, "ccgpu.dev/enabled=true", "--overwrite")
        self.until("the node advertises its GPUs", lambda: self.allocatable() == self.gpus, 120)
        self.until("the node can run our pods", lambda: self.get("node", self.node)["metadata"]["labels"].get("ccgpu.dev/ready") == "true", 60)

    def installed(self):
        """Installs once; tests that only use ccgpu call this."""
        if not self.find("-n", SYSTEM, "deployment", "ccgpu-broker"):
            self.install()
        return self

    def amounts(self):
        """(capacity, allocatable) of GPUs at the node."""
        status = self.get("node", self.node)["status"]
        return int(status["capacity"].get(GPU, -1)), int(status["allocatable"].get(GPU, -1))

    def allocatable(self):
        return self.amounts()[1]

    def ccgpu(self, *words, **more):
        return self.run("kubectl-ccgpu", *words, **more)

    # --- the emulated machine, as the node's administrator has it at hand

    def emulator(self, *words):
        """`ccgpu gpu ...` at the node's emulator, whose sockets are reached through the node's file system."""
        state = self.cluster.engine.state / "emulator"
        state.mkdir(exist_ok=True)
        link = state / "run"
        link.unlink(missing_ok=True)
        link.symlink_to(self.root() / "run" / "ccgpu")
        return self.run("ccgpu", "--state", state, *words)

    def root(self):
        """The node's file system as this machine's processes see it."""
        pid = self.run("podman", "inspect", "--format", "{{.State.Pid}}", self.node).out.strip()
        return pathlib.Path(f"/proc/{pid}/root")

    def gpu_fault(self, device, fault):
        return Fault(self, device, fault)

    def watch(self, kind, name, path, namespace="default"):
        return Watch(self, kind, name, path, namespace)

    def write_on_node(self, path, text):
        self.run("podman", "exec", "-i", self.node, "sh", "-c", f"cat >{path}.part && mv {path}.part {path}", stdin=text)

    # --- pods

    def sealed(self, name):
        return self.cluster.engine.state / "manifests" / f"{name}.sealed.yaml"

    def seal(self, manifest, *options):
        """The manifest with its policy, as a user makes it."""
        name = manifest["metadata"]["name"]
        sealed, plain = self.sealed(name), self.sealed(name).with_suffix(".json")
        plain.parent.mkdir(exist_ok=True)
        plain.write_text(json.dumps(manifest))
        self.ccgpu("policy", "generate", plain, "-o", sealed, "--image-archive", self.images / "tools.tar", *options)
        return sealed

    def put_secret(self, path, value, sealed):
        """A resource that exactly the sealed pod gets."""
        digest = self.ccgpu("policy", "digest", sealed).out.strip()
        release = {"apiVersion": "ccgpu.dev/v1alpha1", "kind": "KeyReleasePolicy", "metadata": {"name": "test"},
                   "spec": {"environment": ["emulated"], "sandbox": {"tee": "snp", "hostData": [digest]}}}
        folder = self.cluster.engine.state / "manifests"
        (folder / "secret").write_text(value)
        (folder / "release.json").write_text(json.dumps(release))
        self.ccgpu("secret", "put", path, folder / "secret", "--release", folder / "release.json")

    def pod_gpus(self, name, namespace="default"):
        """Device ids that kubelet's checkpoint holds for the pod, sorted."""
        uid = self.get("-n", namespace, "pod", name)["metadata"]["uid"]
        checkpoint = json.loads(self.on_node("cat", "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint").out)
        return sorted({device for entry in checkpoint["Data"]["PodDeviceEntries"] or [] if entry["PodUID"] == uid for ids in entry["DeviceIDs"].values() for device in ids})

    def condition(self, name, namespace="default"):
        """What the node manager says about the pod's attestation, or None."""
        found = self.find("-n", namespace, "pod", name)
        return next((one for one in (found or {"status": {}})["status"].get("conditions", []) if one["type"] == "ccgpu.dev/Attested"), None)

    def events(self, name, namespace="default"):
        return self.get("-n", namespace, "events", "--field-selector", f"involvedObject.name={name}")["items"]


def _alone(cluster):
    """Another run of the tests on this machine has clusters of the same names: this one waits until that one's is down. The file is the lock."""
    home = cluster.state.parent
    home.mkdir(parents=True, exist_ok=True)
    file = open(home / f"{cluster.name}.lock", "w")

    def mine():
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    if not mine():
        print(f"    another run of the tests has the cluster {cluster.name}: waiting for its end", flush=True)
        harness.wait_for(mine, 3600, lambda: f"the cluster {cluster.name} is still another run's")
    return file


class Watch:
    """Values of one field of one object while the block runs, as the API server tells them."""

    def __init__(self, world, kind, name, path, namespace="default"):
        self.seen = []
        words = ["kubectl", "-n", namespace, "get", kind, name, "--watch", "-o", f"jsonpath={path}{{\"\\n\"}}"]
        self.process = subprocess.Popen(world.cluster.engine.inside(words), env=world.cluster.engine.environment(), stdout=subprocess.PIPE, text=True)
        self.seen.append(self.process.stdout.readline().strip())  # the first answer: the watch stands
        self.thread = threading.Thread(target=self._read)

    def _read(self):
        for line in self.process.stdout:
            self.seen.append(line.strip())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.thread.join()
        self.process.wait()


class Fault:
    """A fault of one emulated GPU while the block runs."""

    def __init__(self, world, device, fault):
        self.world, self.device, self.fault = world, device, fault

    def _set(self, fault):
        self.world.emulator("gpu", "fault", self.device, fault)

    def __enter__(self):
        self._set(self.fault)
        return self

    def __exit__(self, *_):
        self._set("none")


def pod(name, command=("sleep", "3600"), gpus=1, runtime="ccgpu", namespace="default", **spec):
    """A pod with one container of our tools image."""
    container = {"name": "main", "image": TOOLS, "command": list(command), "imagePullPolicy": "Never",
                 "resources": {"limits": {GPU: str(gpus)}} if gpus else {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
            "spec": {**({"runtimeClassName": runtime} if runtime else {}), "terminationGracePeriodSeconds": 1, "restartPolicy": "Never", "containers": [container], **spec}}


def decoded(secret, key):
    return base64.b64decode(secret["data"][key]).decode()
