"""The device plugin before a real kubelet: kubernetes' own list of scenarios (its test/e2e_node suite for device plugins), and ours.

Each function takes a World with ccgpu installed and leaves no pod behind.
"""
import json

from cluster.world import GPU, SYSTEM, TOOLS, pod

PLUGIN = "daemonset/ccgpu-device-plugin"


class gone:
    """Takes pods away again, whatever the test did."""

    def __init__(self, world, *names):
        self.world, self.names = world, names

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.world.kubectl("delete", "pod", *self.names, "--ignore-not-found", "--wait", "--timeout=60s", "--grace-period=0", "--force", check=False)


def plain(name, gpus=1, **spec):
    """A pod of the stock runtime that holds GPUs: what kubelet does with devices does not depend on the runtime."""
    return pod(name, gpus=gpus, runtime=None, **spec)


def ready(world, *names):
    world.kubectl("wait", "--for=condition=Ready", *(f"pod/{name}" for name in names), "--timeout=60s")


def restart_kubelet(world):
    world.on_node("systemctl", "restart", "kubelet")
    world.until("kubelet is healthy", lambda: world.on_node("curl", "-sf", "http://127.0.0.1:10248/healthz", check=False).code == 0)


def restart_plugin(world):
    world.kubectl("-n", SYSTEM, "rollout", "restart", PLUGIN)
    world.kubectl("-n", SYSTEM, "rollout", "status", PLUGIN, "--timeout=90s")


def checkpoint(world):
    text = world.on_node("cat", "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint", check=False).out
    return json.loads(text)["Data"] if text else {"RegisteredDevices": {}, "PodDeviceEntries": []}


def advertised(world):
    """To the kubelet first: what the API says of the node may be from before. A pod that comes in between is admitted without its device."""
    world.until("the kubelet knows the GPUs", lambda: len((checkpoint(world)["RegisteredDevices"] or {}).get(GPU) or []) == world.gpus, 90)
    world.until("they are allocatable", lambda: world.allocatable() == world.gpus, 90)


class without_plugin:
    """The plugin is not there: its DaemonSet selects no node."""

    def __init__(self, world):
        self.world = world

    def _select(self, patch):
        self.world.kubectl("-n", SYSTEM, "patch", PLUGIN, "--type=merge", "-p", json.dumps({"spec": {"template": {"spec": {"nodeSelector": patch}}}}))

    def __enter__(self):
        self._select({"ccgpu.dev/none": "true"})
        self.world.until("the plugin is gone", lambda: not self.world.get("-n", SYSTEM, "pods", "-l", "app.kubernetes.io/component=device-plugin")["items"])
        return self

    def __exit__(self, *_):
        self._select({"ccgpu.dev/none": None})
        advertised(self.world)


def pods_get_devices_of_their_own(world):
    with gone(world, "dev-a", "dev-b"):
        world.apply(plain("dev-a"), plain("dev-b"))
        ready(world, "dev-a", "dev-b")
        first, second = world.pod_gpus("dev-a"), world.pod_gpus("dev-b")
        assert len(first) == len(second) == 1 and first != second, (first, second)


def more_than_there_are_stays_pending(world):
    with gone(world, "dev-many"):
        world.apply(plain("dev-many", gpus=world.gpus + 1))
        world.until("the scheduler says why", lambda: any("Insufficient ccgpu.dev/cc-gpu" in event["message"] for event in world.events("dev-many")))


def assignment_survives_a_container_restart(world):
    with gone(world, "dev-restart"):
        world.apply(plain("dev-restart", restartPolicy="Always"))
        ready(world, "dev-restart")
        before = world.pod_gpus("dev-restart")
        container = world.get("pod", "dev-restart")["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        world.on_node("ctr", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", container)
        world.until("it runs again", lambda: world.get("pod", "dev-restart")["status"]["containerStatuses"][0]["restartCount"] > 0, 60)
        assert world.pod_gpus("dev-restart") == before


