"""What each image contains, and how it starts."""
import dataclasses
import typing

import launch
import linked
from dpkg import Problem

ROOT_USER, NOBODY = "0:0", "65532:65532"
PAYLOAD = "opt/ccgpu"


@dataclasses.dataclass(frozen=True)
class Image:
    name: str
    description: str
    entrypoint: tuple
    user: str
    fill: typing.Callable  # (Rootfs, Build) -> more labels, or None
    cmd: tuple = ()


@dataclasses.dataclass(frozen=True)
class Build:
    """A finished build folder."""
    folder: object

    def file(self, path):
        found = self.folder / path
        if not found.exists():
            raise Problem(f"images: no program {found.name} in {self.folder.name}/{path.rsplit('/', 1)[0]}: ./run build first")
        return found

    def program(self, rootfs, name):
        rootfs.program(self.file(f"bin/{name}"), f"usr/local/bin/{name}")
        self.link(rootfs, f"usr/local/bin/{name}", name)

    def link(self, rootfs, path, name):
        if packages := linked.packages(self.folder, f"bin/{name}"):
            rootfs.static[path] = packages


def emulator(rootfs, build):
    build.program(rootfs, "ccgpu-emulator")
    rootfs.debian_program("/usr/bin/swtpm")  # the vTPM of platform vtpm


def device_plugin(rootfs, build):
    build.program(rootfs, "ccgpu-device-plugin")


def node_manager(rootfs, build):
    build.program(rootfs, "ccgpu-node-manager")


def broker(rootfs, build):
    build.program(rootfs, "ccgpu-broker")
    rootfs.certificates()  # it may fetch collateral from the vendors' services


def node_installer(rootfs, build):
    """The installer, and below /opt/ccgpu what it copies to the node."""
    build.program(rootfs, "ccgpu-node-installer")
    rootfs.program(build.file("bin/containerd-shim-ccgpu-v2"), f"{PAYLOAD}/bin/containerd-shim-ccgpu-v2")
    build.link(rootfs, f"{PAYLOAD}/bin/containerd-shim-ccgpu-v2", "containerd-shim-ccgpu-v2")
    for name, output in (("guestd", "ccgpu-guestd"), ("libcuda.so.1", "libcuda.so.1"), ("libnvidia-ml.so.1", "libnvidia-ml.so.1")):
        rootfs.own(f"{PAYLOAD}/guest/{name}", build.file(f"guest/{name}").read_bytes(), 0o755)
        build.link(rootfs, f"{PAYLOAD}/guest/{name}", output)
    rootfs.relocated(build.file("guest/agent"), f"{PAYLOAD}/guest/agent", f"/{PAYLOAD}/lib")
    build.link(rootfs, f"{PAYLOAD}/guest/agent", "ccgpu-agent")
    rootfs.share(f"{PAYLOAD}/lib")
    # For release policies (spec.sandbox.measurements): skopeo inspect shows it, a signature of the image covers it.
    return {"dev.ccgpu.launch-digest": launch.digest([(name, rootfs.tree.entries[f"{PAYLOAD}/guest/{name}"][2]) for name in launch.FILES])}


def tools(rootfs, build):
    """For pods of examples and tests, and for a look around: the CLIs, the digits program, a shell."""
    for name in ("ccgpu", "kubectl-ccgpu", "digits", "digits-seal"):
        build.program(rootfs, name)
    rootfs.certificates()
    rootfs.busybox()
    share = "usr/local/share/digits"
    rootfs.own(f"{share}/digits.ptx", build.file("bin/digits.ptx").read_bytes())
    rootfs.own(f"{share}/optdigits-test.csv", build.file("share/digits/optdigits-test.csv").read_bytes())
    # The encrypted model is each deployment's own (its key is random): a ConfigMap or volume brings it.
    rootfs.tree.link(f"{share}/model.enc", "/model/model.enc")


def _service(part, description, user, fill):
    return Image(part, description, (f"/usr/local/bin/ccgpu-{part}",), user, fill)


IMAGES = {image.name: image for image in (
    _service("emulator", "ccgpu: emulated confidential GPUs, secure processor, RIM and OCSP services of a node", ROOT_USER, emulator),
    _service("device-plugin", "ccgpu: kubelet device plugin for confidential GPUs", ROOT_USER, device_plugin),
    _service("node-installer", "ccgpu: puts shim, guest and containerd handler on a node", ROOT_USER, node_installer),
    _service("node-manager", "ccgpu: GPU modes, node labels and pods' attestation outcomes in the cluster", ROOT_USER, node_manager),
    _service("broker", "ccgpu: verifies evidence and releases keys", NOBODY, broker),
    Image("tools", "ccgpu: command line programs, the digits example and a shell", (), NOBODY, tools, cmd=("sh",)),
)}
