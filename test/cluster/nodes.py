"""Two nodes: their pod network, GPUs and keys on each, pods that move, a node that leaves, and one that loses its power.

Each function takes the World of two nodes; world.node is the control plane, which takes pods as well here.
"""
import contextlib
import copy

from cluster.installing import listing
from cluster.workloads import ASK, answered, applied, asking_for, gone_pods, workload
from cluster.world import SYSTEM, World, pod

HOST = "kubernetes.io/hostname"
SERVE = "echo $0 >/tmp/index.html; exec /bin/busybox httpd -f -p 8080 -h /tmp"


def at(world, node):
    """The same world seen from another node: its GPUs, its files."""
    there = copy.copy(world)
    there.node = node
    return there


def both(world):
    return [at(world, node) for node in world.cluster.nodes()]


def of_two():
    """With the control plane open for pods."""
    world = World.of("2", nodes=2, gpus=2)
    world.kubectl("taint", "node", world.node, "node-role.kubernetes.io/control-plane-", check=False)
    return world


def of_two_installed():
    world = of_two()
    if not world.find("-n", SYSTEM, "deployment", "ccgpu-broker"):
        each_node_gets_its_gpus_with_its_label(world)
    return world


def on(node):
    return {"nodeSelector": {HOST: node.node}}


def pods_reach_each_other_and_services_by_name(world):
    """Between nodes, in both directions; every name through the cluster's DNS."""
    names = {f"net-{number}": node for number, node in enumerate(both(world))}
    with gone_pods(world, *names):
        for name, node in names.items():
            body = pod(name, command=["/bin/sh", "-c", SERVE, name], gpus=0, runtime=None, **on(node))
            body["metadata"]["labels"] = {"net": name}
            world.apply(body, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
                               "spec": {"selector": {"net": name}, "ports": [{"port": 80, "targetPort": 8080}]}})
        world.kubectl("wait", "--for=condition=Ready", *(f"pod/{name}" for name in names), "--timeout=60s")
        assert {world.get("pod", name)["spec"]["nodeName"] for name in names} == {node.node for node in names.values()}
        for here, there in (("net-0", "net-1"), ("net-1", "net-0")):
            address = world.get("pod", there)["status"]["podIP"]
            for where in (f"{address}:8080", f"{there}.default.svc.cluster.local"):
                # A connection from before kube-proxy knew the Service would never get there: each try is a new one. (wget's own -T crashes in Debian's busybox.)
                fetch = ["timeout", "5", "wget", "-qO-", f"http://{where}/"]
                world.until(f"{here} reaches {where}", lambda: world.kubectl("exec", here, "--", *fetch, check=False).out.strip() == there)
        world.kubectl("delete", "service", *names)


def load_puts_images_on_every_node(world):
    wanted = {archive.stem for archive in world.images.glob("*.tar")}
    for node in both(world):
        there = world.on_node("ctr", "-n", "k8s.io", "images", "ls", "-q", node=node.node).out
        assert all(f"/ccgpu/{name}:" in there for name in wanted), (node.node, there)


def each_node_gets_its_gpus_with_its_label(world):
    """One node after the other; the first label brings nothing to the second node."""
    world.files_before = {node.node: listing(node) for node in both(world)}
    world.install()
    first, second = both(world)
    assert first.allocatable() == world.gpus and second.amounts() == (-1, -1)
    world.kubectl("label", "node", second.node, "ccgpu.dev/enabled=true")
    world.until("the second node advertises its GPUs", lambda: second.allocatable() == world.gpus, 120)
    _can_run(second)


def _can_run(node):
    node.until(f"{node.node} can run our pods", lambda: node.get("node", node.node)["metadata"]["labels"].get("ccgpu.dev/ready") == "true", 120)


def a_pod_on_each_node_gets_its_key(world):
    """The broker runs on one of them."""
    first, second = both(world)
    with asking_for(world, "near", "default/near/key", **on(first)) as near, asking_for(world, "far", "default/far/key", **on(second)) as far:
        answered(world, "near", near)
        answered(world, "far", far)
        assert first.pod_gpus("near") and second.pod_gpus("far")


