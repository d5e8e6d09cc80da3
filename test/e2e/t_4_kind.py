"""./run kind on a laptop: which container engine it takes and why, and a whole cluster on podman with an image from a registry."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kind"))
import node_image
import own
import programs

from e2e import harness
from foreign import go_tools

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OFFICIAL = programs.PINS["node-image"]
ABSENT = "127.0.0.1:1/kindest/node:none"  # nobody listens there
# An engine that answers what is asked before a cluster is made, and has every image.
WORKING = """#!/bin/sh
case "$1 $2" in
"info "|"image inspect") [ "$3" = --format ] && echo null; exit 0 ;;
*) echo "$0: only info and image inspect" >&2; exit 1 ;;
esac
"""
STOPPED = "#!/bin/sh\necho 'Cannot connect to the daemon. Is it running?' >&2\nexit 1\n"


class Laptop:
    """A machine with a network, a podman and stand-ins for other engines of its own; ./run kind as its user types it."""

    def __init__(self):
        if programs.missing() or programs.MISSING.exists():
            raise harness.Skip("no programs for clusters: " + (programs.MISSING.read_text().strip() if programs.MISSING.exists() else "./run kind fetch, outside the namespace"))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ccgpu-laptop-", dir="/tmp"))
        self.store = self.folder / "podman"
        self.netns = f"ccgpu-laptop-{os.getpid()}"
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        subprocess.run(["ip", "netns", "add", self.netns], check=True)
        subprocess.run(["ip", "-n", self.netns, "link", "set", "lo", "up"], check=True)
        (self.folder / "registries.conf").write_text('[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n')
        self.environment = dict(os.environ, **own.configuration(self.folder, self.store), CONTAINERS_REGISTRIES_CONF=str(self.folder / "registries.conf"),
                                PATH=f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin")
        self.environment.pop("KIND_EXPERIMENTAL_PROVIDER", None)
        for name in ("docker", "nerdctl"):
            self.has(name, STOPPED)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run("podman", "rm", "-af", "-t", "0", check=False)
        subprocess.run(["ip", "netns", "del", self.netns], check=True)
        shutil.rmtree(self.folder)

    def has(self, name, text):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, *words, check=True, **environment):
        done = subprocess.run(["nsenter", f"--net=/run/netns/{self.netns}", *map(str, words)], env=dict(self.environment, **environment), cwd=ROOT,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", timeout=400)
        result = harness.Result(done.returncode, done.stdout, done.stderr)
        assert not check or result.code == 0, f"{' '.join(map(str, words))}: {result}"
        return result

    def kind(self, *words, **more):
        return self.run("./run", "kind", "--name", "test-laptop", *words, **more)

    def refuses(self, *words, code, why, **environment):
        """Nothing is left of it."""
        result = self.kind(*words, check=False, **environment)
        assert result.code == code and why in result.err, result
        assert not (programs.HOME / "clusters" / "test-laptop").exists()


class Registry:
    """Google's registry server on the laptop, with our node image in it under kind's name."""

    def __init__(self, laptop):
        store, crane = programs.HOME / "podman", go_tools.tool("crane")
        if laptop.run("podman", "image", "exists", node_image.name("2"), check=False, **own.configuration(laptop.folder / "own", store)).code != 0:
            raise harness.Skip("no node image: ./run kind fetch, outside the namespace")
        (laptop.folder / "registry").mkdir()
        self.log = open(laptop.folder / "registry.log", "w+")
        serve = [crane, "registry", "serve", "--address", "127.0.0.1:0", "--disk", laptop.folder / "registry"]
        self.process = subprocess.Popen(["nsenter", f"--net=/run/netns/{laptop.netns}", *serve], stdout=self.log, stderr=self.log, env=laptop.environment)
        port = harness.wait_for(self._port, 30, lambda: "the registry")
        repository, digest = f"127.0.0.1:{port}/kindest/node:v{programs.PINS['kubernetes']}", laptop.folder / "digest"
        laptop.run("skopeo", "copy", "--dest-tls-verify=false", "--dest-compress-format", "zstd", "--dest-compress-level", "1", "--digestfile", digest,
                   f"containers-storage:[overlay@{store}/storage+{store}/run]{node_image.name('2')}", f"docker://{repository}")
        self.image = f"{repository}@{digest.read_text().strip()}"

    def _port(self):
        self.log.seek(0)
        found = [line for line in self.log if "serving on port" in line]
        return found and found[0].split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()


def test_a_cluster_on_the_machines_podman_with_an_image_from_a_registry():
    with Laptop() as laptop, Registry(laptop) as registry:
        laptop.run("podman", "network", "create", "theirs")
        up = laptop.kind("up", "--provider", "podman", "--image", registry.image)
        try:
            assert f"podman pulls {registry.image}" in up.err and f"on this machine's podman, with {registry.image}" in up.err, up
            # With kind alone it is one of its clusters, on its network; `podman ps` of this machine shows it.
            assert laptop.run("podman", "ps", "--format", "{{.Names}}").out.split() == ["test-laptop-control-plane"]
            assert "kind" in laptop.run("podman", "network", "ls", "--format", "{{.Name}}").out.split()
            _it_works(laptop)
            assert "is up already" in laptop.kind("up").err
            other = laptop.kind("up", "--provider", "own", check=False)
            assert other.code == 1 and "take it down first" in other.err, other
            # Somebody who never made it, with the same name by chance, neither takes it over nor takes it away.
            stranger = laptop.kind("up", "--provider", "podman", "--image", registry.image, check=False, CCGPU_KIND_HOME=str(_another_home(laptop)))
            assert stranger.code == 1 and "was not made here" in stranger.err, stranger
            laptop.kind("down", CCGPU_KIND_HOME=str(laptop.folder / "stranger"))
            laptop.kind("kubectl", "get", "--raw", "/readyz")
        finally:
            laptop.kind("down")
        assert not laptop.run("podman", "ps", "-aq").out and not laptop.run("podman", "volume", "ls", "-q").out
        assert sorted(laptop.run("podman", "network", "ls", "--format", "{{.Name}}").out.split()) == ["podman", "theirs"]
        assert laptop.run("podman", "image", "exists", registry.image, check=False).code == 0  # kept, as kind keeps it
        assert not (programs.HOME / "clusters" / "test-laptop").exists()
        # Now that the engine has the image, auto takes it without asking the registry.
        registry.process.kill()
        built = laptop.kind("build", "--image", registry.image)
        assert "podman pulls" not in built.err and f"on this machine's podman, with {registry.image}" in built.err, built


def _it_works(laptop):
    """status, load, kubectl, exec and helm; a pod of a loaded image runs."""
    assert "test-laptop-control-plane" in laptop.kind("status").out
    archive = harness.BUILD.parent / "images" / "tools.tar"
    laptop.kind("load", archive)
    images = laptop.kind("exec", "podman", "exec", "test-laptop-control-plane", "ctr", "-n", "k8s.io", "images", "ls", "-q").out.split()
    image = next(name for name in images if "/ccgpu/tools:" in name)
    laptop.kind("kubectl", "run", "hello", f"--image={image}", "--image-pull-policy=Never", "--restart=Never", "--command", "--", "/bin/sh", "-c", "echo hello")
    laptop.kind("kubectl", "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/hello", "--timeout=60s")
    assert laptop.kind("kubectl", "logs", "hello").out == "hello\n"
    assert json.loads(laptop.kind("helm", "list", "-A", "-o", "json").out) == []


def _another_home(laptop):
    """Somebody else's folder for clusters, with the same programs."""
    home = laptop.folder / "stranger"
    home.mkdir()
    for built in programs.HOME.glob("*-*"):
        (home / built.name).symlink_to(built)
    return home


