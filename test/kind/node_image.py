"""Builds the image of a kind node out of Debian packages and our Go programs, where no registry has one for us.

What kind's own base image is made of (entrypoint, units, containerd's configuration) comes out of kind's module. The images that kubeadm
starts are made here as well and preloaded by the node's own containerd, so that a node needs no registry. There is no crictl in any
package: kind asks it two things, which a few lines of shell answer.
"""
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys

from programs import CONTAINERD, HERE, HOME, PINS, identity, program
from engine import LABEL
import golang
from waiting import wait_for

sys.path.insert(0, str(HERE.parent.parent / "images"))
import oci

REPOSITORY = "localhost/ccgpu-kind"
PACKAGES = ("systemd systemd-sysv dbus iptables ebtables containerd runc conntrack ethtool socat kmod procps rsync jq iproute2 util-linux mount hostname nftables "
            "containernetworking-plugins ca-certificates curl bash tar gzip xz-utils netbase less iputils-ping fuse3").split()
LIBRARIES = "usr/lib/x86_64-linux-gnu"
# What the image is made of; read once, so that an edit meanwhile changes the next image and not this one's name.
RECIPE = hashlib.sha256(b"\0".join([identity().encode(), *((HERE / one).read_bytes() for one in ("node_image.py", "pause.c", "netd.sh", "netd.yaml", "storage.yaml"))])).hexdigest()[:12]
CRICTL = """#!/bin/sh
# kind asks crictl only for the id of one image and for the list of all.
case $1 in
inspecti) id=$(ctr -n k8s.io images ls "name==$2" | awk 'NR==2{print $3}'); [ -n "$id" ] || exit 1
  printf '{"status":{"id":"%s","repoTags":["%s"]}}\\n' "$id" "$2" ;;
images) ctr -n k8s.io images ls ;;
*) echo "crictl: $1: only inspecti and images" >&2; exit 2 ;;
esac
"""


def name(containerd):
    """Of the image whose nodes run containerd "1.6" (Debian's) or "2" (the pinned one)."""
    return f"{REPOSITORY}/node:v{PINS['kubernetes']}-containerd{containerd}-{RECIPE}"


def build(engine, containerd, say):
    """Leaves the image in the engine's store. Raises OSError."""
    if engine.has_image(name(containerd)):
        return
    packages = _packages(say)
    root = HOME / f"root-{os.getpid()}"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    try:
        say(f"building the node image with containerd {containerd}")
        golang.run(["tar", "-C", root, "-xpf", packages])
        _kind_files(root)
        _containerd(root, containerd)
        _kubernetes(root)
        images = root.with_suffix(".images")
        _images(root, images)
        _preload(root, images)
        _import(engine, root, name(containerd), {"containerd": containerd, "repository": REPOSITORY, "etcd": f"{PINS['etcd']}-0"})
        _forget_others(engine, name(containerd))
    finally:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(root.with_suffix(".images"), ignore_errors=True)