def more_replicas_than_a_node_has_gpus_spread_and_a_drain_moves_them(world):
    path = "default/spread/key"
    first, second = both(world)
    with applied(world, workload("Deployment", "spread", ["/bin/sh", "-c", ASK % path], replicas=world.gpus + 1), path) as spread:
        spread.rolled_out()
        assert set(_nodes_of(world, "spread")) == {first.node, second.node}
        for name in spread.pods():
            answered(world, name, spread.key)
        world.kubectl("scale", "deployment/spread", f"--replicas={world.gpus}")
        spread.rolled_out()
        try:
            world.kubectl("drain", second.node, "--pod-selector=app=spread", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=90s")
            spread.rolled_out()
            world.until("all of them run on the other node", lambda: _nodes_of(world, "spread") == [first.node] * world.gpus)
            world.until("the drained node's GPUs are free", lambda: _free(second))
        finally:
            world.kubectl("uncordon", second.node)
        for name in spread.pods():
            answered(world, name, spread.key)


def _nodes_of(world, app):
    """Where each of its running pods is."""
    return [item["spec"]["nodeName"] for item in world.get("pods", "-l", f"app={app}", "--field-selector=status.phase=Running")["items"]
            if "deletionTimestamp" not in item["metadata"]]


def _free(node):
    return all(not gpu["sandbox_id"] for gpu in node.emulator("--json", "gpu", "list").json())


def without_the_label_a_node_is_put_back_and_the_other_goes_on(world):
    first, second = both(world)
    with asking_for(world, "stays", "default/stays/key", **on(first)) as key:
        answered(world, "stays", key)
        with _without_label(second):
            world.until("nothing of ours runs there", lambda: not _ours_on(second), 120)
            world.until("its files are as before", lambda: listing(second) == world.files_before[second.node], 60)
            labels = [name for name in world.get("node", second.node)["metadata"]["labels"] if "ccgpu" in name]
            assert not labels, labels
            assert second.allocatable() <= 0 and first.allocatable() == world.gpus
            assert world.get("pod", "stays")["status"]["containerStatuses"][0]["restartCount"] == 0
            answered(world, "stays", key, again=True)
    world.until("it comes back with its label", lambda: second.allocatable() == world.gpus, 120)
    _can_run(second)


@contextlib.contextmanager
def _without_label(node):
    node.kubectl("label", "node", node.node, "ccgpu.dev/enabled-")
    try:
        yield
    finally:
        node.kubectl("label", "node", node.node, "ccgpu.dev/enabled=true")


def _ours_on(node):
    """The broker may run anywhere."""
    pods = node.get("-n", SYSTEM, "pods", "--field-selector", f"spec.nodeName={node.node}")["items"]
    return [item["metadata"]["name"] for item in pods if item["metadata"]["labels"].get("app.kubernetes.io/component") not in ("broker", "setup")]


def a_node_that_lost_power_comes_back(world):
    """Everything in it dies at once; it starts again with an empty /run and, by chance, another address.

    A kubelet admits pods before device plugins have registered: those with GPUs end as UnexpectedAdmissionError, on any Kubernetes, and
    their controllers make new ones. Pods without GPUs are started again in their place."""
    path = "default/power/key"
    second = both(world)[1]
    with asking_for(world, "lonely", "default/lonely/key", **on(second)) as lonely, \
            asking_for(world, "plain", "default/plain/key", gpus=0, restartPolicy="Always", **on(second)) as plain, \
            applied(world, workload("Deployment", "power", ["/bin/sh", "-c", ASK % path], replicas=1), path) as power:
        answered(world, "lonely", lonely)
        answered(world, "plain", plain)
        power.rolled_out()
        before, died = _restarts(second), _sandboxes(second)
        assert len(died) >= 2, died
        world.run("podman", "kill", "--signal", "KILL", second.node)
        world.run("podman", "start", second.node)
        world.until("each of our pods there is started again and ready",
                    lambda: (now := _restarts(second)) and all(now.get(name, 0) > count for name, count in before.items()), 120)
        world.until("its GPUs are allocatable", lambda: second.allocatable() == world.gpus, 90)
        status = world.until("the kubelet refused the pod that it had", lambda: (lambda s: s if s["phase"] == "Failed" else None)(world.get("pod", "lonely")["status"]))
        assert status["reason"] == "UnexpectedAdmissionError", status
        world.until("the pod without GPUs runs again", lambda: _runs_again(world, "plain"), 90)
        answered(world, "plain", plain)
        power.rolled_out()
        for name in power.pods():
            answered(world, name, power.key)
    with asking_for(world, "lonely", "default/lonely/key", **on(second)) as key:
        answered(world, "lonely", key)
    assert not died & _sandboxes(second), (died, _sandboxes(second))
    world.until("its GPUs are free", lambda: _free(second))


def _restarts(node):
    """Of our own pods on the node, by name; None until all of them are ready."""
    found = {}
    for item in node.get("-n", SYSTEM, "pods", "--field-selector", f"spec.nodeName={node.node}")["items"]:
        statuses = item["status"].get("containerStatuses", [])
        if not statuses or not all(one["ready"] for one in statuses):
            return None
        found[item["metadata"]["name"]] = sum(one["restartCount"] for one in statuses)
    return found


def _runs_again(world, name):
    status = world.get("pod", name)["status"]["containerStatuses"][0]
    return status["restartCount"] > 0 and status["ready"]


def _sandboxes(node):
    """What lies in our folder of running pods; the node manager removes those of ended ones a minute later."""
    return set(node.on_node("ls", "/run/ccgpu/pods").out.split())


BEFORE = [pods_reach_each_other_and_services_by_name, load_puts_images_on_every_node, each_node_gets_its_gpus_with_its_label]
# Power loss comes last: it changes files of the node itself, its address for one.
SCENARIOS = [a_pod_on_each_node_gets_its_key, more_replicas_than_a_node_has_gpus_spread_and_a_drain_moves_them,
             without_the_label_a_node_is_put_back_and_the_other_goes_on, a_node_that_lost_power_comes_back]
