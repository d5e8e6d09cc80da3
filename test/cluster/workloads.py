"""Pods, Jobs, Deployments and StatefulSets that ask for keys, while the cluster is restarted, drained and upgraded around them."""
import json

from cluster.world import SYSTEM, pod
from scenarios.on_kubelet import Kubelet

# Asks its agent for the key, says what came, and goes on asking twice a second: a wrong answer or none is a line of its own.
ASK = """while :; do
  if got=$(wget -qO- http://127.0.0.1:8006/cdh/resource/%s 2>&1); then echo "KEY $got"; else echo "NONE $got"; fi
  /bin/busybox usleep 500000
done"""
ASK_ONCE = "wget -qO- http://127.0.0.1:8006/cdh/resource/%s"


class gone_pods:
    def __init__(self, world, *names):
        self.world, self.names = world, names

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.world.kubectl("delete", "pod", *self.names, "--ignore-not-found", "--wait", "--timeout=60s", check=False)


class asking_for:
    """A sealed pod that asks for the resource at `path`; the block gets the key that it must be told."""

    def __init__(self, world, name, path, **spec):
        self.world, self.name, self.path, self.spec = world, name, path, spec

    def __enter__(self):
        key = f"key of {self.name}"
        sealed = self.world.seal(pod(self.name, command=["/bin/sh", "-c", ASK % self.path], **self.spec))
        self.world.put_secret(self.path, key, sealed)
        self.world.kubectl("apply", "-f", sealed)
        self.world.kubectl("wait", "--for=condition=Ready", f"pod/{self.name}", "--timeout=90s")
        return key

    def __exit__(self, *_):
        self.world.kubectl("delete", "pod", self.name, "--ignore-not-found", "--wait", "--timeout=60s", check=False)


def lines(world, name, *options):
    return world.kubectl("logs", name, *options).out.splitlines()


def answered(world, name, key, again=False):
    """The pod was told its key (with `again`: once more from now on), and never anything else."""
    have = len(lines(world, name)) if again else 0
    world.until("it is told its key", lambda: f"KEY {key}" in lines(world, name)[have:], 60)
    wrong = [line for line in lines(world, name) if line.startswith("KEY ") and line != f"KEY {key}"]
    assert not wrong, wrong


def template(name, command, gpus=1, **spec):
    body = pod(name, command=command, gpus=gpus, **spec)
    return {"metadata": {"labels": {"app": name}}, "spec": body["spec"]}


def workload(kind, name, command, replicas=2, **spec):
    """A Deployment, StatefulSet or Job of `replicas` pods."""
    body = template(name, command)
    selector = {"matchLabels": {"app": name}}
    if kind == "Job":
        return {"apiVersion": "batch/v1", "kind": kind, "metadata": {"name": name, "namespace": "default"},
                "spec": {"completions": replicas, "parallelism": 2, "backoffLimit": 0, "template": body, **spec}}
    body["spec"]["restartPolicy"] = "Always"
    more = {"serviceName": name} if kind == "StatefulSet" else {}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": replicas, "selector": selector, "template": body, **more, **spec}}


class applied:
    """A sealed workload with its key, taken away at the end."""

    def __init__(self, world, manifest, path):
        self.world, self.manifest, self.path = world, manifest, path
        self.kind, self.name = manifest["kind"].lower(), manifest["metadata"]["name"]

    def __enter__(self):
        self.key = f"key of {self.name}"
        sealed = self.world.seal(self.manifest)
        self.world.put_secret(self.path, self.key, sealed)
        self.world.kubectl("apply", "-f", sealed)
        return self

    def pods(self):
        return [item["metadata"]["name"] for item in self.world.get("pods", "-l", f"app={self.name}", "--field-selector=status.phase=Running")["items"]]

    def rolled_out(self):
        self.world.kubectl("rollout", "status", f"{self.kind}/{self.name}", "--timeout=120s")

    def __exit__(self, *_):
        self.world.kubectl("delete", self.kind, self.name, "--wait", "--cascade=foreground", "--timeout=90s", check=False)


