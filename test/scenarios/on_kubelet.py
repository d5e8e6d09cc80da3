"""The table's place with a real kubelet: the node of a kind cluster that has ccgpu installed."""
import contextlib
import json
import re

from cluster.world import GPU, SYSTEM, TOOLS
from e2e import harness
from scenarios.place import Place

PLUGIN = "daemonset/ccgpu-device-plugin"
FOLDER = "/var/lib/kubelet/device-plugins"


class Kubelet(Place):
    image = TOOLS

    def __init__(self, world):
        self.world, self.gpus, self.plugin_is_away = world, world.gpus, False

    def until(self, what, holds, limit_s=60):
        return self.world.until(what, holds, limit_s)

    # --- pods

    def start(self, body):
        body["spec"]["nodeName"] = self.world.node
        self.world.apply(body)

    def remove(self, *names):
        # With their grace period: kubelet takes the object away when everything of the pod is gone, and its devices are free.
        self.world.kubectl("delete", "pod", *names, "--ignore-not-found", "--wait", "--timeout=60s")

    def _pod(self, name):
        return self.world.get("pod", name)

    def _main(self, name):
        return next(one for one in self._pod(name)["status"]["containerStatuses"] if one["name"] == "main")

    def phase(self, name):
        return self._pod(name)["status"]["phase"]

    def told(self, name):
        return self.world.kubectl("describe", "pod", name).out

    def seal(self, body):
        body["spec"]["runtimeClassName"] = "ccgpu"
        return json.loads(harness.from_yaml(self.world.seal(body)))

    def running(self, name):
        status = self._pod(name)["status"]
        return status["phase"] == "Running" and all("running" in one["state"] for one in status.get("containerStatuses", [{"state": {}}]))

    def devices(self, name):
        uid, held = self._pod(name)["metadata"]["uid"], {}
        for entry in self.checkpoint()["PodDeviceEntries"] or []:
            if entry["PodUID"] == uid:
                held.setdefault(entry["ContainerName"], set()).update(one for ids in entry["DeviceIDs"].values() for one in ids)
        return held

    def restarts(self, name):
        return self._main(name)["restartCount"]

    def exit_code(self, name):
        return self._main(name)["state"]["terminated"]["exitCode"]

    def logs(self, name):
        return self.world.kubectl("logs", name, check=False).out

    def killer(self, name):
        container = self._main(name)["containerID"]
        return lambda: self._kill(container, "SIGKILL")

    def _kill(self, container, number):
        self.world.on_node("ctr", "-n", "k8s.io", "tasks", "kill", "-s", number, container.removeprefix("containerd://"))

    # --- the node

    def checkpoint(self):
        text = self.world.on_node("cat", f"{FOLDER}/kubelet_internal_checkpoint", check=False).out
        return json.loads(text)["Data"] if text else {"RegisteredDevices": {}, "PodDeviceEntries": []}

    def offered(self):
        # Who comes past the scheduler meets what the kubelet knows; what the API says of the node may be from before.
        return min(self.world.allocatable(), len((self.checkpoint()["RegisteredDevices"] or {}).get(GPU) or []))

    def fault(self, device, fault):
        self.world.emulator("gpu", "fault", device, fault)

    @contextlib.contextmanager
    def without_node_service(self):
        self.world.on_node("systemctl", "stop", "kubelet")
        try:
            yield
        finally:
            self.world.on_node("systemctl", "start", "kubelet")
        self.until("kubelet is healthy", lambda: self.world.on_node("curl", "-sf", "http://127.0.0.1:10248/healthz", check=False).code == 0)
        if not self.plugin_is_away:  # its checkpoint shows the plugin's devices of before: only its own count of registrations tells
            self.until("the plugin has registered again", lambda: self.registrations() > 0)
        self.until("the node is Ready", lambda: "True" in self.world.kubectl("get", "node", self.world.node, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}").out)

    def forget(self):
        """While the kubelet is stopped: neither it nor the API knows the resource, as before the first plugin. (With its old zero in the API it refuses pods by itself.)"""
        self.world.on_node("rm", "-f", f"{FOLDER}/kubelet_internal_checkpoint")
        removals = [{"op": "remove", "path": f"/status/{kind}/" + GPU.replace("/", "~1")} for kind in ("capacity", "allocatable")]
        self.world.kubectl("patch", "node", self.world.node, "--subresource=status", "--type=json", "-p", json.dumps(removals))

    def registrations(self):
        """Since the kubelet started."""
        metrics = self.world.kubectl("get", "--raw", f"/api/v1/nodes/{self.world.node}/proxy/metrics", check=False).out
        found = re.search(r'^kubelet_device_plugin_registration_total\{resource_name="%s"\} (\d+)' % re.escape(GPU), metrics, re.M)
        return int(found[1]) if found else 0

    def restart_plugin(self):
        self.world.kubectl("-n", SYSTEM, "rollout", "restart", PLUGIN)
        self.world.kubectl("-n", SYSTEM, "rollout", "status", PLUGIN, "--timeout=90s")

    @contextlib.contextmanager
    def without_plugin(self):
        """Its DaemonSet selects no node."""
        self.plugin_is_away = True
        self._select({"ccgpu.dev/none": "true"})
        self.until("the plugin is gone", lambda: not self._part("device-plugin"))
        self.until("the capacity stays for a while, and nothing of it is allocatable", lambda: self.world.amounts() == (self.gpus, 0))
        try:
            yield
        finally:
            self.plugin_is_away = False
            self._select({"ccgpu.dev/none": None})
            self.all_offered()

    def _select(self, labels):
        self.world.kubectl("-n", SYSTEM, "patch", PLUGIN, "--type=merge", "-p", json.dumps({"spec": {"template": {"spec": {"nodeSelector": labels}}}}))

    def _part(self, name):
        return self.world.get("-n", SYSTEM, "pods", "-l", f"app.kubernetes.io/component={name}")["items"]

    def signal(self, part, number):
        self._kill(self._part(part)[0]["status"]["containerStatuses"][0]["containerID"], number)

    def plugin_folder(self):
        return self.world.root() / FOLDER.lstrip("/")