def assignment_survives_kubelet_plugin_and_both(world):
    with gone(world, "dev-keep"):
        world.apply(plain("dev-keep"))
        ready(world, "dev-keep")
        before = world.pod_gpus("dev-keep")
        for restart in ([restart_kubelet], [restart_plugin], [restart_plugin, restart_kubelet], [restart_kubelet, restart_plugin]):
            for one in restart:
                one(world)
            advertised(world)
            assert world.pod_gpus("dev-keep") == before, restart
            status = world.get("pod", "dev-keep")["status"]
            assert status["phase"] == "Running" and status["containerStatuses"][0]["restartCount"] == 0, status
        with gone(world, "dev-other"):
            world.apply(plain("dev-other"))
            ready(world, "dev-other")
            assert not set(world.pod_gpus("dev-other")) & set(before)


def a_stopped_plugin_means_none_allocatable(world):
    with gone(world, "dev-running", "dev-late"):
        world.apply(plain("dev-running"))
        ready(world, "dev-running")
        with without_plugin(world):
            world.until("capacity stays, nothing is allocatable", lambda: world.amounts() == (world.gpus, 0))
            assert world.get("pod", "dev-running")["status"]["phase"] == "Running"
            # Bound by hand, past the scheduler: the kubelet itself refuses.
            world.apply(plain("dev-late", nodeName=world.node))
            status = world.until("kubelet refuses it", lambda: (lambda s: s if s["phase"] == "Failed" else None)(world.get("pod", "dev-late")["status"]))
            assert status["reason"] == "UnexpectedAdmissionError", status


