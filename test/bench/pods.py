"""How long a pod takes, what it costs in memory, and how soon it has its key."""
import time

from bench.processes import parts_of, parts_of_all
from bench.rows import median, row, spread
from e2e import harness
from e2e.harness import fetch, pod, wait_for

POD_RUNS, KEY_RUNS, MANY_PODS = 12, 7, 8


def stock(name, command):
    """The same pod for containerd's stock runc shim: no policy, no initdata."""
    manifest = pod(name, command, gpus=0)
    manifest["spec"]["runtimeClassName"] = "runc"
    return manifest


def seconds_of_run(node, manifest, name):
    start = time.monotonic()
    result = node.run(manifest, "--quiet")
    seconds = time.monotonic() - start
    assert result.code == 0, f"{result}\n{node.logs()}"
    node.remove(name)
    return seconds


def life(node):
    """A pod's whole way, in turns with its alternative so that what else the machine does hits both."""
    kinds = {
        "plain": node.seal(pod("plain", "true", gpus=0)),
        "stock": node.file("stock.yaml", stock("stock", "true")),
        "gpu": node.seal(pod("gpu", "true", gpus=1)),
    }
    seconds = {kind: [] for kind in kinds}
    for turn in range(POD_RUNS + 1):
        for kind in sorted(kinds, reverse=turn % 2 == 1):
            taken = seconds_of_run(node, kinds[kind], kind)
            if turn > 0:  # the first of each fills the caches
                seconds[kind].append(taken)
    beside = median(seconds["stock"])
    return [
        row("pod.life", median(seconds["plain"]), "s", "the same pod with containerd-shim-runc-v2", beside, "ratio <= 1.0",
            f"no GPU: {spread(seconds['plain'])}; stock: {spread(seconds['stock'])}"),
        row("pod.life-with-gpu", median(seconds["gpu"]), "s", "the same pod with containerd-shim-runc-v2, no GPU", beside, None,
            f"locked, attested, scrubbed: {spread(seconds['gpu'])}"),
    ]


def start(node, manifest, name):
    """A pod that prints one line when it is where we want it, and then stays. Returns that line's words."""
    result = node.run(manifest, "--detach")
    assert result.code == 0, f"{result}\n{node.logs()}"
    line = []

    def ready():
        line[:] = node.ccgpu("logs", name).out.split()
        return line
    wait_for(ready, 20, lambda: f"no line of {name}: {node.describe(name)['containers']}")
    return list(line)


# The shell's own clock: seconds since the machine's start, the same clock as the start times of processes.
WITH_KEY = 'read begun rest </proc/uptime; key=$({fetch}) && [ "$key" = the-key ] || exit 1; read have rest </proc/uptime; echo $begun $have; sleep 600'


def with_key(node, name):
    resource = f"default/{name}/key"
    sealed = node.seal(pod(name, WITH_KEY.format(fetch=fetch(resource))))
    node.put_secret(resource, "the-key", sealed)
    return sealed


def key(node):
    """From the start of the agent's process to the key in a variable of the container's shell."""
    have, begun = [], []
    sealed = with_key(node, "key")
    for turn in range(KEY_RUNS + 1):
        times = [float(word) for word in start(node, sealed, "key")]
        agent = parts_of(node, "key")["agent"]
        node.remove("key")
        if turn > 0:  # the first lets the broker fetch the collateral
            begun.append(times[0] - agent.started)
            have.append(times[1] - agent.started)
    return [row("key.in-hand", median(have), "s", "in the same pods, agent start to the container's first command", median(begun), "value < 0.5",
                f"GPU and sandbox attested: {spread(have)}; clocks tick in 0.01 s")]


def memory_of_many(count):
    """PSS a pod when there are `count`, each with its GPU and its key: what a pod costs on a node that is in use, where pods share their programs' pages."""
    node = harness.Node(gpus=count)
    try:
        names = [f"many{index}" for index in range(count)]
        for name in names:
            start(node, with_key(node, name), name)
        return {part: sum(process.pss_mib() for process in processes) / count for part, processes in parts_of_all(node, count).items()}
    finally:
        node.close()


def memory(node):
    """Resident memory of idle pods, after the key has been fetched where there is an agent."""
    pods = {"memgpu": with_key(node, "memgpu"), "memplain": node.seal(pod("memplain", "echo ready; sleep 600", gpus=0)),
            "memstock": node.file("memstock.yaml", stock("memstock", "echo ready; sleep 600"))}
    rss, pss, image = {}, {}, 0.0
    for name, manifest in pods.items():
        start(node, manifest, name)
        parts = parts_of(node, name)
        rss[name] = parts["shim"].rss_mib()
        pss[name] = {part: process.pss_mib() for part, process in parts.items()}
        if "guestd" in parts:
            image = max(image, parts["guestd"].memfds_mib())
        node.remove(name)

    pss["many"] = memory_of_many(MANY_PODS)

    def told(name):
        return " + ".join(f"{part} {mib:.1f}" for part, mib in pss[name].items())
    return [
        row("memory.shim", max(rss["memgpu"], rss["memplain"]), "MiB", "containerd-shim-runc-v2", rss["memstock"], "value <= 4",
            f"VmRSS; with a GPU {rss['memgpu']:.2f}, without {rss['memplain']:.2f}"),
        row("memory.pod", sum(pss["memgpu"].values()), "MiB", "containerd-shim-runc-v2 and pause", sum(pss["memstock"].values()), "value <= 12",
            f"PSS, one pod on the node: {told('memgpu')}; without a GPU: {told('memplain')}; stock: {told('memstock')}; "
            f"besides, the sandbox holds {image:.1f} of sealed image, counted only where it is mapped"),
        row("memory.pod-of-many", sum(pss["many"].values()), "MiB", "one pod alone on its node", sum(pss["memgpu"].values()), "value <= 12",
            f"PSS of one of {MANY_PODS} such pods: {told('many')}"),
    ]
