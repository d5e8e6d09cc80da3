"""A cluster on the machine's own container engine and in its own network, as `kind create cluster` makes it, on the official node image.

What is there is used: an engine that answers, an image that it has or can pull, kind, kubectl and helm that are new enough. Only what is
missing of these three is built. Images that were pulled stay, as with kind.
"""
import os
import shutil
import subprocess

import programs
from engine import Engine

PROGRAMS = ("docker", "podman", "nerdctl")  # in the order in which they are asked
ANSWER_LIMIT_S, PULL_LIMIT_S = 30, 900


class Machine(Engine):
    def __init__(self, name, program):
        super().__init__(name)
        self.provider = self.program = program
        self.clients = programs.HOME / "clients"
        self.network = os.environ.get(f"KIND_EXPERIMENTAL_{program.upper()}_NETWORK", "kind")
        # Clusters share kind's network: whoever goes last takes it away, if it was not there before the first.
        self.network_made = self.state.parent / f"network-made-{program}"

    def trouble(self):
        if not shutil.which(self.program):
            return f"no {self.program}"
        failed = self._ask("info")
        return failed and f"{self.program} does not answer ({failed})"

    def ready(self, containerd, image, say):
        image = image or programs.PINS["node-image"]
        if self._ask("image", "inspect", image):
            say(f"{self.program} pulls {image}")
            failed = self._ask("pull", image, limit_s=PULL_LIMIT_S)
            if failed:
                raise OSError(f"{self.program} has no {image} and cannot pull it ({failed})")
        programs.clients(self.clients, say)
        return self.described(image)

    def enter(self):
        if self._ask("network", "inspect", self.network):
            self.network_made.parent.mkdir(parents=True, exist_ok=True)
            self.network_made.touch()

    def leave(self):
        if self.network_made.exists():
            self._ask("network", "rm", self.network)  # refused while another cluster is in it
            if self._ask("network", "inspect", self.network):
                self.network_made.unlink()

    def environment(self):
        return dict(os.environ, KIND_EXPERIMENTAL_PROVIDER=self.provider, KUBECONFIG=str(self.kubeconfig), PATH=f"{self.clients}:{os.environ['PATH']}")

    def _ask(self, *words, limit_s=ANSWER_LIMIT_S):
        """None when the engine does it, else why not: the end of what it said."""
        try:
            done = subprocess.run([self.program, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", timeout=limit_s)
        except subprocess.TimeoutExpired:
            return f"no answer to {words[0]} within {limit_s} s"
        if done.returncode == 0:
            return None
        return (done.stderr.strip().splitlines() or [f"{words[0]} ended with {done.returncode}"])[-1][-160:]
