"""The node manager before a real kube-apiserver, with the rights that the chart gives it: what our own API server in tests only imitates."""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import time
import urllib.request

from e2e import harness
from e2e.api_server import ApiServer, free_port, tool

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": {"ccgpu.dev/enabled": "true", "ccgpu.dev/installed": "1", "theirs": "x"}}}
NAMESPACE = "ccgpu-system"


def until(what, holds, limit_s=30):
    harness.wait_for(holds, limit_s, lambda: what)


class Api(ApiServer):
    """With the chart's roles applied, and one Node that no kubelet looks after."""

    def __init__(self):
        helm = tool("helm")
        super().__init__()
        self.kubectl("create", "namespace", NAMESPACE)
        chart = subprocess.run([str(helm), "template", "ccgpu", str(ROOT / "charts" / "ccgpu"), "-n", NAMESPACE, "--set", "enableNodes={n1}"], stdout=subprocess.PIPE, text=True, check=True).stdout
        wanted = r"^kind: (ServiceAccount|ClusterRole|ClusterRoleBinding|Role|RoleBinding|PriorityClass|DaemonSet)$"
        self.apply("\n---\n".join(part for part in chart.split("\n---\n") if re.search(wanted, part, re.MULTILINE)))
        self.apply(json.dumps(NODE))

    def labels(self):
        return self.get("node", "n1")["metadata"]["labels"]

    def token(self, part):
        path = self.folder / f"{part}.token"
        fresh = self.kubectl("create", "token", "-n", NAMESPACE, f"ccgpu-{part}").out
        (self.folder / "fresh").write_text(fresh)
        (self.folder / "fresh").rename(path)
        return path

    def flags(self, part):
        return ["--api-server", self.url, "--token-file", self.token(part), "--ca-file", self.folder / "ca.crt"]

    def hook(self, part, *words):
        done = subprocess.run([str(harness.BUILD / "bin" / "ccgpu-node-manager"), part, *map(str, self.flags(part)), "--namespace", NAMESPACE, *map(str, words)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        return harness.Result(done.returncode, done.stdout, "")


class Manager:
    def __init__(self, api, gpus=2):
        self.api = api
        run = api.folder / "run"
        self.pods = run / "pods"
        self.pods.mkdir(parents=True)
        api.start("emulator", harness.BUILD / "bin" / "ccgpu-emulator", "--state", api.folder / "emulator", "--run", run, "--gpus", gpus)
        self.http = free_port()
        self.words = [harness.BUILD / "bin" / "ccgpu-node-manager", "run", *api.flags("node-manager"), "--emulator-socket", run / "emulator.sock",
                      "--resolver-socket", "", "--events-dir", self.pods, "--state-dir", run / "manager", "--http", f"127.0.0.1:{self.http}"]
        self.start()

    def start(self):
        self.process = self.api.start("manager", *self.words, env=dict(os.environ, NODE_NAME="n1"))

    def metrics(self):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=10).read().decode()

    def tell(self, pod, *codes):
        """As shim and guestd write it."""
        folder = self.pods / f"sandbox-of-{pod['metadata']['name']}"
        folder.mkdir(exist_ok=True)
        (folder / "pod.json").write_text(json.dumps({"name": pod["metadata"]["name"], "namespace": "default", "uid": pod["metadata"]["uid"]}))
        with open(folder / "events.jsonl", "a") as out:
            for code, message in codes:
                out.write(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()), "component": "ccgpu-guestd", "code": code, "message": message, "subject": "container app"}) + "\n")

    def make_pod(self, name, **metadata):
        self.api.apply(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", **metadata}, "spec": {
            "nodeName": "n1", "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "app", "image": "x", "resources": {"limits": {"ccgpu.dev/cc-gpu": "1"}}}]}}))
        return self.api.get("pod", name)


def condition(thing, kind):
    return next((one for one in thing["status"].get("conditions", []) if one["type"] == kind), {})


@contextlib.contextmanager
def real():
    api = Api()
    try:
        yield api, Manager(api)
    finally:
        harness._open.remove(api)
        api.close()


def test_a_node_and_its_pods_are_told_to_a_real_api_server():
    with real() as (api, manager):
        until("labels", lambda: api.labels().get("ccgpu.dev/cc.mode.state") == "hopper-cc" and api.labels().get("ccgpu.dev/gpu.count") == "2")
        assert api.labels()["ccgpu.dev/tee"] == "snp" and api.labels()["theirs"] == "x", api.labels()
        until("condition", lambda: condition(api.get("node", "n1"), "ccgpu.dev/CCGPUReady").get("status") == "True")

        pod = manager.make_pod("demo")
        manager.tell(pod, ("policy.in-force", "fine"), ("policy.command", "rule 2 allows sh, found bash"), ("policy.command", "rule 2 allows sh, found bash"))
        until("describe names the rule", lambda: "rule 2 allows sh, found bash [policy.command]" in api.kubectl("describe", "pod", "demo").out, 10)
        until("the condition", lambda: condition(api.get("pod", "demo"), "ccgpu.dev/Attested").get("reason") == "PolicyDenied")
        until("the count", lambda: [one for one in api.get("events.events.k8s.io")["items"] if one.get("series", {}).get("count") == 2])
        manager.tell(pod, ("attest.gpu-accepted", "every check passed"))
        until("attested", lambda: condition(api.get("pod", "demo"), "ccgpu.dev/Attested").get("status") == "True")

        # The API server restarts and the token is rotated: what happens meanwhile is told afterwards, once.
        api.stop(api.api, kill=True)  # politely it would wait a minute for our watch
        manager.tell(pod, ("gpu.evidence-stale", "while nobody listened"))
        api.start_api()
        api.token("node-manager")
        until("told late", lambda: condition(api.get("pod", "demo"), "ccgpu.dev/Attested").get("reason") == "AttestationFailed", 60)
        api.stop(manager.process)
        manager.start()
        manager.tell(pod, ("broker.released", "after the restart"))
        until("after the restart", lambda: "KeyReleased" in api.kubectl("describe", "pod", "demo").out)
        reasons = sorted(one["reason"] for one in api.get("events.events.k8s.io")["items"] if one["regarding"]["name"] == "demo")
        assert reasons == ["AttestationFailed", "Attested", "KeyReleased", "PolicyDenied", "PolicyInForce"], f"{reasons}\n{(api.folder / 'manager.log').read_text()[-3000:]}"
        metrics = manager.metrics()
        assert 'ccgpu_node_manager_pod_events_total{result="failed"} 0' in metrics and 'ccgpu_node_manager_gpus{mode="hopper-cc",health="healthy"} 2' in metrics, metrics
        code, said = harness.promtool("check", "metrics", stdin=metrics)
        assert code == 0, said


def test_modes_are_switched_with_drain_before_a_real_api_server():
    with real() as (api, manager):
        until("labels", lambda: api.labels().get("ccgpu.dev/cc.mode.state") == "hopper-cc")
        manager.make_pod("guarded", labels={"app": "guarded"})
        api.apply(json.dumps({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "guard", "namespace": "default"},
                              "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}}}))
        # Who is Pending may be evicted in spite of a budget: it has to run, as far as the API server knows.
        api.kubectl("patch", "pod", "guarded", "--subresource=status", "--type=merge", "-p",
                    json.dumps({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}))
        api.kubectl("label", "node", "n1", "ccgpu.dev/cc.mode=off")
        until("blocked, and said", lambda: "DrainBlocked" in api.kubectl("describe", "node", "n1").out)
        node = api.get("node", "n1")
        assert node["metadata"]["labels"]["ccgpu.dev/cc.mode.state"] == "switching" and [one for one in node["spec"]["taints"] if one["key"] == "ccgpu.dev/cc-mode-switch"], node
        assert not api.get("pod", "guarded")["metadata"].get("deletionTimestamp")
        api.stop(manager.process)
        api.kubectl("delete", "pdb", "guard")
        manager.start()
        until("switched after a restart in the middle", lambda: api.labels()["ccgpu.dev/cc.mode.state"] == "off" and api.labels()["ccgpu.dev/cc.ready.state"] == "true")
        node = api.get("node", "n1")
        assert not [one for one in node["spec"].get("taints", []) if one["key"] == "ccgpu.dev/cc-mode-switch"], node
        assert api.kubectl("get", "pod", "guarded", check=False).code != 0
        api.kubectl("label", "node", "n1", "ccgpu.dev/cc.mode=apm", "--overwrite")
        until("refused", lambda: api.labels()["ccgpu.dev/cc.mode.state"] == "failed")
        assert "ModeSwitchRefused" in api.kubectl("describe", "node", "n1").out


def test_the_charts_hooks_before_a_real_api_server():
    with real() as (api, manager):
        until("labels", lambda: api.labels().get("ccgpu.dev/cc.mode.state") == "hopper-cc")
        api.kubectl("label", "node", "n1", "ccgpu.dev/enabled-")
        first = None
        for state in ("1", "2"):
            identity, broker = api.folder / f"identity{state}", api.folder / f"broker{state}"
            subprocess.run([str(harness.BUILD / "bin" / "ccgpu-emulator"), "--state", str(identity), "--identities-only"], check=True)
            subprocess.run([str(harness.BUILD / "bin" / "ccgpu-broker"), "--state", str(broker), "--init-only", "--tls-name", f"ccgpu-broker.{NAMESPACE}.svc"], check=True)
            done = api.hook("setup", "--identity", identity, "--broker", broker, "--kbs-url", "https://b", "--rim-url", "http://r", "--ocsp-url", "http://o", "--pcs-url", "http://p", "--enable-node", "n1")
            assert done.code == 0, done
            made = {name: api.get("-n", NAMESPACE, kind, f"ccgpu-{name}")["data"] for name, kind in (("identity", "secret"), ("broker", "secret"), ("trust", "configmap"))}
            first = first or made
            assert made == first, "an upgrade changed what was there"
        assert (api.folder / "identity1" / "roots" / "device-root.pem").read_text() == made["trust"]["device-root.pem"]
        assert api.labels()["ccgpu.dev/enabled"] == "true", api.labels()
        assert set(made["broker"]) >= {"master.key", "tls.crt", "tls.key", "ca.pem", "admin-token"}, set(made["broker"])

        # The installer of this test: takes its labels away when it is told to.
        def installer():
            told = api.get("-n", NAMESPACE, "daemonset", "ccgpu-node-installer")["metadata"].get("annotations", {}).get("ccgpu.dev/uninstall")
            if told == "true":
                api.kubectl("label", "node", "n1", "ccgpu.dev/installed-")
            return told
        words = [str(harness.BUILD / "bin" / "ccgpu-node-manager"), "teardown", *map(str, api.flags("teardown")), "--namespace", NAMESPACE]
        teardown = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        until("the installer is told", installer)
        said, _ = teardown.communicate(timeout=60)
        assert teardown.returncode == 0, said
        node = api.get("node", "n1")
        assert node["metadata"]["labels"] == {"theirs": "x"}, node["metadata"]["labels"]
        assert not condition(node, "ccgpu.dev/CCGPUReady"), node["status"]
        for kind, name in (("secret", "identity"), ("secret", "broker"), ("configmap", "trust")):
            assert api.kubectl("get", "-n", NAMESPACE, kind, f"ccgpu-{name}", check=False).code != 0
        # The manager still runs, and nothing comes back.
        manager.make_pod("late")
        assert api.labels() == {"theirs": "x"}
