"""The Go programs of a cluster, built from the module proxy and kept by their versions: kubeadm to helm.

`program("helm")` is the path of a built one. Kubernetes' own go.mod wants its staging modules from beside it, so each of them is replaced
by the published one of the same release; versions are stamped in, since clients parse them.
"""
import dataclasses
import hashlib
import inspect
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golang

PINS = json.loads((HERE / "versions.json").read_text())
HOME = pathlib.Path(os.environ.get("CCGPU_KIND_HOME") or golang.CACHE / "kind")

BUILD_LIMIT_S = 3600  # the first program of Kubernetes takes minutes on an idle machine, and much longer on a busy one

MISSING = HOME / "missing.txt"  # why there is no cluster, for those who skip

KUBERNETES = ["kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubeadm", "kube-proxy"]
CONTAINERD = ["containerd", "containerd-shim-runc-v2", "ctr"]
# The oldest of a machine's own that serve these nodes, and how each tells its version.
CLIENTS = {"kind": ((0, 31), "version"), "kubectl": ((1, 34), "version", "--client"), "helm": ((4, 0), "version", "--short")}
# What kubeadm's Corefile names, in the order in which CoreDNS asks its plugins.
COREDNS_DIRECTIVES = ["reload", "health", "ready", "prometheus", "errors", "log", "loadbalance", "cache", "loop", "kubernetes", "forward"]
COREDNS_PACKAGES = {"prometheus": "metrics"}


def folder():
    """Links to the programs of exactly these versions, for a PATH."""
    return HOME / f"bin-{_digest(json.dumps(PINS, sort_keys=True))}"


def program(name):
    """Where a program of this version lies, built or not."""
    return next(_place(group) for group in GROUPS if name in group.names) / name


def missing():
    return [name for group in GROUPS for name in group.names if not program(name).exists()]


def build(say):
    """Builds what is missing, group by group (one Go build at a time: each may take 2 GiB). Raises OSError when something cannot be had."""
    if not missing() and folder().exists():
        return
    for group in GROUPS:
        _build(group, say)
        for name in group.names:
            _link(folder() / name, program(name))


def clients(links, say):
    """Fills the folder `links` with those of kind, kubectl and helm that the machine lacks or has too old, and builds these."""
    for name, (least, *question) in CLIENTS.items():
        if _version(name, question) >= least:
            (links / name).unlink(missing_ok=True)
        else:
            _build(next(group for group in GROUPS if name in group.names), say)
            _link(links / name, program(name))


def identity():
    """What node images depend on: which programs, of which versions, built how."""
    return " ".join(str(_place(group).name) for group in GROUPS)


def _build(group, say):
    if all(program(name).exists() for name in group.names):
        return
    say(f"building {', '.join(group.names)} from Go modules")
    go = golang.usable(PINS["go"])
    _place(group).mkdir(parents=True, exist_ok=True)
    work = HOME / f"modules.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        group.make(lambda *words: golang.run([go, *words], BUILD_LIMIT_S, cwd=work, env=dict(os.environ, **golang.ENVIRONMENT)), work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _link(place, target):
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.part{os.getpid()}")
    part.symlink_to(target)
    part.rename(place)


