"""The Go programs of a cluster, built from the module proxy and kept by their versions: kubeadm to helm.

`program("helm")` is the path of a built one. Kubernetes' own go.mod wants its staging modules from beside it, so each of them is replaced
by the published one of the same release; versions are stamped in, since clients parse them.
"""
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import golang

PINS = json.loads((HERE / "versions.json").read_text())
HOME = pathlib.Path(os.environ.get("CCGPU_KIND_HOME") or golang.CACHE / "kind")

MISSING = HOME / "missing.txt"  # why there is no cluster, for those who skip

KUBERNETES = ["kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubeadm", "kube-proxy"]
CONTAINERD = ["containerd", "containerd-shim-runc-v2", "ctr"]
# What kubeadm's Corefile names, in the order in which CoreDNS asks its plugins.
COREDNS_DIRECTIVES = ["reload", "health", "ready", "prometheus", "errors", "log", "loadbalance", "cache", "loop", "kubernetes", "forward"]
COREDNS_PACKAGES = {"prometheus": "metrics"}


def folder():
    """Where the programs of exactly these versions lie."""
    key = hashlib.sha256((json.dumps(PINS, sort_keys=True) + pathlib.Path(__file__).read_text()).encode()).hexdigest()[:12]
    return HOME / f"programs-{key}-{platform.machine()}"


def program(name):
    return folder() / name


def missing():
    return [name for names in GROUPS for name in names if not program(name).exists()]


def build(say):
    """Builds what is missing, group by group (one Go build at a time: each may take 2 GiB). Raises OSError when something cannot be had."""
    if not missing():
        return
    go = golang.usable(PINS["go"])
    folder().mkdir(parents=True, exist_ok=True)
    for names, make in GROUPS.items():
        if all(program(name).exists() for name in names):
            continue
        say(f"building {', '.join(names)} from Go modules")
        work = HOME / f"modules.{os.getpid()}"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            make(lambda *words: golang.run([go, *words], cwd=work, env=dict(os.environ, **golang.ENVIRONMENT)), work)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _kubernetes(go, work):
    version = PINS["kubernetes"]
    upstream = json.loads(go("mod", "download", "-json", f"k8s.io/kubernetes@v{version}"))["GoMod"]
    staged = re.findall(r"^\t(k8s\.io/[a-z-]+) => \./staging/", pathlib.Path(upstream).read_text(), re.MULTILINE)
    published = "v0." + version.split(".", 1)[1]
    (work / "go.mod").write_text("module example.invalid/cluster\n\ngo 1.25.0\n\ntool (\n"
                                 + "".join(f"\tk8s.io/kubernetes/cmd/{name}\n" for name in KUBERNETES) + "\tgo.etcd.io/etcd/server/v3\n)\n\n"
                                 + f"require (\n\tk8s.io/kubernetes v{version}\n\tgo.etcd.io/etcd/server/v3 v{PINS['etcd']}\n)\n\nreplace (\n"
                                 + "".join(f"\t{module} => {module} {published}\n" for module in staged) + ")\n")
    go("mod", "tidy")
    stamp = "k8s.io/component-base/version"
    flags = " ".join(f"-X {stamp}.{key}={value}" for key, value in {
        "gitVersion": f"v{version}", "gitMajor": "1", "gitMinor": version.split(".")[1], "gitTreeState": "archive", "gitCommit": "0" * 40,
        "buildDate": "1970-01-01T00:00:00Z"}.items())
    for name in KUBERNETES:
        _compile(go, work, name, f"k8s.io/kubernetes/cmd/{name}", flags)
    _compile(go, work, "etcd", "go.etcd.io/etcd/server/v3", "")


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
    part = folder() / f"{name}.part"
    go("build", "-ldflags", f"-s -w {flags}", "-o", str(part), package)
    part.rename(program(name))


GROUPS = {tuple(KUBERNETES + ["etcd"]): _kubernetes, ("kind",): _kind, ("coredns",): _coredns, ("local-path-provisioner",): _provisioner, tuple(CONTAINERD): _containerd, ("helm",): _helm}
