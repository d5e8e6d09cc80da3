"""One kind cluster: created, described, taken away again with everything that it left on this machine."""
import json
import os
import shutil
import subprocess

import choosing
import host
import programs
from waiting import wait_for


class Cluster:
    """`engine` is the way that it went (engine.py), the one of our own making before there is any."""

    def __init__(self, name):
        self.name = name
        self.state = programs.HOME / "clusters" / name
        self.facts = self.state / "cluster.json"
        self.log = self.state / "kind.log"
        self.engine = choosing.of(self._facts().get("provider", "own"), name)

    def exists(self):
        return self.facts.exists()

    def up(self, containerd, nodes, say, provider="own", image=None):
        """Returns when every node is Ready and pods can be made. Raises OSError; what was made by then stays for a look, `down` removes it."""
        if self.exists():
            return self._is_what_was_asked_for(containerd, nodes, provider, image, say)
        self.engine, found = choosing.choose(provider, self.name, containerd, image, say)
        self.engine.enter()
        if self.name in self.engine.run("kind", "get", "clusters").split():
            raise OSError(f"kind has a cluster {self.name} already that was not made here: choose another name (./run kind --name NAME up)")
        host.prepare(self.state.parent)
        self.state.mkdir(parents=True, exist_ok=True)
        config = self.state / "kind.json"
        config.write_text(json.dumps(self._config(found, nodes), indent=1))
        say(f"starting {nodes} node(s) with containerd {found.containerd}")
        self.facts.write_text(json.dumps({"provider": self.engine.provider, "image": found.name, "containerd": found.containerd, "nodes": nodes}))
        self.engine.run("kind", "create", "cluster", "--config", config, "--wait", "120s", "--retain", log=self.log, limit_s=400)
        # kind returns before the default service account exists and, with workers, before those are Ready.
        self.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s")
        wait_for(lambda: "default" in self.kubectl("get", "serviceaccount", "default", "--ignore-not-found", "-o", "name"), 60, lambda: "the default service account")
        self.kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s")
        say("every node is Ready")

    def down(self):
        """Fine when there is none."""
        if self.state.exists():
            self.engine.enter()
            self.engine.run("kind", "delete", "cluster", "--name", self.name, check=self.exists())
            self.facts.unlink(missing_ok=True)
            self.engine.leave()
            shutil.rmtree(self.state)
        host.put_back(self.state.parent)

    def nodes(self):
        return self.kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()

    def kubectl(self, *words, **more):
        return self.engine.run("kubectl", *words, **more)

    def load(self, archive):
        self.engine.run("kind", "load", "image-archive", archive, "--name", self.name, log=self.log)

    def execute(self, words):
        """In the caller's terminal; returns the exit code."""
        return subprocess.call(self.engine.inside(words), env=self.engine.environment())

    def _facts(self):
        return json.loads(self.facts.read_text()) if self.exists() else {}

    def _is_what_was_asked_for(self, containerd, nodes, provider, image, say):
        have = self._facts()
        if (have["containerd"], have["nodes"]) == (containerd, nodes) and provider in ("auto", have["provider"]) and image in (None, have["image"]):
            return say(f"cluster {self.name} is up already")
        raise OSError(f"cluster {self.name} is up on {have['provider']} with {have['image']}, containerd {have['containerd']} and {have['nodes']} node(s): "
                      "take it down first (./run kind down)")

    def _config(self, image, nodes):
        kubelet = {"kind": "KubeletConfiguration", "failCgroupV1": False, "maxPods": 250, "nodeStatusUpdateFrequency": "2s", "serializeImagePulls": False}
        kubeadm = {"kind": "ClusterConfiguration"}
        containerd = []
        if image.containerd == "1.6":  # its handlers without options run under the other cgroup driver than systemd's
            kubelet["cgroupDriver"] = "cgroupfs"
            containerd = [f'[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{handler}.options]\n  SystemdCgroup = false\n' for handler in ("runc", "test-handler")]
        if image.repository:
            kubeadm.update(imageRepository=image.repository, etcd={"local": {"imageTag": image.etcd}})
        return {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "name": self.name, "networking": {"ipFamily": "ipv4"},
                "featureGates": {"ResourceHealthStatus": True},
                "nodes": [{"role": "worker" if number else "control-plane", "image": image.name} for number in range(nodes)],
                "containerdConfigPatches": containerd, "kubeadmConfigPatches": [json.dumps(kubelet), json.dumps(kubeadm)]}


def default_name():
    return os.environ.get("CCGPU_KIND_CLUSTER", "dev")
