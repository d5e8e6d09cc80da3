#!/usr/bin/env python3
"""./run demo --kind: a real Kubernetes cluster, the chart, a denied pod, an attested pod and its key. Two commands are ccgpu's; the rest is looking."""
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "test" / "kind"))
from kind_cluster import Cluster
from waiting import wait_for

BUILD = pathlib.Path(sys.argv[1]).resolve()
IMAGES = BUILD.parent / "images"
MANIFESTS = ROOT / "manifests" / "kind"
STARTED = time.monotonic()
cluster = Cluster("demo")


def step(text):
    print(f"\n\033[1m[{time.monotonic() - STARTED:4.0f} s] {text}\033[0m", flush=True)


def run(*words, show=True, ends=0):
    """A command as a user types it, with what it prints; ends the demo when it does not end as it should."""
    if show:
        print("$ " + " ".join(str(word).replace(str(ROOT) + "/", "") for word in words), flush=True)
    environment = cluster.engine.environment()
    environment["PATH"] = f"{BUILD}/bin:{environment['PATH']}"
    done = subprocess.run(cluster.engine.inside(words), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=None if show else subprocess.PIPE, text=True)
    if show:
        print(done.stdout, end="", flush=True)
    if done.returncode != ends:
        raise OSError(f"{words[0]} {words[1]} ended with {done.returncode} {done.stderr or ''}")
    return done.stdout


def healthy():
    """`kubectl ccgpu status` has nothing to complain about."""
    try:
        return json.loads(run("kubectl", "ccgpu", "status", "--json", show=False))["healthy"]
    except OSError:
        return False


def demo():
    step("A cluster: Kubernetes, containerd, etcd, as they are")
    cluster.up("2", 1, lambda text: print(f"  {text}", flush=True), provider=os.environ.get("KIND_EXPERIMENTAL_PROVIDER") or "auto")
    for archive in sorted(IMAGES.glob("*.tar")):
        cluster.load(archive)

    step("Install ccgpu, on every node")
    run("helm", "install", "ccgpu", ROOT / "charts/ccgpu", "-n", "ccgpu-system", "--create-namespace",
        "--set", "broker.insecureAcceptEmulated=true,enableNodes={*}", "--wait")
    wait_for(healthy, 90, lambda: "the node's GPUs", every=0.2)
    run("kubectl", "ccgpu", "status")

    step("A pod without a policy is denied")
    run("kubectl", "apply", "-f", MANIFESTS / "first-denied.yaml")
    wait_for(lambda: "policy.missing" in run("kubectl", "describe", "pod", "unsealed", show=False), 90, lambda: "the denial", every=0.2)
    run("kubectl", "ccgpu", "explain", "unsealed", ends=1)  # 1: something is wrong with it
    run("kubectl", "delete", "pod", "unsealed", "--timeout=60s")  # the scheduler gave it the node's GPU all the same

    step("A sealed pod is attested")
    sealed = cluster.engine.state / "first.sealed.yaml"
    run("kubectl", "ccgpu", "policy", "generate", MANIFESTS / "first-attested.yaml", "-o", sealed, "--image-archive", IMAGES / "tools.tar")
    run("kubectl", "apply", "-f", sealed)
    run("kubectl", "wait", "--for=condition=ccgpu.dev/Attested", "pod/first", "--timeout=90s")

    step("Its owner gives it a key, and only to it")
    digest = run("kubectl", "ccgpu", "policy", "digest", sealed, show=False).strip()
    release, key = cluster.engine.state / "release.yaml", cluster.engine.state / "key"
    release.write_text((MANIFESTS / "first-release.yaml").read_text().replace("HOST_DATA", digest))
    key.write_text("a key that only this pod gets, once it proved what it is")
    run("kubectl", "ccgpu", "secret", "put", "default/first/key", key, "--release", release)
    wait_for(lambda: "got a key" in run("kubectl", "logs", "first", show=False), 90, lambda: "the key", every=0.2)
    run("kubectl", "logs", "first", "--tail=1")
    run("kubectl", "ccgpu", "verify", "first", "--trust-from-cluster", "--sealed", sealed, show=False)
    print("kubectl ccgpu verify first: accepted (emulated)")

    step("And away again")
    run("kubectl", "delete", "pod", "first", "--timeout=60s")
    run("helm", "uninstall", "ccgpu", "-n", "ccgpu-system", "--wait")


def main():
    if cluster.exists():
        sys.exit("demo: the cluster of an earlier demo is still there: ./run kind --name demo down")
    try:
        demo()
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"demo: {error}\nThe cluster is left for a look: ./run kind --name demo kubectl get pods -A; ./run kind --name demo down")
    cluster.down()
    print(f"\nDone in {time.monotonic() - STARTED:.0f} s; nothing is left on this machine but the caches.")


if __name__ == "__main__":
    main()
