"""The device plugin before a real kubelet: what only a cluster can show. What ccgpu-node must do alike stands in scenarios/table.py.

Each function takes a World with ccgpu installed and leaves no pod behind.
"""
from cluster.world import GPU, pod
from scenarios.on_kubelet import Kubelet


def more_than_there_are_stays_pending(world):
    place = Kubelet(world)
    with place.gone("dev-many"):
        world.apply(place.pod("dev-many", gpus=world.gpus + 1))
        world.until("the scheduler says why", lambda: any("Insufficient ccgpu.dev/cc-gpu" in event["message"] for event in world.events("dev-many")))


def orphaned_pods_are_cleaned_up(world):
    place = Kubelet(world)
    with place.pods(place.pod("dev-orphan")):
        held = place.held("dev-orphan")
        uid = world.get("pod", "dev-orphan")["metadata"]["uid"]
        with place.without_node_service():
            world.kubectl("delete", "pod", "dev-orphan", "--grace-period=0", "--force")
        world.until("its folder is gone", lambda: world.on_node("test", "-e", f"/var/lib/kubelet/pods/{uid}", check=False).code != 0, 90)
        place.all_offered()
        with place.pods(place.pod("dev-next", gpus=world.gpus)):  # all of them, so the orphan's too
            assert held <= place.held("dev-next")


def health_is_told_in_the_status_of_pods(world):
    def health():
        status = world.get("pod", "dev-well")["status"]["containerStatuses"][0].get("allocatedResourcesStatus", [])
        return next((resource["health"] for entry in status if entry["name"] == GPU for resource in entry.get("resources", [])), None)
    place = Kubelet(world)
    with place.pods(place.pod("dev-well")):
        with world.gpu_fault(place.held("dev-well").pop(), "drop"):
            world.until("the pod's status tells it", lambda: health() == "Unhealthy")
        world.until("and that it is well again", lambda: health() == "Healthy")
        place.all_offered()


def an_upgrade_of_the_plugin_loses_no_moment(world):
    """Two instances overlap (maxSurge): allocatable never goes down while the DaemonSet rolls."""
    place, watch = Kubelet(world), world.watch("node", world.node, "{.status.allocatable.ccgpu\\.dev/cc-gpu}")
    with watch:
        place.restart_plugin()
        with place.pods(place.pod("dev-after")):
            pass
    assert set(watch.seen) == {str(world.gpus)}, watch.seen


def the_checkpoint_names_what_pods_hold(world):
    place = Kubelet(world)
    with place.pods(place.pod("dev-check", gpus=2)):
        registered = place.checkpoint()["RegisteredDevices"][GPU]
        assert place.held("dev-check") <= set(registered) and len(registered) == world.gpus


def cdi_reaches_containers_where_the_runtime_knows_it(world):
    """containerd 2 applies the CDI name that Allocate answers; 1.6 ignores it silently, so there our shim resolves it (see attested pods)."""
    place = Kubelet(world)
    with place.pods(place.pod("dev-cdi", "env; sleep 3600")):
        device, = place.held("dev-cdi")
        log = place.logs("dev-cdi")
        assert (f"CCGPU_GPU_UUIDS={device}" in log) == (world.containerd == "2"), log


def a_static_pod_before_registration_is_refused_by_the_shim(world):
    """A kubelet admits a pod that asks for a resource it does not know yet WITHOUT the device: the sandbox must not start."""
    text = world.run("cat", world.seal(pod("static-early", gpus=1))).out
    place, name = Kubelet(world), f"static-early-{world.node}"
    with place.without_plugin():
        try:
            with place.without_node_service():
                place.forget()
                world.write_on_node("/etc/kubernetes/manifests/static-early.yaml", text)
            world.until("it is refused with the reason", lambda: any("[gpu.resolver-unreachable]" in event["message"] for event in world.events(name)), 120)
            # Its mirror in the API comes and goes while the kubelet tries again; it never runs.
            world.until("it waits", lambda: (world.find("pod", name) or {"status": {}})["status"].get("phase") == "Pending")
        finally:
            world.on_node("rm", "-f", "/etc/kubernetes/manifests/static-early.yaml")
            world.until("it is gone", lambda: not world.find("pod", name), 90)


def the_plugin_holds_less_than_10_mb_on_its_node(world):
    """After all that it did for the scenarios before. It is on every node, so its memory is the price of having us installed."""
    find = "grep -h ^VmRSS: $(grep -l '^ccgpu-device-pl' /proc/[0-9]*/comm | sed 's/comm$/status/')"  # the kernel keeps 15 letters of a name
    held = [int(line.split()[1]) * 1024 for line in world.on_node("sh", "-c", find).out.splitlines()]
    print(f"    device plugin: {', '.join(f'{one / 1e6:.1f}' for one in held)} MB resident", flush=True)
    assert held and max(held) < 10e6, held


SCENARIOS = [more_than_there_are_stays_pending, orphaned_pods_are_cleaned_up, health_is_told_in_the_status_of_pods, an_upgrade_of_the_plugin_loses_no_moment,
             the_checkpoint_names_what_pods_hold, cdi_reaches_containers_where_the_runtime_knows_it, a_static_pod_before_registration_is_refused_by_the_shim,
             the_plugin_holds_less_than_10_mb_on_its_node]
