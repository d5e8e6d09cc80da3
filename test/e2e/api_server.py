"""A real Kubernetes API server with etcd and nothing else, for tests that ask it what it thinks of an object."""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile

from e2e import harness

TOKEN = "admin-of-this-test"


class ApiServer:
    def __init__(self, kubectl, folder):
        self.program, self.folder = kubectl, folder
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                  "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:16443", "certificate-authority": str(folder / "certs" / "apiserver.crt"),
                                                         "tls-server-name": "kubernetes"}}],
                  "users": [{"name": "u", "user": {"token": TOKEN}}]}
        (folder / "kubeconfig").write_text(json.dumps(config))

    def kubectl(self, *arguments, stdin=None, timeout=60):
        env = dict(os.environ, KUBECONFIG=str(self.folder / "kubeconfig"), HOME=str(self.folder))
        done = subprocess.run([self.program, *map(str, arguments)], env=env, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
        return harness.Result(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def started(tool):
    """`tool` gives the path of a program or raises harness.Skip. Two processes on 127.0.0.1, gone at the end."""
    etcd, server, kubectl = tool("etcd"), tool("kube-apiserver"), tool("kubectl")
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / "sa.key"], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["openssl", "pkey", "-in", folder / "sa.key", "-pubout", "-out", folder / "sa.pub"], check=True)

        def start(name, *words):
            log = stack.enter_context(open(folder / f"{name}.log", "w"))
            process = subprocess.Popen(list(map(str, words)), stdout=log, stderr=subprocess.STDOUT, cwd=folder)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process
        peers = "http://127.0.0.1:12379"
        processes = [start("etcd", etcd, "--data-dir", folder / "etcd", "--listen-client-urls", peers, "--advertise-client-urls", peers,
                           "--listen-peer-urls", "http://127.0.0.1:12380", "--unsafe-no-fsync"),
                     start("server", server, f"--etcd-servers={peers}", "--secure-port=16443", "--bind-address=127.0.0.1", "--advertise-address=192.0.2.1",
                           f"--cert-dir={folder / 'certs'}", f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC", "--allow-privileged=true",
                           "--service-account-issuer=https://localhost", f"--service-account-key-file={folder / 'sa.pub'}",
                           f"--service-account-signing-key-file={folder / 'sa.key'}", "--service-cluster-ip-range=10.96.0.0/16",
                           # Service accounts are made by a controller, which does not run.
                           "--disable-admission-plugins=ServiceAccount")]
        api = ApiServer(kubectl, folder)

        def ready():
            for process in processes:
                assert process.poll() is None, "".join(path.read_text()[-3000:] for path in folder.glob("*.log"))
            return (folder / "certs" / "apiserver.crt").exists() and api.kubectl("get", "--raw", "/readyz").code == 0
        harness.wait_for(ready, 60, lambda: f"{api.kubectl('get', '--raw', '/readyz')}\n{(folder / 'server.log').read_text()[-3000:]}")
        yield api
