"""The table's place without Kubernetes: one deployment of `ccgpu up`."""
import contextlib
import json
import os
import signal
import subprocess

from e2e import harness
from e2e.harness import alive
from scenarios.place import Place


class CcgpuNode(Place):
    image = "localhost/ccgpu/busybox:latest"
    waits_for_allocate = has_sidecars = admits_unknown_resources = False

    def __init__(self):
        self.node, self.plugin_is_away = harness.Node(gpus=self.gpus), False
        self.handed_over = {}  # name -> the `ccgpu run --detach` that took the pod there

    def start(self, body):
        name = body["metadata"]["name"]
        command = [str(harness.BUILD / "bin" / "ccgpu"), "run", "--detach", str(self.node.file(f"{name}.yaml", body))]
        self.handed_over[name] = subprocess.Popen(command, env=dict(os.environ, CCGPU_STATE=str(self.node.state)), stdin=subprocess.DEVNULL,
                                                  stdout=open(self._said(name), "w"), stderr=subprocess.STDOUT, text=True)

    def _said(self, name):
        return self.node.state / "test" / f"{name}.said"

    def remove(self, *names):
        for name in names:
            self.node.remove(name)
            if name in self.handed_over:
                self.handed_over.pop(name).wait(timeout=60)

    def _describe(self, name):
        result = self.node.ccgpu("describe", name, "--json")
        return result.json() if result.code == 0 else None

    def phase(self, name):
        if (described := self._describe(name)) is not None:
            return described["phase"]
        # Not there: it is not admitted yet, or never will be.
        return "Failed" if self.handed_over[name].poll() else "Pending"

    def told(self, name):
        return json.dumps(self._describe(name)) + self._said(name).read_text(errors="replace")

    def seal(self, body):
        body["spec"]["runtimeClassName"] = "ccgpu"
        return json.loads(harness.from_yaml(self.node.seal(body)))

    def running(self, name):
        described = self._describe(name)
        return bool(described) and described["phase"] == "Running" and all(one["state"] == "running" for one in described["containers"] if one["name"] == "main")

    def devices(self, name):
        held = {}
        for gpu in self._describe(name)["gpus"]:
            held.setdefault(gpu["container"], set()).add(gpu["device_id"])
        return held

    def _main(self, name):
        return next(one for one in self._describe(name)["containers"] if one["name"] == "main")

    def restarts(self, name):
        return sum(event["code"] == "container-restarting" and event["subject"] == "main" for event in self._describe(name)["events"])

    def exit_code(self, name):
        return self._main(name)["exit_code"]

    def logs(self, name):
        return self.node.ccgpu("logs", name).out

    def killer(self, name):
        container = self._main(name)["container_id"]
        return lambda: subprocess.run(["ctr", "-a", str(self.node.state / "run" / "containerd.sock"), "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", container], check=True)

    def offered(self):
        # The node's own list of the healthy ones.
        path = self.node.state / "node" / "kubelet_internal_checkpoint"
        return len((json.loads(path.read_text())["Data"]["RegisteredDevices"] or {}).get("ccgpu.dev/cc-gpu") or [])

    def fault(self, device, fault):
        self.node.fault(device, fault)

    def _stop(self, program):
        pid = self.node.daemons()[program]
        os.kill(pid, signal.SIGTERM)
        self.until(f"{program} ends", lambda: not alive(pid), 20)

    @contextlib.contextmanager
    def without_node_service(self):
        self._stop("ccgpu-node")
        try:
            yield
        finally:
            self.node.up()
        if self.plugin_is_away:  # `up` brings back whatever is missing
            self._stop("ccgpu-device-plugin")

    def restart_plugin(self):
        with self.without_plugin():
            pass

    @contextlib.contextmanager
    def without_plugin(self):
        self._stop("ccgpu-device-plugin")
        self.plugin_is_away = True
        try:
            yield
        finally:
            self.plugin_is_away = False
            self.node.up()
            self.all_offered()

    def signal(self, part, number):
        os.kill(self.node.daemons()[f"ccgpu-{part}"], signal.Signals[number])

    def plugin_folder(self):
        return self.node.state / "run" / "device-plugins"