def _version(name, question):
    """(major, minor) of the machine's own program; () when there is none."""
    try:
        said = subprocess.run([name, *question], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60).stdout
    except OSError:
        return ()
    found = re.search(r"v(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12] + "-" + platform.machine()


def _place(group):
    """By what the programs are made of, so that another version of one leaves the others as they are."""
    pins = {pin: PINS[pin] for pin in group.pins}
    return HOME / f"{group.names[0]}-{_digest(json.dumps(pins) + inspect.getsource(group.make))}"


def _kubernetes(go, work):
    flags = _kubernetes_module(go, work, KUBERNETES, f"\tgo.etcd.io/etcd/server/v3 v{PINS['etcd']}\n")
    for name in KUBERNETES:
        _compile(go, work, name, f"k8s.io/kubernetes/cmd/{name}", flags)
    _compile(go, work, "etcd", "go.etcd.io/etcd/server/v3", "")


def _kubectl(go, work):
    """Alone, since a machine with an engine of its own needs nothing else of Kubernetes."""
    _compile(go, work, "kubectl", "k8s.io/kubernetes/cmd/kubectl", _kubernetes_module(go, work, ["kubectl"], ""))


def _kubernetes_module(go, work, names, more):
    """Makes the module; returns the linker's flags that stamp the version in."""
    version = PINS["kubernetes"]
    upstream = json.loads(go("mod", "download", "-json", f"k8s.io/kubernetes@v{version}"))["GoMod"]
    staged = re.findall(r"^\t(k8s\.io/[a-z-]+) => \./staging/", pathlib.Path(upstream).read_text(), re.MULTILINE)
    published = "v0." + version.split(".", 1)[1]
    tools = [f"k8s.io/kubernetes/cmd/{name}" for name in names] + (["go.etcd.io/etcd/server/v3"] if more else [])
    (work / "go.mod").write_text("module example.invalid/cluster\n\ngo 1.25.0\n\ntool (\n" + "".join(f"\t{tool}\n" for tool in tools) + ")\n\n"
                                 + f"require (\n\tk8s.io/kubernetes v{version}\n{more})\n\nreplace (\n"
                                 + "".join(f"\t{module} => {module} {published}\n" for module in staged) + ")\n")
    go("mod", "tidy")
    stamp = "k8s.io/component-base/version"
    return " ".join(f"-X {stamp}.{key}={value}" for key, value in {
        "gitVersion": f"v{version}", "gitMajor": "1", "gitMinor": version.split(".")[1], "gitTreeState": "archive", "gitCommit": "0" * 40,
        "buildDate": "1970-01-01T00:00:00Z"}.items())


def _containerd(go, work):
    module, version = "github.com/containerd/containerd/v2", PINS["containerd"]
    _tool_module(go, work, f"{module} v{version}", [f"{module}/cmd/{name}" for name in CONTAINERD])
    for name in CONTAINERD:
        _compile(go, work, name, f"{module}/cmd/{name}", f"-X {module}/version.Version=v{version} -X {module}/version.Package={module}")


def _helm(go, work):
    module, version = "helm.sh/helm/v4", PINS["helm"]
    _tool_module(go, work, f"{module} v{version}", [f"{module}/cmd/helm"])
    _compile(go, work, "helm", f"{module}/cmd/helm", f"-X {module}/internal/version.version=v{version}")


def _kind(go, work):
    _tool_module(go, work, f"sigs.k8s.io/kind v{PINS['kind']}", ["sigs.k8s.io/kind"])
    _compile(go, work, "kind", "sigs.k8s.io/kind", "")


def _provisioner(go, work):
    module = "github.com/rancher/local-path-provisioner"
    _tool_module(go, work, f"{module} v{PINS['local-path-provisioner']}", [module])
    _compile(go, work, "local-path-provisioner", module, "")


def _coredns(go, work):
    packages = [COREDNS_PACKAGES.get(name, name) for name in COREDNS_DIRECTIVES]
    (work / "main.go").write_text(
        'package main\n\nimport (\n\t"github.com/coredns/coredns/core/dnsserver"\n\t"github.com/coredns/coredns/coremain"\n'
        + "".join(f'\t_ "github.com/coredns/coredns/plugin/{name}"\n' for name in packages) + ")\n\nfunc init() {\n\tdnsserver.Directives = []string{"
        + ", ".join(f'"{name}"' for name in COREDNS_DIRECTIVES) + "}\n}\n\nfunc main() { coremain.Run() }\n")
    (work / "go.mod").write_text(f"module example.invalid/coredns\n\ngo 1.25.0\n\nrequire github.com/coredns/coredns v{PINS['coredns']}\n")
    go("mod", "tidy")
    _compile(go, work, "coredns", ".", "")


def _tool_module(go, work, requirement, packages):
    (work / "go.mod").write_text("module example.invalid/tools\n\ngo 1.25.0\n\ntool (\n" + "".join(f"\t{one}\n" for one in packages)
                                 + f")\n\nrequire {requirement}\n")
    go("mod", "tidy")


def _compile(go, work, name, package, flags):
    part = program(name).with_suffix(".part")
    go("build", "-ldflags", f"-s -w {flags}", "-o", str(part), package)
    part.rename(program(name))


@dataclasses.dataclass(frozen=True)
class Group:
    names: tuple
    pins: tuple
    make: object  # (go, folder to work in)


GROUPS = (Group((*KUBERNETES, "etcd"), ("kubernetes", "etcd"), _kubernetes), Group(("kubectl",), ("kubernetes",), _kubectl), Group(("kind",), ("kind",), _kind),
          Group(("coredns",), ("coredns",), _coredns), Group(("local-path-provisioner",), ("local-path-provisioner",), _provisioner),
          Group(tuple(CONTAINERD), ("containerd",), _containerd), Group(("helm",), ("helm",), _helm))