def a_succeeded_pod_is_not_admitted_again(world):
    with gone(world, "dev-done"):
        world.apply(plain("dev-done", command=["/bin/true"]))
        world.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/dev-done", "--timeout=60s")
        with without_plugin(world):
            restart_kubelet(world)
            world.until("the node is Ready", lambda: "True" in world.kubectl("get", "node", world.node, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}").out)
            assert world.get("pod", "dev-done")["status"]["phase"] == "Succeeded"


def orphaned_pods_are_cleaned_up(world):
    with gone(world, "dev-orphan"):
        world.apply(plain("dev-orphan"))
        ready(world, "dev-orphan")
        held = world.pod_gpus("dev-orphan")
        uid = world.get("pod", "dev-orphan")["metadata"]["uid"]
        world.on_node("systemctl", "stop", "kubelet")
        try:
            world.kubectl("delete", "pod", "dev-orphan", "--grace-period=0", "--force")
        finally:
            world.on_node("systemctl", "start", "kubelet")
        world.until("its folder is gone", lambda: world.on_node("test", "-e", f"/var/lib/kubelet/pods/{uid}", check=False).code != 0, 90)
        advertised(world)
        world.apply(plain("dev-orphan", gpus=world.gpus))  # all of them, so the orphan's too
        ready(world, "dev-orphan")
        assert set(held) <= set(world.pod_gpus("dev-orphan"))


def init_containers_share_and_sidecars_keep(world):
    limits = {"limits": {GPU: "1"}}
    image = {"image": TOOLS, "imagePullPolicy": "Never", "resources": limits}
    body = plain("dev-init")
    body["spec"]["initContainers"] = [{"name": "sidecar", "command": ["sleep", "3600"], "restartPolicy": "Always", **image},
                                      {"name": "plain", "command": ["/bin/true"], **image}]
    with gone(world, "dev-init"):
        world.apply(body)
        ready(world, "dev-init")
        uid = world.get("pod", "dev-init")["metadata"]["uid"]
        held = {entry["ContainerName"]: {one for ids in entry["DeviceIDs"].values() for one in ids} for entry in checkpoint(world)["PodDeviceEntries"] if entry["PodUID"] == uid}
        assert held["plain"] == held["main"] and not held["sidecar"] & held["main"], held


def unhealthy_devices_are_not_handed_out(world):
    with gone(world, "dev-well"):
        world.apply(plain("dev-well"))
        ready(world, "dev-well")
        with world.gpu_fault(world.pod_gpus("dev-well")[0], "drop"):
            world.until("one less is allocatable, capacity stays", lambda: world.amounts() == (world.gpus, world.gpus - 1))
            # The kubelet does not end pods whose device fails; it tells it in their status.
            assert world.get("pod", "dev-well")["status"]["phase"] == "Running"
            world.until("the pod's status tells it", lambda: _health(world, "dev-well") == "Unhealthy")
        advertised(world)
        world.until("and that it is well again", lambda: _health(world, "dev-well") == "Healthy")


def _health(world, name):
    status = world.get("pod", name)["status"]["containerStatuses"][0].get("allocatedResourcesStatus", [])
    return next((resource["health"] for entry in status if entry["name"] == GPU for resource in entry.get("resources", [])), None)


def an_upgrade_of_the_plugin_loses_no_moment(world):
    """Two instances overlap (maxSurge): allocatable never goes down while the DaemonSet rolls."""
    watch = world.watch("node", world.node, "{.status.allocatable.ccgpu\\.dev/cc-gpu}")
    with watch:
        restart_plugin(world)
        with gone(world, "dev-after"):
            world.apply(plain("dev-after"))
            ready(world, "dev-after")
    assert set(watch.seen) == {str(world.gpus)}, watch.seen


def the_checkpoint_names_what_pods_hold(world):
    with gone(world, "dev-check"):
        world.apply(plain("dev-check", gpus=2))
        ready(world, "dev-check")
        registered = checkpoint(world)["RegisteredDevices"][GPU]
        assert set(world.pod_gpus("dev-check")) <= set(registered) and len(registered) == world.gpus


def cdi_reaches_containers_where_the_runtime_knows_it(world):
    """containerd 2 applies the CDI name that Allocate answers; 1.6 ignores it silently, so there our shim resolves it (see attested pods)."""
    with gone(world, "dev-cdi"):
        world.apply(plain("dev-cdi", command=["/bin/sh", "-c", "env; sleep 3600"]))
        ready(world, "dev-cdi")
        log = world.kubectl("logs", "dev-cdi").out
        assert (f"CCGPU_GPU_UUIDS={world.pod_gpus('dev-cdi')[0]}" in log) == (world.containerd == "2"), log


def a_static_pod_before_registration_is_refused_by_the_shim(world):
    """A kubelet admits a pod that asks for a resource it does not know yet WITHOUT the device: the sandbox must not start."""
    body = pod("static-early", gpus=1)
    sealed = world.seal(body)
    with without_plugin(world):
        world.on_node("systemctl", "stop", "kubelet")
        world.on_node("rm", "-f", "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint")
        text = world.run("cat", sealed).out
        world.write_on_node("/etc/kubernetes/manifests/static-early.yaml", text)
        try:
            world.on_node("systemctl", "start", "kubelet")
            name = f"static-early-{world.node}"
            events = world.until("it is refused with the reason", lambda: [event["message"] for event in world.events(name) if "gpu." in event["message"]], 120)
            assert any("gpu." in text for text in events), events
            # Its mirror in the API comes and goes while the kubelet tries again; it never runs.
            world.until("it waits", lambda: (world.find("pod", name) or {"status": {}})["status"].get("phase") == "Pending")
        finally:
            world.on_node("rm", "-f", "/etc/kubernetes/manifests/static-early.yaml")
            world.until("it is gone", lambda: not world.find("pod", f"static-early-{world.node}"), 90)


SCENARIOS = [pods_get_devices_of_their_own, more_than_there_are_stays_pending, assignment_survives_a_container_restart, assignment_survives_kubelet_plugin_and_both,
             a_stopped_plugin_means_none_allocatable, a_succeeded_pod_is_not_admitted_again, orphaned_pods_are_cleaned_up, init_containers_share_and_sidecars_keep,
             unhealthy_devices_are_not_handed_out, an_upgrade_of_the_plugin_loses_no_moment, the_checkpoint_names_what_pods_hold,
             cdi_reaches_containers_where_the_runtime_knows_it, a_static_pod_before_registration_is_refused_by_the_shim]
