"""What people see: events, conditions, kubectl ccgpu, and the outcome of attacks."""

from cluster.world import SYSTEM, pod
from cluster.workloads import ASK, ASK_ONCE, answered, asking_for, gone_pods, lines


def status_names_every_part(world):
    status = world.ccgpu("status", "--json").json()
    assert {part["name"] for part in status["components"]} >= {"ccgpu-broker", "ccgpu-emulator", "ccgpu-device-plugin", "ccgpu-node-manager", "ccgpu-node-installer"}, status
    node = next(one for one in status["nodes"] if one["name"] == world.node)
    assert node["allocatable"] == world.gpus, node


def a_pod_is_verified_from_a_laptop(world):
    with asking_for(world, "seen", "default/seen/key") as key:
        answered(world, "seen", key)
        sealed = world.sealed("seen")
        good = world.ccgpu("verify", "seen", "--trust-from-cluster", "--sealed", sealed, check=False)
        assert good.code == 0 and "accepted (emulated)" in good.out, good
        # Real roots alone: nothing emulated is believed; and another manifest is another identity.
        assert world.ccgpu("verify", "seen", "--sealed", sealed, check=False).code == 1
        assert world.ccgpu("verify", "seen", "--trust-from-cluster", "--host-data", "sha256:" + "0" * 64, "--exit-class", check=False).code == 17


def a_refused_key_is_told_with_its_rule(world):
    """A pod with another policy than the key's owner named: the broker refuses, and `kubectl describe pod` says which rule, within 10 s."""
    with asking_for(world, "owner", "default/owner/key") as key, gone_pods(world, "stranger"):
        answered(world, "owner", key)
        sealed = world.seal(pod("stranger", command=["/bin/sh", "-c", ASK % "default/owner/key"]))
        world.kubectl("apply", "-f", sealed)
        world.kubectl("wait", "--for=condition=Ready", "pod/stranger", "--timeout=90s")
        world.until("it is told that it gets none", lambda: [line for line in lines(world, "stranger") if line.startswith("NONE ")])
        world.until("describe names the rule", lambda: "hostData" in world.kubectl("describe", "pod", "stranger").out, 10)
        assert not [line for line in lines(world, "stranger") if line.startswith("KEY ")]
        told = world.ccgpu("explain", "stranger", check=False)
        assert "hostData" in told.out, told


def changed_firmware_gets_no_key(world):
    """The attack, and beside it the same pod on a healthy GPU (positive control: asking_for in every other test)."""
    faulty = {gpu["uuid"]: gpu for gpu in world.emulator("--json", "gpu", "list").json()}
    sealed = world.seal(pod("tampered", command=["/bin/sh", "-c", ASK_ONCE % "default/tampered/key"]))
    world.put_secret("default/tampered/key", "never", sealed)
    with gone_pods(world, "tampered"):
        for device in faulty:
            world.emulator("gpu", "fault", device, "firmware")
        try:
            world.kubectl("apply", "-f", sealed)
            world.until("it is refused and says so", lambda: (lambda c: c and c["status"] == "False")(world.condition("tampered")), 90)
            assert "never" not in world.kubectl("logs", "tampered", check=False).out
        finally:
            for device in faulty:
                world.emulator("gpu", "fault", device, "none")


def a_mode_is_switched_by_label(world):
    """Drained, switched, verified, told; and back."""
    with asking_for(world, "inway", "default/inway/key") as key:
        answered(world, "inway", key)
        world.kubectl("label", "node", world.node, "ccgpu.dev/cc.mode=devtools", "--overwrite")
        try:
            world.until("the state says devtools", lambda: world.get("node", world.node)["metadata"]["labels"].get("ccgpu.dev/cc.mode.state") == "devtools", 120)
            assert {gpu["mode"] for gpu in world.emulator("--json", "gpu", "list").json()} == {"devtools"}
            assert not world.find("pod", "inway"), "a pod that held a GPU was not drained"
        finally:
            world.kubectl("label", "node", world.node, "ccgpu.dev/cc.mode=hopper-cc", "--overwrite")
            world.until("and back", lambda: world.get("node", world.node)["metadata"]["labels"].get("ccgpu.dev/cc.mode.state") == "hopper-cc", 120)
            world.kubectl("label", "node", world.node, "ccgpu.dev/cc.mode-")
        world.until("GPUs are handed out again", lambda: world.allocatable() == world.gpus, 90)


def an_unknown_mode_is_refused(world):
    world.kubectl("label", "node", world.node, "ccgpu.dev/cc.mode=hoper-cc", "--overwrite")
    try:
        world.until("the state says failed", lambda: world.get("node", world.node)["metadata"]["labels"].get("ccgpu.dev/cc.mode.state") == "failed", 60)
        assert {gpu["mode"] for gpu in world.emulator("--json", "gpu", "list").json()} == {"hopper-cc"}
    finally:
        world.kubectl("label", "node", world.node, "ccgpu.dev/cc.mode-")
        world.until("the state is told again", lambda: world.get("node", world.node)["metadata"]["labels"].get("ccgpu.dev/cc.mode.state") != "failed", 60)


def the_node_says_whether_it_is_ready(world):
    def ready():
        return next((one["status"] for one in world.get("node", world.node)["status"]["conditions"] if one["type"] == "ccgpu.dev/CCGPUReady"), None)
    world.until("the condition is True", lambda: ready() == "True")
    device = world.emulator("--json", "gpu", "list").json()[0]["uuid"]
    with world.gpu_fault(device, "drop"):
        world.until("the condition is False", lambda: ready() == "False")
    world.until("and True again", lambda: ready() == "True")


def every_component_has_metrics(world):
    """As Prometheus would read them, checked by its own tool."""
    ports = {"emulator": "http", "device-plugin": "http", "node-manager": "http", "node-installer": "http"}
    for component, port in ports.items():
        item = world.get("-n", SYSTEM, "pods", "-l", f"app.kubernetes.io/component={component}")["items"][0]
        number = next(one["containerPort"] for container in item["spec"]["containers"] for one in container["ports"] if one["name"] == port)
        text = world.kubectl("get", "--raw", f"/api/v1/namespaces/{SYSTEM}/pods/{item['metadata']['name']}:{number}/proxy/metrics").out
        assert "ccgpu_" in text, component
        world.run("promtool", "check", "metrics", stdin=text)


SCENARIOS = [status_names_every_part, a_pod_is_verified_from_a_laptop, a_refused_key_is_told_with_its_rule, changed_firmware_gets_no_key, a_mode_is_switched_by_label,
             an_unknown_mode_is_refused, the_node_says_whether_it_is_ready, every_component_has_metrics]
