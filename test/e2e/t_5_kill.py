"""Every program killed with SIGKILL at every step of a pod's way: it ends cleanly, nothing stays, the next pod works."""
import os
import signal
import subprocess

from e2e import harness
from e2e.harness import alive, pod, shared, wait_for

# Moments of a pod's way, by the event or state that shows that it is reached.
STEPS = ["start", "sandbox", "attested", "running"]


def processes(name):
    """By the name that a program gives itself: the sandbox's programs run from sealed memory and have no path."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as line:
                if os.path.basename(line.read().split(b"\0")[0].decode(errors="replace")) == name and alive(int(entry)):
                    found.append(int(entry))
        except OSError:
            pass
    return found


def kill(pid):
    """Kills it and waits for its death; False when it was gone before (a guest of the pod before this one)."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    wait_for(lambda: not alive(pid), 10, lambda: f"{pid} survives SIGKILL")
    return True


def reached(node, name, step):
    described = node.ccgpu("describe", name, "--json")
    if described.code != 0:
        return False
    value = described.json()
    codes = [event["code"] for event in value["events"]]
    if step == "start":
        return True
    if step == "sandbox":
        return "policy.in-force" in codes or bool(value.get("sandbox_id"))
    if step == "attested":
        return "attest.gpu-accepted" in codes
    return any(container["state"] == "running" for container in value["containers"])


def killed(victim, step):
    node = shared(gpus=1)
    name = "victim"
    sealed = node.seal(pod(name, "sleep 60"))
    running = subprocess.Popen([str(harness.BUILD / "bin" / "ccgpu"), "run", str(sealed), "--timeout", "30s"],
                               env=dict(os.environ, CCGPU_STATE=str(node.state)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: reached(node, name, step) or running.poll() is not None, 20, lambda: f"step {step} of {victim}")
        targets = processes(victim) if victim not in node.daemons() else [node.daemons()[victim]]
        dead = [pid for pid in targets if kill(pid)]
        assert dead or step == "start", f"no {victim} to kill at {step}"
        if victim in node.daemons():
            node.up()  # brings the deployment back, as its operator would
    finally:
        node.remove(name)
        out, _ = running.communicate(timeout=60)
    node.wait_clean(20)
    after = node.run(node.seal(pod("next", "echo alive")))
    assert after.code == 0 and "alive" in after.out, f"after killing {victim} at {step}: {after}\n{out}\n{node.logs()}"
    node.remove("next")


def test_shim():
    for step in STEPS:
        killed("containerd-shim-ccgpu-v2", step)


def test_guestd():
    for step in STEPS[1:]:
        killed("ccgpu-guestd", step)


def test_agent():
    for step in STEPS[2:]:
        killed("ccgpu-agent", step)


def test_emulator():
    for step in STEPS:
        killed("ccgpu-emulator", step)


def test_device_plugin():
    for step in STEPS:
        killed("ccgpu-device-plugin", step)


def test_broker():
    for step in ("sandbox", "running"):
        killed("ccgpu-broker", step)


def test_node():
    for step in STEPS:
        killed("ccgpu-node", step)


def test_containerd():
    for step in ("sandbox", "running"):
        killed("containerd", step)
