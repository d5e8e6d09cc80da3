"""Putting ccgpu into a cluster and out of it again, as a user does: helm and labels, nothing by hand."""
import json

from cluster.world import ROOT, SYSTEM, pod
from cluster.workloads import answered, asking_for, gone_pods

# What may differ on a node that was visited: logs, and what kubelet and containerd keep for themselves.
LISTED = "/etc /opt /usr/local /usr/bin /var/lib/ccgpu /var/run/cdi /run/ccgpu /etc/containerd/config.toml"
CHART = ROOT / "charts" / "ccgpu"


def listing(world):
    """Every file of ours or beside ours on the node with its content's digest, every link with its target."""
    found = world.on_node("sh", "-c", f"find {LISTED} -xdev -type f -exec sha256sum {{}} + 2>/dev/null; find {LISTED} -xdev -type l -printf '%p -> %l\\n' 2>/dev/null; true").out
    return sorted(found.splitlines())


def changes(world):
    before, after = set(world.files_before), set(listing(world))
    return json.dumps({"new": sorted(after - before), "lost": sorted(before - after)}, indent=1)


def api_objects(world):
    """Names of everything that belongs to us in the API, cluster-wide."""
    kinds = world.kubectl("api-resources", "--verbs=list", "-o", "name").out.split()
    kinds = [kind for kind in kinds if not kind.startswith(("events", "componentstatuses")) and "metrics.k8s.io" not in kind]
    found = world.kubectl("get", ",".join(kinds), "-A", "-o", "name", check=False).out.split()
    return sorted(name for name in found if "ccgpu" in name and not name.startswith(("node/", "namespace/")))


def nothing_is_advertised_before_the_label(world):
    world.files_before, world.labels_before = listing(world), world.get("node", world.node)["metadata"]["labels"]
    world.helm("install", "ccgpu", CHART, "-n", SYSTEM, "--create-namespace", "--wait", "--timeout", "180s",
               "--set", f"emulator.gpus={world.gpus},broker.insecureAcceptEmulated=true")
    assert world.amounts() == (-1, -1)
    assert all(pod_["metadata"]["labels"].get("app.kubernetes.io/component") in ("broker", "setup") for pod_ in world.get("-n", SYSTEM, "pods")["items"])
    assert listing(world) == world.files_before, changes(world)


def the_label_makes_a_node_ready(world):
    world.kubectl("label", "node", world.node, "ccgpu.dev/enabled=true", "--overwrite")
    world.until("the node advertises its GPUs", lambda: world.allocatable() == world.gpus, 120)
    world.until("the node can run our pods", lambda: world.get("node", world.node)["metadata"]["labels"].get("ccgpu.dev/ready") == "true")
    labels = world.get("node", world.node)["metadata"]["labels"]
    assert labels["ccgpu.dev/gpu.count"] == str(world.gpus) and labels["ccgpu.dev/tee"] == "snp" and "H100" in labels["ccgpu.dev/gpu.model"], labels


def the_first_attested_pod_gets_its_key(world):
    with asking_for(world, "first", "default/first/key") as key:
        answered(world, "first", key)
        condition = world.until("its condition says so", lambda: world.condition("first"))
        assert condition["status"] == "True", condition


def an_unsealed_pod_is_denied_with_its_reason(world):
    with gone_pods(world, "unsealed"):
        world.apply(pod("unsealed"))
        world.until("kubectl describe says why, within 10 s", lambda: "policy.missing" in world.kubectl("describe", "pod", "unsealed").out, 10)


def an_upgrade_keeps_running_pods(world):
    with asking_for(world, "kept", "default/kept/key") as key:
        answered(world, "kept", key)
        before = world.get("pod", "kept")
        world.helm("upgrade", "ccgpu", CHART, "-n", SYSTEM, "--reuse-values", "--set", "logLevel=debug", "--wait", "--timeout", "180s")
        for component in ("node-installer", "device-plugin", "node-manager"):
            world.kubectl("-n", SYSTEM, "rollout", "status", f"daemonset/ccgpu-{component}", "--timeout=120s")
        world.helm("rollback", "ccgpu", "-n", SYSTEM, "--wait", "--timeout", "180s")
        for component in ("node-installer", "device-plugin", "node-manager"):
            world.kubectl("-n", SYSTEM, "rollout", "status", f"daemonset/ccgpu-{component}", "--timeout=120s")
        after = world.get("pod", "kept")
        assert after["metadata"]["uid"] == before["metadata"]["uid"] and after["status"]["phase"] == "Running"
        assert after["status"]["containerStatuses"][0]["restartCount"] == 0, after["status"]
        answered(world, "kept", key, again=True)


def an_uninstall_waits_for_the_pods_that_run_and_leaves_nothing(world):
    with asking_for(world, "last", "default/last/key") as key:
        answered(world, "last", key)
        uninstall = world.begin("helm", "uninstall", "ccgpu", "-n", SYSTEM, "--wait", "--timeout", "240s")
        installer = ["-n", SYSTEM, "logs", "-l", "app.kubernetes.io/component=node-installer", "--tail=-1"]
        world.until("the installer says whom it waits for", lambda: "installer.pods-running" in world.kubectl(*installer).out)
        answered(world, "last", key, again=True)
    said, _ = uninstall.communicate(timeout=240)
    assert uninstall.returncode == 0, said
    world.until("its pods are gone", lambda: not world.get("-n", SYSTEM, "pods")["items"], 120)
    world.kubectl("label", "node", world.node, "ccgpu.dev/enabled-")
    assert api_objects(world) == [], api_objects(world)
    node = world.get("node", world.node)
    left = {key: value for key, value in node["metadata"]["labels"].items() if key not in world.labels_before}
    assert not left, left
    assert not [one for one in node["status"]["conditions"] if one["type"].startswith("ccgpu.dev/")]
    assert listing(world) == world.files_before, changes(world)


FIRST = [nothing_is_advertised_before_the_label, the_label_makes_a_node_ready, the_first_attested_pod_gets_its_key, an_unsealed_pod_is_denied_with_its_reason,
         an_upgrade_keeps_running_pods]
LAST = [an_uninstall_waits_for_the_pods_that_run_and_leaves_nothing]
