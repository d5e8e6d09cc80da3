"""Where the scenarios of the table run: a kubelet's part of a node, seen from outside.

Two of them: `on_kubelet.Kubelet` (a real kubelet in a kind cluster) and `on_ccgpu_node.CcgpuNode` (`ccgpu up`). A scenario hands pods over as v1/Pod,
asks what became of them, and breaks things in between; it does not know which of the two it talks to. Where they behave differently on
purpose, the class attributes below say it, and the scenario holds both to what they say.
"""
import contextlib
import subprocess

from e2e import harness
from e2e.harness import wait_for

GPU = "ccgpu.dev/cc-gpu"


class Place:
    gpus = 4
    image = None  # of the pods, with a busybox in it
    # kubelet waits for a plugin's Allocate without end (pod after pod); ccgpu-node gives up after 20 s and tells it.
    waits_for_allocate = True
    # kubelet knows init containers that go on running; ccgpu-node refuses the field by its name.
    has_sidecars = True
    # kubelet admits a pod that asks for a resource which nobody ever registered, WITHOUT it; ccgpu-node refuses.
    admits_unknown_resources = True

    # --- pods

    def start(self, body):
        """Hands the pod over, past any scheduler, and does not wait."""
        raise NotImplementedError

    def remove(self, *names):
        """They are gone with everything they held when this returns; fine when there are none."""
        raise NotImplementedError

    def phase(self, name):
        """Pending, Running, Succeeded or Failed. A pod that was not admitted is Failed."""
        raise NotImplementedError

    def told(self, name):
        """All that a person is told about it: states, events, reasons, as one text."""
        raise NotImplementedError

    def seal(self, body):
        """The pod for our runtime, with its policy, as its user makes it."""
        raise NotImplementedError

    def running(self, name):
        """Whether every container of it runs now."""
        raise NotImplementedError

    def devices(self, name):
        """{container: set of device ids} that the pod holds."""
        raise NotImplementedError

    def restarts(self, name):
        """How often its container `main` was started again."""
        raise NotImplementedError

    def exit_code(self, name):
        """Of its container `main`, which ended."""
        raise NotImplementedError

    def logs(self, name):
        raise NotImplementedError

    def killer(self, name):
        """A function that sends SIGKILL to its container `main`, past everybody who looks after pods."""
        raise NotImplementedError

    # --- the node

    def offered(self):
        """How many GPUs may be given to pods: the healthy ones, whoever holds them."""
        raise NotImplementedError

    def fault(self, device, fault):
        """A fault of an emulated GPU; "none" heals it."""
        raise NotImplementedError

    def without_node_service(self):
        """A block in which there is no kubelet, or no ccgpu-node; afterwards it answers again, and knows the plugin if there is one."""
        raise NotImplementedError

    def restart_plugin(self):
        raise NotImplementedError

    def without_plugin(self):
        """A block in which no device plugin runs."""
        raise NotImplementedError

    def signal(self, part, number):
        """To the process of "emulator" or "device-plugin"."""
        raise NotImplementedError

    def plugin_folder(self):
        """kubelet's folder of device plugins as this machine's processes reach it."""
        raise NotImplementedError

    # --- what both do alike

    def restart_node_service(self):
        with self.without_node_service():
            pass

    def pod(self, name, command="trap exit TERM; sleep 3600 & wait", gpus=1, **spec):
        """Of the stock runtime: what a kubelet does with devices does not depend on the runtime."""
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
                "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [self.container("main", command, gpus)], **spec}}

    def container(self, name, command, gpus=1, **more):
        return {"name": name, "image": self.image, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", command],
                "resources": {"limits": {GPU: str(gpus)}} if gpus else {}, **more}

    @contextlib.contextmanager
    def pods(self, *bodies):
        """They run; afterwards they are gone. Gives their names."""
        names = [body["metadata"]["name"] for body in bodies]
        with self.gone(*names):
            for body in bodies:
                self.start(body)
            for name in names:
                self.runs(name)
            yield names

    @contextlib.contextmanager
    def gone(self, *names):
        try:
            yield
        finally:
            self.remove(*names)

    def runs(self, name, limit_s=60):
        """Waits until it does; a pod that ended instead will not."""
        self.until(f"{name} runs", lambda: self.running(name) or self.phase(name) == "Failed", limit_s)
        assert self.running(name), self.told(name)

    def held(self, name):
        return set().union(*self.devices(name).values())

    def ends(self, name, phase, limit_s=60):
        """Waits until the pod is over, which must be in this phase; returns what is told about it."""
        self.until(f"{name} ends", lambda: self.phase(name) in ("Succeeded", "Failed"), limit_s)
        assert self.phase(name) == phase, f"{name} ended as {self.phase(name)}: {self.told(name)}"
        return self.told(name)

    def refused(self, name, *words, limit_s=60):
        """Waits until the pod is refused before it ran, and until one of the words is told."""
        self.ends(name, "Failed", limit_s)
        self.until(f"one of {words} is told about {name}", lambda: any(word in self.told(name) for word in words), 20)

    def all_offered(self):
        self.until("every GPU is offered", lambda: self.offered() == self.gpus, 90)

    @contextlib.contextmanager
    def frozen(self, part):
        """The process is there, holds its sockets open, and does nothing."""
        self.signal(part, "SIGSTOP")
        try:
            yield
        finally:
            self.signal(part, "SIGCONT")

    @contextlib.contextmanager
    def foreign_plugin(self, manner, *devices, killed=False):
        """Somebody else's device plugin, which offers GPUs under our resource's name. Gives what the kubelet said to it. `killed`: it ends by SIGKILL and leaves its socket."""
        with subprocess.Popen([harness.BUILD / "tests" / "foreign-device-plugin", self.plugin_folder(), GPU, manner, *devices],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as plugin:
            yield plugin.stdout.readline().strip()
            if killed:
                plugin.kill()
            plugin.stdin.close()

    def until(self, what, holds, limit_s=60):
        return wait_for(holds, limit_s, lambda: what)
