"""The container engine that a built cluster runs on: podman in a network namespace of its own, with a store of its own.

Nothing of it meets the machine's: its images lie in HOME/podman, its bridges and firewall rules in the namespace, which goes with the
cluster. A machine that already has an engine and a registry is served by kind as it is (kind_cluster.py, node image "official").
"""
import os
import pathlib
import resource
import subprocess

from programs import HOME, folder


def limit(kind, wanted):
    """The hard limit at most: podman may not raise it where CAP_SYS_RESOURCE is missing."""
    hard = resource.getrlimit(kind)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)


class Podman:
    def __init__(self, name):
        """`name` of the cluster; its namespace and its podman network have a name of their own, since clusters share the store."""
        self.netns = f"ccgpu-kind-{name}"
        self.store = HOME / "podman"
        self.state = HOME / "clusters" / name
        self.kubeconfig = self.state / "kubeconfig"

    def environment(self):
        files, processes = limit(resource.RLIMIT_NOFILE, 1 << 20), limit(resource.RLIMIT_NPROC, int(pathlib.Path("/proc/sys/kernel/pid_max").read_text()))
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{self.store}/storage"\nrunroot = "{self.store}/run"\n')
        (self.state / "containers.conf").write_text(
            f'[containers]\nlog_driver = "k8s-file"\ndefault_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\nstop_timeout = 1\n'
            f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{self.state}/networks"\n')
        return dict(os.environ, CONTAINERS_CONF=str(self.state / "containers.conf"), CONTAINERS_STORAGE_CONF=str(self.state / "storage.conf"),
                    KIND_EXPERIMENTAL_PROVIDER="podman", KIND_EXPERIMENTAL_PODMAN_NETWORK=self.netns, KUBECONFIG=str(self.kubeconfig), PATH=f"{folder()}:{os.environ['PATH']}")

    def enter(self):
        """Makes the namespace. The host's own stays as it is: no way leads out of this one."""
        if not pathlib.Path(f"/run/netns/{self.netns}").exists():
            subprocess.run(["ip", "netns", "add", self.netns], check=True)
            subprocess.run(["ip", "-n", self.netns, "link", "set", "lo", "up"], check=True)
        pathlib.Path("/lib/modules").mkdir(exist_ok=True)  # kind mounts it into each node

    def leave(self):
        if pathlib.Path(f"/run/netns/{self.netns}").exists():
            subprocess.run(["ip", "netns", "del", self.netns], check=True)

    def inside(self, words):
        # nsenter, not `ip netns exec`: that one remounts /sys, and the nodes' cgroups with it.
        return ["nsenter", f"--net=/run/netns/{self.netns}", *map(str, words)]

    def run(self, *words, log=None, check=True, limit_s=600, stdin=None):
        """A command in the namespace; its output as text. Raises OSError with its last lines when it fails."""
        done = subprocess.run(self.inside(words), env=self.environment(), stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=limit_s)
        if log is not None:
            with open(log, "a") as out:
                out.write(f"$ {' '.join(map(str, words))}\n{done.stdout}")
        if check and done.returncode != 0:
            raise OSError(f"{pathlib.Path(str(words[0])).name} {words[1] if len(words) > 1 else ''} ended with {done.returncode}: " + " / ".join(done.stdout.strip().splitlines()[-5:]))
        return done.stdout

    def has_image(self, name):
        return subprocess.run(["podman", "image", "exists", name], env=self.environment()).returncode == 0