def every_pod_of_a_job_gets_the_key(world):
    path = "default/job/key"
    with applied(world, workload("Job", "job", ["/bin/sh", "-c", ASK_ONCE % path], replicas=4), path) as job:
        world.kubectl("wait", "--for=condition=Complete", "job/job", "--timeout=120s")
        logs = world.kubectl("logs", "-l", "app=job", "--tail=-1").out
        assert logs.count(job.key) == 4, logs


def replicas_of_a_deployment_get_the_key_while_it_rolls(world):
    path = "default/web/key"
    with applied(world, workload("Deployment", "web", ["/bin/sh", "-c", ASK % path]), path) as web:
        web.rolled_out()
        world.kubectl("rollout", "restart", "deployment/web")
        web.rolled_out()
        for name in web.pods():
            answered(world, name, web.key)


def a_stateful_set_keeps_its_names(world):
    path = "default/db/key"
    with applied(world, workload("StatefulSet", "db", ["/bin/sh", "-c", ASK % path]), path) as db:
        db.rolled_out()
        assert sorted(db.pods()) == ["db-0", "db-1"]
        for name in db.pods():
            answered(world, name, db.key)


def no_key_fails_while_our_own_parts_roll(world):
    with asking_for(world, "steady", "default/steady/key") as key:
        answered(world, "steady", key)
        for part in ("deployment/ccgpu-broker", "daemonset/ccgpu-device-plugin", "daemonset/ccgpu-node-manager", "daemonset/ccgpu-node-installer"):
            world.kubectl("-n", SYSTEM, "rollout", "restart", part)
            world.kubectl("-n", SYSTEM, "rollout", "status", part, "--timeout=120s")
        answered(world, "steady", key, again=True)
        told = lines(world, "steady")
        assert all(line == f"KEY {key}" for line in told), [line for line in told if line != f"KEY {key}"][:5]


def a_drained_node_lets_go_and_comes_back(world):
    path = "default/drained/key"
    with applied(world, workload("Deployment", "drained", ["/bin/sh", "-c", ASK % path], replicas=1), path) as it:
        it.rolled_out()
        first = it.pods()[0]
        try:
            world.kubectl("drain", world.node, "--pod-selector=app=drained", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=90s")
            world.until("the GPU is free", lambda: all(not gpu["sandbox_id"] for gpu in world.emulator("--json", "gpu", "list").json()))
        finally:
            world.kubectl("uncordon", world.node)
        it.rolled_out()
        assert it.pods()[0] != first
        answered(world, it.pods()[0], it.key)


def an_evicted_pod_frees_its_gpu(world):
    with asking_for(world, "evicted", "default/evicted/key") as key:
        answered(world, "evicted", key)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "evicted", "namespace": "default"}}
        world.kubectl("create", "--raw", "/api/v1/namespaces/default/pods/evicted/eviction", "-f", "-", stdin=json.dumps(eviction))
        world.until("it is gone", lambda: not world.find("pod", "evicted"))
        world.until("the GPU is free", lambda: all(not gpu["sandbox_id"] for gpu in world.emulator("--json", "gpu", "list").json()))


class disk_pressure:
    """The kubelet takes its disk for full: it wants more free than there is. It keeps images, which no registry here could bring back."""
    CONFIG, KEPT = "/var/lib/kubelet/config.yaml", "/var/lib/kubelet/config.kept"

    def __init__(self, world):
        self.world = world

    def _restarted(self, *command):
        self.world.on_node(*command)
        self.world.on_node("systemctl", "restart", "kubelet")

    def pressed(self):
        conditions = self.world.get("node", self.world.node)["status"]["conditions"]
        return next(one["status"] for one in conditions if one["type"] == "DiskPressure") == "True"

    def __enter__(self):
        self.world.on_node("cp", "-a", self.CONFIG, self.KEPT)
        self._restarted("sed", "-i", r"s/nodefs.available: .*/nodefs.available: 99%/; s/evictionPressureTransitionPeriod: .*/evictionPressureTransitionPeriod: 1s/;"
                        "s/imageMinimumGCAge: .*/imageMinimumGCAge: 24h/", self.CONFIG)
        self.world.until("the node says that its disk is full", self.pressed)
        return self

    def __exit__(self, *_):
        self._restarted("mv", self.KEPT, self.CONFIG)
        self.world.until("the node has room again", lambda: not self.pressed(), 90)
        self.world.until("its taint is gone", lambda: not self.world.get("node", self.world.node)["spec"].get("taints"), 90)


