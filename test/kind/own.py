"""A cluster without anybody's engine or registry: podman in a network namespace of its own, with a store of its own.

Nothing of it meets the machine's: its images lie in HOME/podman, its bridges and firewall rules in the namespace, which goes with the
cluster.
"""
import os
import pathlib
import resource
import subprocess

import node_image
import programs
from engine import Engine

ROOT = programs.HERE.parent.parent
HELPERS = pathlib.Path("/usr/lib/podman")
# netavark gives the name server of all networks one folder of the machine, and it runs in the network namespace of whoever came first: a
# second cluster's nodes would not find each other. So each cluster's gets a folder of its own.
NETAVARK = f"""#!/bin/sh
if [ "$1" = --config ]; then
  shift 2
  set -- --config "${{0%/*}}/networks" "$@"
fi
exec {HELPERS}/netavark "$@"
"""


def limit(kind, wanted):
    """The hard limit at most: podman may not raise it where CAP_SYS_RESOURCE is missing."""
    hard = resource.getrlimit(kind)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)


def configuration(folder, store):
    """Writes podman's settings into `folder`, for images in `store`; returns the variables that name them."""
    files, processes = limit(resource.RLIMIT_NOFILE, 1 << 20), limit(resource.RLIMIT_NPROC, int(pathlib.Path("/proc/sys/kernel/pid_max").read_text()))
    helpers = folder / "helpers"
    (helpers / "networks").mkdir(parents=True, exist_ok=True)
    (helpers / "netavark").write_text(NETAVARK)
    (helpers / "netavark").chmod(0o755)
    (folder / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{store}/storage"\nrunroot = "{store}/run"\n')
    (folder / "containers.conf").write_text(
        f'[containers]\nlog_driver = "k8s-file"\ndefault_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]\n'
        '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\nstop_timeout = 1\n'
        f'helper_binaries_dir = ["{helpers}", "{HELPERS}"]\n'
        f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{folder}/networks"\n')
    return {"CONTAINERS_CONF": str(folder / "containers.conf"), "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}


class Own(Engine):
    provider, program = "own", "podman"

    def __init__(self, name):
        """The namespace and the podman network have a name of their own, since clusters share the store."""
        super().__init__(name)
        self.netns = f"ccgpu-kind-{name}"
        self.store = programs.HOME / "podman"

    def trouble(self):
        return None if os.geteuid() == 0 else "a cluster of our own making needs root (namespaces, cgroups): sudo ./run kind ..."

    def ready(self, containerd, image, say):
        if subprocess.run([ROOT / "run", "deps", "kind"]).returncode != 0:
            raise OSError("its Debian packages cannot be had")
        programs.build(say)
        node_image.build(self, containerd, say)
        return self.described(node_image.name(containerd))

    def enter(self):
        """Makes the namespace. The host's own stays as it is: no way leads out of this one."""
        if not pathlib.Path(f"/run/netns/{self.netns}").exists():
            subprocess.run(["ip", "netns", "add", self.netns], check=True)
            subprocess.run(["ip", "-n", self.netns, "link", "set", "lo", "up"], check=True)

    def leave(self):
        if pathlib.Path(f"/run/netns/{self.netns}").exists():
            self.run("podman", "network", "rm", self.netns, check=False)  # not -f: that takes containers with it
            subprocess.run(["ip", "netns", "del", self.netns], check=True)
        for group in pathlib.Path("/sys/fs/cgroup").glob("*/libpod_parent"):
            subprocess.run(["find", str(group), "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"], stderr=subprocess.DEVNULL)

    def environment(self):
        return dict(os.environ, **configuration(self.state, self.store),
                    KIND_EXPERIMENTAL_PROVIDER="podman", KIND_EXPERIMENTAL_PODMAN_NETWORK=self.netns, KUBECONFIG=str(self.kubeconfig),
                    PATH=f"{programs.folder()}:{os.environ['PATH']}")

    def inside(self, words):
        # nsenter, not `ip netns exec`: that one remounts /sys, and the nodes' cgroups with it.
        return ["nsenter", f"--net=/run/netns/{self.netns}", *map(str, words)]

    def has_image(self, name):
        return subprocess.run(["podman", "image", "exists", name], env=self.environment()).returncode == 0
