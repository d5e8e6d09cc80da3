"""Many pods on one node of a real cluster: how many a minute, what each costs, how long Allocate takes; beside the stock runtime's."""
import re
import time

from bench.processes import all_processes
from bench.rows import row
from cluster.workloads import template
from cluster.world import World

GPUS, PODS, AT_ONCE, STANDING = 64, 200, 32, 32
OURS = {"containerd-shim-ccgpu-v2", "ccgpu-guestd", "ccgpu-agent"}
STOCK = {"containerd-shim-runc-v2", "pause"}


def job(name, runtime, gpus):
    body = template(name, ["/bin/true"], gpus=gpus)
    if runtime is None:
        body["spec"].pop("runtimeClassName")
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "default"},
            "spec": {"completions": PODS, "parallelism": AT_ONCE, "backoffLimit": 0, "template": body}}


def standing(name, runtime, gpus):
    body = template(name, ["/bin/sleep", "3600"], gpus=gpus)
    body["spec"]["restartPolicy"] = "Always"
    if runtime is None:
        body["spec"].pop("runtimeClassName")
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
            "spec": {"replicas": STANDING, "selector": {"matchLabels": {"app": name}}, "template": body}}


def pods_a_minute(world, manifest, sealed):
    name = manifest["metadata"]["name"]
    begin = time.monotonic()
    if sealed:
        world.kubectl("apply", "-f", world.seal(manifest))
    else:
        world.apply(manifest)
    world.kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=900s", limit_s=1000)
    minutes = (time.monotonic() - begin) / 60
    world.kubectl("delete", "job", name, "--cascade=foreground", "--timeout=300s", limit_s=400)
    return PODS / minutes


def mib_a_pod(world, manifest, sealed, programs):
    name = manifest["metadata"]["name"]

    def total():
        sizes = []
        for process in all_processes():
            try:
                if process.program in programs:
                    sizes.append(process.pss_mib())
            except (OSError, AssertionError):
                pass  # it ended while we read
        return sum(sizes)
    before = total()
    if sealed:
        world.kubectl("apply", "-f", world.seal(manifest))
    else:
        world.apply(manifest)
    world.kubectl("rollout", "status", f"deployment/{name}", "--timeout=600s", limit_s=700)
    cost = (total() - before) / STANDING
    world.kubectl("delete", "deployment", name, "--cascade=foreground", "--timeout=300s", limit_s=400)
    return cost


def allocate_ms(world):
    """Mean of what the kubelet itself measured."""
    text = world.kubectl("get", "--raw", f"/api/v1/nodes/{world.node}/proxy/metrics").out
    value = lambda kind: float(re.search(rf'kubelet_device_plugin_alloc_duration_seconds_{kind}{{[^}}]*cc-gpu[^}}]*}} (\S+)', text)[1])  # noqa: E731
    return value("sum") / value("count") * 1000, value("count")


def cluster(_):
    world = World("2", gpus=GPUS)
    # The usual overhead of 50m a pod is for nodes that are paid for: here it would let 20 run on two cores, and the queue be measured.
    world.install("--set", "broker.persistence.type=emptyDir,runtimeClass.overhead.cpu=1m")
    stock_rate = pods_a_minute(world, job("stock", None, 0), False)
    rate = pods_a_minute(world, job("ours", "ccgpu", 1), True)
    stock_mib = mib_a_pod(world, standing("stock", None, 0), False, STOCK)
    mib = mib_a_pod(world, standing("ours", "ccgpu", 1), True, OURS)
    milliseconds, calls = allocate_ms(world)
    told = f"{PODS} pods, {AT_ONCE} at once, each attested with a GPU of {GPUS}"
    return [
        row("cluster.pods-a-minute", rate, "pods/min", "the same pods on the stock runtime, no GPU", stock_rate, None, told),
        row("cluster.memory-of-a-pod", mib, "MiB", "the stock shim and its pause container", stock_mib, None, f"proportional set size of shim, guestd and agent, {STANDING} pods"),
        row("cluster.allocate", milliseconds, "ms", "a millisecond", 1.0, "value < 1.0", f"mean of {calls:.0f} calls as the kubelet measures them"),
    ]