def _forget_others(engine, kept):
    """Images of the same containerd that an older recipe made, a gigabyte each; one that a cluster uses stays."""
    prefix = kept.rsplit("-", 1)[0] + "-"
    listed = subprocess.run(["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"], env=engine.environment(), stdout=subprocess.PIPE, text=True).stdout.split()
    for image in listed:
        if image.startswith(prefix) and image != kept:
            subprocess.run(["podman", "rmi", image], env=engine.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Those that lost their name while a cluster used them.
    subprocess.run(["podman", "image", "prune", "-f"], env=engine.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _packages(say):
    """Debian's part as a tar, kept."""
    key = hashlib.sha256(f"{PINS['debian']} {PACKAGES}".encode()).hexdigest()[:12]
    out = HOME / f"debian-{key}-{platform.machine()}.tar"
    if out.exists():
        return out
    say("installing a node's Debian packages")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part.tar")
    sources = [path for path in map(pathlib.Path, ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"]) if path.exists()]
    options = [f"--dpkgopt=path-exclude={path}" for path in ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")]
    golang.run(["mmdebstrap", "--variant=apt", "--mode=root", f"--include={','.join(PACKAGES)}", '--aptopt=APT::Install-Recommends "false"', *options,
                PINS["debian"], part, *sources])
    part.rename(out)
    return out


def _kind_files(root):
    go = golang.usable(PINS["go"])
    module = json.loads(golang.run([go, "mod", "download", "-json", f"sigs.k8s.io/kind@v{PINS['kind']}"], env=dict(os.environ, **golang.ENVIRONMENT), cwd="/"))
    files = pathlib.Path(module["Dir"]) / "images" / "base" / "files"
    for place in ("kind/manifests", "etc/kubernetes/manifests", "etc/cni/net.d", "opt/cni"):
        (root / place).mkdir(parents=True, exist_ok=True)
    for part in ("etc", "kind", "usr"):
        golang.run(["cp", "-r", "--no-preserve=ownership", files / part, root])
    golang.run(["chmod", "-R", "u+w", root / "etc", root / "kind"])
    for path in [root / "usr/local/bin/entrypoint", *(root / "kind/bin").iterdir()]:
        path.chmod(0o755)
    systemd = root / "lib/systemd/system"
    for pattern in ("multi-user.target.wants/*", "local-fs.target.wants/*", "basic.target.wants/*", "sockets.target.wants/*udev*", "sockets.target.wants/*initctl*",
                    "sysinit.target.wants/systemd-tmpfiles-setup.service"):
        for unit in systemd.glob(pattern):
            unit.unlink()
    for unit in (root / "etc/systemd/system").glob("*.wants/*"):
        unit.unlink()
    with open(root / "etc/systemd/journald.conf", "a") as journald:
        journald.write("ReadKMsg=no\n")
    golang.run(["systemctl", f"--root={root}", "enable", "kubelet.service", "containerd.service", "undo-mount-hacks.service"])
    golang.run(["systemctl", f"--root={root}", "mask", "systemd-binfmt.service"])
    (root / "opt/cni/bin").symlink_to("/usr/lib/cni")
    shutil.copy(HERE / "netd.yaml", root / "kind/manifests/default-cni.yaml")
    storage = (HERE / "storage.yaml").read_text().replace("PROVISIONER", f"v{PINS['local-path-provisioner']}")
    (root / "kind/manifests/default-storage.yaml").write_text(storage)
    (root / "kind/version").write_text(f"v{PINS['kubernetes']}")
    (root / "usr/local/bin/crictl").write_text(CRICTL)
    (root / "usr/local/bin/crictl").chmod(0o755)


def _containerd(root, containerd):
    for tool in CONTAINERD:  # kind's unit starts the one in /usr/local/bin
        place, debian = root / "usr/local/bin" / tool, root / "usr/bin" / tool
        if containerd == "2":
            shutil.copy(program(tool), place)
            debian.unlink()
            debian.symlink_to(f"/usr/local/bin/{tool}")
        else:
            place.symlink_to(f"/usr/bin/{tool}")
    spec = json.loads(golang.run(["chroot", root, "ctr", "oci", "spec"]))
    spec.setdefault("hooks", {}).setdefault("createContainer", []).append({"path": "/kind/bin/mount-product-files.sh"})
    spec["process"].pop("rlimits", None)
    (root / "etc/containerd/cri-base.json").write_text(json.dumps(spec))
    config = root / "etc/containerd/config.toml"
    text = config.read_text()
    # Lowering an OOM score needs CAP_SYS_RESOURCE, which not every machine that runs tests has.
    text = text.replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
    text = re.sub(r"sandbox_image = .*", f'sandbox_image = "{REPOSITORY}/pause:{PINS["pause"]}"', text)
    config.write_text(text)


def _kubernetes(root):
    for tool in ("kubelet", "kubectl", "kubeadm"):
        shutil.copy(program(tool), root / "usr/bin" / tool)


def _images(root, out):
    """What kubeadm's static pods and add-ons run, as OCI archives."""
    out.mkdir(parents=True)
    version = f"v{PINS['kubernetes']}"
    for tool in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        _one(out, tool, version, [], {program(tool): f"usr/local/bin/{tool}"})
    _one(out, "etcd", f"{PINS['etcd']}-0", [], {program("etcd"): "usr/local/bin/etcd"})
    _one(out, "coredns", f"v{PINS['coredns']}", ["/coredns"], {program("coredns"): "coredns"})
    _one(out, "local-path-provisioner", f"v{PINS['local-path-provisioner']}", ["/local-path-provisioner"], {program("local-path-provisioner"): "local-path-provisioner"})
    pause = out / "pause"
    golang.run(["gcc", "-Os", "-static", "-s", "-o", pause, HERE / "pause.c"])
    _one(out, "pause", PINS["pause"], ["/pause"], {pause: "pause"})
    pause.unlink()
    busybox = oci.Tree().base()
    busybox.copy("/bin/busybox", "bin/busybox", 0o755)
    for applet in golang.run(["/bin/busybox", "--list"]).split():
        if applet != "busybox":
            busybox.link(f"bin/{applet}", "busybox")
    busybox.copy(program("kubectl"), "usr/local/bin/kubectl", 0o755)
    busybox.copy(HERE / "netd.sh", "netd.sh", 0o755)
    oci.write(out / "netd.tar", f"{REPOSITORY}/netd:1", busybox, ["/bin/sh", "/netd.sh"], level=1)
    _kube_proxy(root, out, version)


def _one(out, image, tag, entrypoint, files):
    tree = oci.Tree().base()
    for source, place in files.items():
        tree.copy(source, place, 0o755)
    oci.write(out / f"{image}.tar", f"{REPOSITORY}/{image}:{tag}", tree, entrypoint, level=1)


def _kube_proxy(root, out, version):
    """The program with Debian's iptables, and the libraries of its plugins too: without libm, Services with two endpoints do not work."""
    tree = oci.Tree().base()
    tree.copy(program("kube-proxy"), "usr/local/bin/kube-proxy", 0o755)
    binaries = ["usr/sbin/xtables-legacy-multi", "usr/sbin/xtables-nft-multi", "usr/sbin/nft"]
    plugins = [str(path.relative_to(root)) for path in sorted((root / LIBRARIES / "xtables").glob("*.so"))]
    for path in binaries + plugins:
        tree.copy(root / path, path, 0o755)
    for tool in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            tree.link(f"usr/sbin/{tool}{suffix}", "xtables-legacy-multi")
    wanted = set()
    for path in binaries + plugins:
        wanted.update(re.findall(r"(/[^ ]*\.so[^ ]*)", golang.run(["chroot", root, "ldd", f"/{path}"])))
    for library in wanted:
        tree.copy(_resolve(root, library), library, 0o755)
    oci.write(out / "kube-proxy.tar", f"{REPOSITORY}/kube-proxy:{version}", tree, [], level=1)


def _resolve(root, path):
    """A path of the node's file system, its links followed inside it."""
    return root / golang.run(["chroot", root, "readlink", "-f", path]).strip().lstrip("/")


def _preload(root, images):
    """Runs the node's own containerd here, over the node's own store, and imports the archives."""
    run = root.with_suffix(".run")
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir()
    plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images", "io.containerd.nri.v1.nri"]
    (run / "config.toml").write_text(
        f'version = 2\nroot = "{root}/var/lib/containerd"\nstate = "{run}/state"\ndisabled_plugins = {json.dumps(plugins)}\n[grpc]\n  address = "{run}/s"\n'
        f'[plugins."io.containerd.internal.v1.opt"]\n  path = "{run}/opt"\n')
    tools = root / ("usr/bin" if not (root / "usr/bin/containerd").is_symlink() else "usr/local/bin")
    with open(run / "log", "w") as log:
        daemon = subprocess.Popen([tools / "containerd", "-c", run / "config.toml"], stdout=log, stderr=log, env=dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}"))
    try:
        ctr = [tools / "ctr", "-a", run / "s", "-n", "k8s.io"]
        wait_for(lambda: _answers(daemon, [*ctr, "version"], run / "log"), 60, lambda: "the node's containerd: " + (run / "log").read_text()[-800:])
        for archive in sorted(images.glob("*.tar")):
            golang.run([*ctr, "images", "import", "--all-platforms", archive])
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(timeout=60)
        shutil.rmtree(run, ignore_errors=True)


def _answers(daemon, question, log):
    if daemon.poll() is not None:
        raise OSError("the node's containerd does not start: " + log.read_text()[-800:])
    return subprocess.run(question, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _import(engine, root, image, labels):
    """The labels tell kind_cluster.py what it must configure, also when the image comes back from somebody's registry."""
    environment = engine.environment()
    tar = subprocess.Popen(["tar", "-C", str(root), "--numeric-owner", "-cf", "-", "."], stdout=subprocess.PIPE)
    changes = ['ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]', "ENV container=podman", "STOPSIGNAL SIGRTMIN+3",
               *(f"LABEL {LABEL}{key}={value}" for key, value in labels.items())]
    done = subprocess.run(["podman", "import", "-q", *[word for change in changes for word in ("--change", change)], "-", image], stdin=tar.stdout, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if tar.wait() != 0 or done.returncode != 0:
        raise OSError(f"podman cannot import the node image: {done.stdout[-500:]}")
