"""One kind cluster: created, described, taken away again with everything that it left on this machine."""
import json
import os
import pathlib
import shutil
import subprocess

import node_image
from engine import Podman
from programs import PINS
from waiting import wait_for

# kubelet sets these for the whole machine (its containers are privileged); they are put back when the last cluster goes.
SYSCTLS = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"]
# Every program of a node watches files; with the usual 128 a second or third cluster's do not start ("too many open files").
RAISED = {"fs/inotify/max_user_instances": 1024, "fs/inotify/max_user_watches": 524288}


class Cluster:
    def __init__(self, name):
        self.name = name
        self.engine = Podman(name)
        self.facts = self.engine.state / "cluster.json"
        self.log = self.engine.state / "kind.log"

    def exists(self):
        return self.facts.exists()

    def up(self, containerd, nodes, say):
        """Returns when every node is Ready and pods can be made. Raises OSError; what was made by then stays for a look, `down` removes it."""
        if self.exists():
            have = json.loads(self.facts.read_text())
            if (have["containerd"], have["nodes"]) == (containerd, nodes):
                return say(f"cluster {self.name} is up already")
            raise OSError(f"cluster {self.name} is up with containerd {have['containerd']} and {have['nodes']} node(s): take it down first (./run kind down)")
        self._remember_sysctls()
        self.engine.enter()
        node_image.build(self.engine, containerd, say)
        self.engine.state.mkdir(parents=True, exist_ok=True)
        config = self.engine.state / "kind.json"
        config.write_text(json.dumps(self._config(containerd, nodes), indent=1))
        say(f"starting {nodes} node(s) with containerd {containerd}")
        self.facts.write_text(json.dumps({"containerd": containerd, "nodes": nodes}))
        self.engine.run("kind", "create", "cluster", "--config", config, "--wait", "120s", "--retain", log=self.log, limit_s=400)
        # kind returns before the default service account exists and, with workers, before those are Ready.
        self.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s")
        wait_for(lambda: "default" in self.kubectl("get", "serviceaccount", "default", "--ignore-not-found", "-o", "name"), 60, lambda: "the default service account")
        self.kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s")
        say("every node is Ready")

    def down(self):
        """Fine when there is none."""
        if self.engine.state.exists() and pathlib.Path(f"/run/netns/{self.engine.netns}").exists():
            self.engine.run("kind", "delete", "cluster", "--name", self.name, check=False)
            self.engine.run("podman", "network", "rm", self.engine.netns, check=False)  # not -f: that takes containers with it
        self.engine.leave()
        shutil.rmtree(self.engine.state, ignore_errors=True)
        self._restore_sysctls()
        for group in pathlib.Path("/sys/fs/cgroup").glob("*/libpod_parent"):
            subprocess.run(["find", str(group), "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"], stderr=subprocess.DEVNULL)
        if not list(self.engine.state.parent.glob("*/cluster.json")) and not any(pathlib.Path("/lib/modules").iterdir() if pathlib.Path("/lib/modules").exists() else [1]):
            pathlib.Path("/lib/modules").rmdir()  # empty: ours (a kernel's own is never empty)

    def nodes(self):
        return self.kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()

    def kubectl(self, *words, **more):
        return self.engine.run("kubectl", *words, **more)

    def load(self, archive):
        self.engine.run("kind", "load", "image-archive", archive, "--name", self.name, log=self.log)

    def execute(self, words):
        """In the caller's terminal; returns the exit code."""
        return subprocess.call(self.engine.inside(words), env=self.engine.environment())

    def _config(self, containerd, nodes):
        image = node_image.name(containerd)
        kubelet = {"kind": "KubeletConfiguration", "failCgroupV1": False, "maxPods": 250, "nodeStatusUpdateFrequency": "2s", "serializeImagePulls": False}
        patches = []
        if containerd == "1.6":  # its handlers without options run under the other cgroup driver than systemd's
            kubelet["cgroupDriver"] = "cgroupfs"
            patches = ['[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]\n  SystemdCgroup = false\n'
                       '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.test-handler.options]\n  SystemdCgroup = false\n']
        kubeadm = {"kind": "ClusterConfiguration", "imageRepository": node_image.REPOSITORY, "etcd": {"local": {"imageTag": f"{PINS['etcd']}-0"}}}
        return {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "name": self.name, "networking": {"ipFamily": "ipv4"},
                "featureGates": {"ResourceHealthStatus": True},
                "nodes": [{"role": "worker" if number else "control-plane", "image": image} for number in range(nodes)],
                "containerdConfigPatches": patches, "kubeadmConfigPatches": [json.dumps(kubelet), json.dumps(kubeadm)]}

    def _remember_sysctls(self):
        kept = self.engine.state.parent / "sysctls.json"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps({name: pathlib.Path("/proc/sys", name).read_text() for name in [*SYSCTLS, *RAISED]}))
        for name, least in RAISED.items():
            value = pathlib.Path("/proc/sys", name)
            if int(value.read_text()) < least:
                value.write_text(str(least))

    def _restore_sysctls(self):
        kept = self.engine.state.parent / "sysctls.json"
        if kept.exists() and not list(self.engine.state.parent.glob("*/cluster.json")):
            for name, value in json.loads(kept.read_text()).items():
                pathlib.Path("/proc/sys", name).write_text(value)
            kept.unlink()


def default_name():
    return os.environ.get("CCGPU_KIND_CLUSTER", "dev")
