"""Where the nodes of a cluster run. Two ways behind one interface: what the machine has (machine.py), or everything by ourselves (own.py)."""
import dataclasses
import json
import subprocess

import golang
from programs import HOME


@dataclasses.dataclass(frozen=True)
class NodeImage:
    name: str
    containerd: str = "2"
    repository: str = ""  # where kubeadm finds its images in it; "": where Kubernetes publishes them
    etcd: str = ""        # the tag of its etcd; "": the one that kubeadm expects


class Engine:
    """A way, for one cluster. `provider` is its word for --provider, `program` the container engine that has kind's nodes.

    What differs: trouble, ready, enter, leave, environment, inside.
    """
    provider = program = None

    def __init__(self, name):
        self.name = name
        self.state = HOME / "clusters" / name
        self.kubeconfig = self.state / "kubeconfig"

    def trouble(self):
        """Why this way cannot be gone here, or None."""
        raise NotImplementedError

    def ready(self, containerd, image, say):
        """What a cluster needs is there afterwards: kind, kubectl, helm, and the NodeImage, which is returned: `image`, or the usual one
        when it is None. Raises OSError when it cannot be had."""
        raise NotImplementedError

    def enter(self):
        """Before the first node; may be repeated."""

    def leave(self):
        """After the last node; fine when nothing is left."""

    def environment(self):
        """Of every command."""
        raise NotImplementedError

    def inside(self, words):
        """The command that runs `words` where the cluster's addresses can be reached."""
        return [str(word) for word in words]

    def run(self, *words, log=None, check=True, limit_s=600, stdin=None):
        """A command beside the cluster; its output as text. Raises OSError with its last lines when it fails."""
        done = subprocess.run(self.inside(words), env=self.environment(), stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=limit_s)
        if log is not None:
            with open(log, "a") as out:
                out.write(f"$ {' '.join(map(str, words))}\n{done.stdout}")
        if check and done.returncode != 0:
            raise OSError(f"{' '.join(map(str, words[:2]))} ended with {done.returncode}: " + " / ".join(done.stdout.strip().splitlines()[-5:]))
        return done.stdout

    def described(self, image):
        """What an image that the engine has says of itself: node_image.py labels those that it makes, the official one has no labels."""
        labels = json.loads(golang.run([self.program, "image", "inspect", "--format", "{{json .Config.Labels}}", image], env=self.environment())) or {}
        return NodeImage(image, **{field: labels[LABEL + field] for field in ("containerd", "repository", "etcd") if LABEL + field in labels})


LABEL = "dev.ccgpu.kind."