def test_the_first_engine_that_answers_is_taken():
    with Laptop() as laptop:
        for name in ("docker", "nerdctl"):
            laptop.has(name, WORKING)
        assert f"on this machine's docker, with {OFFICIAL}" in laptop.kind("build").err
        laptop.has("docker", STOPPED)
        laptop.has("podman", STOPPED)
        assert f"on this machine's nerdctl, with {OFFICIAL}" in laptop.kind("build").err
        laptop.has("podman", WORKING)
        assert f"on this machine's podman, with {OFFICIAL}" in laptop.kind("build").err
        # As with kind itself, the variable names the engine; what is said on the command line counts more.
        assert "on this machine's nerdctl" in laptop.kind("build", KIND_EXPERIMENTAL_PROVIDER="nerdctl").err
        assert "on this machine's podman" in laptop.kind("build", "--provider", "podman", KIND_EXPERIMENTAL_PROVIDER="nerdctl").err


def test_the_machines_kubectl_is_used_when_it_is_new_enough():
    with Laptop() as laptop:
        laptop.has("docker", WORKING)
        home = _another_home(laptop)
        for version, ours in (("v1.34.0", False), ("v1.33.9", True), ("v1.36.1", False), ("devel", True)):
            laptop.has("kubectl", f"#!/bin/sh\necho 'Client Version: {version}'\n")
            laptop.kind("build", CCGPU_KIND_HOME=str(home))
            assert (home / "clients" / "kubectl").exists() == ours, version


def test_where_no_engine_serves_everything_is_made_here_and_it_says_why():
    with Laptop() as laptop:
        # docker and nerdctl do not run; podman does, and this network has no way to a registry.
        told = laptop.kind("build").err
        assert "podman and a node image of our own" in told and "docker does not answer (Cannot connect" in told, told
        assert f"podman has no {OFFICIAL} and cannot pull it" in told and "nerdctl does not answer" in told, told
        assert "only there is containerd 1.6" in laptop.kind("build", "--containerd", "1.6").err


def test_what_was_named_is_not_replaced():
    with Laptop() as laptop:
        laptop.refuses("up", "--provider", "docker", code=1, why="docker does not answer")
        laptop.refuses("up", "--provider", "podman", code=1, why=f"podman has no {OFFICIAL} and cannot pull it")
        laptop.refuses("up", "--image", ABSENT, code=1, why=f"podman has no {ABSENT} and cannot pull it")
        (laptop.bin / "nerdctl").unlink()
        laptop.refuses("up", "--provider", "nerdctl", code=1, why="no nerdctl")
        assert not laptop.run("podman", "ps", "-aq").out
        assert "kind" not in laptop.run("podman", "network", "ls", "--format", "{{.Name}}").out.split()


def test_what_contradicts_itself_is_refused():
    with Laptop() as laptop:
        laptop.has("docker", WORKING)
        laptop.refuses("up", "--provider", "docker", "--containerd", "1.6", code=2, why="--provider own, not docker")
        laptop.refuses("up", "--provider", "own", "--image", OFFICIAL, code=2, why="--image is for docker, podman and nerdctl")
        laptop.refuses("up", "--containerd", "1.6", "--image", OFFICIAL, code=2, why="--image is for docker, podman and nerdctl")
        laptop.refuses("up", code=2, why="expected one of auto, docker", KIND_EXPERIMENTAL_PROVIDER="dokcer")
