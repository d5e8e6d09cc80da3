"""A real Kubernetes API server with its etcd and nothing else, RBAC on: for tests that ask it what it thinks of an object, or that put a program of ours before it."""
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

from e2e import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kind"))
import programs

OPERATOR = "operator"  # the token of the one who may do everything


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def tool(name):
    """The path of a program of a cluster."""
    if not programs.program(name).exists():
        raise harness.Skip(f"no {name} was built (./run kind fetch, outside the namespace)")
    return str(programs.program(name))


class ApiServer:
    """Everything lies in `folder` and on 127.0.0.1; `close` ends and removes it."""

    def __init__(self):
        etcd, server, self.program = tool("etcd"), tool("kube-apiserver"), tool("kubectl")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ccgpu-api-", dir="/tmp"))
        self.processes = []
        harness._open.append(self)
        self._certificates()
        client, peer, self.port = (f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}", free_port())
        self.url = f"https://127.0.0.1:{self.port}"
        self.start("etcd", etcd, "--data-dir", self.folder / "etcd", "--listen-client-urls", client, "--advertise-client-urls", client,
                   "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}", "--unsafe-no-fsync")
        self.arguments = [server, f"--etcd-servers={client}", f"--secure-port={self.port}", "--bind-address=127.0.0.1", "--advertise-address=192.0.2.1",
                          f"--tls-cert-file={self.folder}/api.crt", f"--tls-private-key-file={self.folder}/api.key", f"--service-account-key-file={self.folder}/sa.pub",
                          f"--service-account-signing-key-file={self.folder}/sa.key", "--service-account-issuer=https://test", "--authorization-mode=RBAC",
                          f"--token-auth-file={self.folder}/tokens.csv", "--service-cluster-ip-range=10.96.0.0/16", "--allow-privileged=true",
                          # Service accounts are made by a controller, which does not run.
                          "--disable-admission-plugins=ServiceAccount"]
        self.start_api()

    def _certificates(self):
        def openssl(*words):
            subprocess.run(["openssl", *map(str, words)], cwd=self.folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test-ca", "-addext", "keyUsage=critical,keyCertSign,digitalSignature")
        openssl("req", "-x509", *key, "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "api.key", "-out", "api.crt", "-subj", "/CN=kube-apiserver",
                "-addext", "basicConstraints=CA:FALSE", "-addext", "extendedKeyUsage=serverAuth", "-addext", "subjectAltName=IP:127.0.0.1")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "sa.key")
        openssl("pkey", "-in", "sa.key", "-pubout", "-out", "sa.pub")
        (self.folder / "tokens.csv").write_text(f'{OPERATOR},{OPERATOR},1,"system:masters"\n')

    def start(self, name, *words, **more):
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(list(map(str, words)), stdout=log, stderr=log, cwd=self.folder, **more)
        self.processes.append(process)
        return process

    def start_api(self):
        self.api = self.start("kube-apiserver", *self.arguments)

        def ready():
            for process in self.processes:
                assert process.poll() is None, "".join(path.read_text()[-3000:] for path in self.folder.glob("*.log"))
            return self.kubectl("get", "--raw", "/readyz", check=False).code == 0
        harness.wait_for(ready, 60, lambda: f"{self.kubectl('get', '--raw', '/readyz', check=False)}\n{(self.folder / 'kube-apiserver.log').read_text()[-3000:]}")

    def stop(self, process, kill=False):
        process.kill() if kill else process.terminate()
        process.wait(30)
        self.processes.remove(process)

    def close(self):
        for process in reversed(list(self.processes)):
            process.kill()
            process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def kubectl(self, *words, check=True, stdin=None):
        done = subprocess.run([self.program, "--kubeconfig", "/dev/null", "--cache-dir", str(self.folder / "cache"), "--server", self.url,
                               "--certificate-authority", str(self.folder / "ca.crt"), "--token", OPERATOR, *words],
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        assert not check or done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return harness.Result(done.returncode, done.stdout, done.stderr)

    def apply(self, text):
        self.kubectl("apply", "--server-side", "-f", "-", stdin=text)

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json").out)


@contextlib.contextmanager
def started():
    api = ApiServer()
    try:
        yield api
    finally:
        harness._open.remove(api)
        api.close()