def a_full_disk_evicts_workloads_and_none_of_our_parts(world):
    def ours():
        return {item["metadata"]["name"]: sum(one["restartCount"] for one in item["status"]["containerStatuses"]) for item in world.get("-n", SYSTEM, "pods")["items"]}
    # The first to go, so that nobody else has to.
    world.apply({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "goes-first"}, "value": -10})
    before = ours()
    with asking_for(world, "crowded", "default/crowded/key", priorityClassName="goes-first") as key:
        answered(world, "crowded", key)
        with disk_pressure(world):
            world.until("the pod is evicted", lambda: world.get("pod", "crowded")["status"].get("reason") == "Evicted", 90)
            world.until("its GPU is free", lambda: all(not gpu["sandbox_id"] for gpu in world.emulator("--json", "gpu", "list").json()))
    world.kubectl("delete", "priorityclass", "goes-first")
    assert ours() == before, (before, ours())
    Kubelet(world).all_offered()
    with asking_for(world, "crowded", "default/crowded/key") as key:
        answered(world, "crowded", key)


def containerd_restarts_under_a_running_pod(world):
    with asking_for(world, "under", "default/under/key") as key:
        answered(world, "under", key)
        world.on_node("systemctl", "restart", "containerd")
        world.until("kubelet sees the pod again", lambda: world.kubectl("exec", "under", "--", "/bin/true", check=False).code is not None)
        answered(world, "under", key, again=True)
        assert world.get("pod", "under")["status"]["containerStatuses"][0]["restartCount"] == 0


def the_api_server_is_away_for_two_minutes(world):
    """Running pods keep their keys; nothing of ours gives up, and what happened meanwhile is told afterwards."""
    with asking_for(world, "alone", "default/alone/key") as key:
        answered(world, "alone", key)
        manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"
        world.on_node("mv", manifest, "/var/lib/kube-apiserver.yaml")
        try:
            world.until("the API server is gone", lambda: world.kubectl("get", "--raw", "/readyz", check=False).code != 0)
            world.on_node("sleep", "120")  # the time is the test
        finally:
            world.on_node("mv", "/var/lib/kube-apiserver.yaml", manifest)
        world.until("the API server is back", lambda: world.kubectl("get", "--raw", "/readyz", check=False).code == 0, 120)
        answered(world, "alone", key, again=True)
        told = lines(world, "alone")
        assert all(line == f"KEY {key}" for line in told), [line for line in told if line != f"KEY {key}"][:5]
        for part in ("device-plugin", "node-manager", "node-installer"):
            world.kubectl("-n", SYSTEM, "rollout", "status", f"daemonset/ccgpu-{part}", "--timeout=120s")
        restarts = [status["restartCount"] for item in world.get("-n", SYSTEM, "pods")["items"] for status in item["status"].get("containerStatuses", [])]
        assert not any(restarts), restarts


SCENARIOS = [every_pod_of_a_job_gets_the_key, replicas_of_a_deployment_get_the_key_while_it_rolls, a_stateful_set_keeps_its_names, no_key_fails_while_our_own_parts_roll,
             a_drained_node_lets_go_and_comes_back, an_evicted_pod_frees_its_gpu,
             a_full_disk_evicts_workloads_and_none_of_our_parts, containerd_restarts_under_a_running_pod, the_api_server_is_away_for_two_minutes]
