"""The cluster's operator as the attacker: an admission webhook rewrites a sealed pod on its way to the node.

Each attack is what a mutating webhook can do to anybody's pod. The owner put a key for the pod as it was sealed; left alone, it gets it.
"""
import base64
import contextlib
import json
import pathlib
import subprocess

from cluster.workloads import ASK, answered, gone_pods
from cluster.world import TOOLS, pod
from e2e import harness

NAME, PATH, LABELS = "rewritten", "default/rewritten/key", {"app": "rewritten"}
INITDATA = "io.katacontainers.config.hypervisor.cc_init_data"
AT_INITDATA, AT_MAIN = "/metadata/annotations/" + INITDATA, "/spec/containers/0"
STEAL = ["/bin/sh", "-c", (ASK % PATH).replace("KEY", "STOLEN")]


def replace(path, value):
    return {"op": "add", "path": path, "value": value}


def attacks(operators_own):
    """name -> (the patch, a word of the refusal that is told). `operators_own`: initdata that admits what the operator wants to run."""
    return {
        "no policy": ([{"op": "remove", "path": AT_INITDATA}], "policy.missing"),
        "another command": ([replace(AT_MAIN + "/command", STEAL)], "policy.command"),
        "another image": ([replace(AT_MAIN + "/image", TOOLS.replace("tools", "broker"))], "policy.image"),
        "a library before all others": ([replace(AT_MAIN + "/env", [{"name": "LD_PRELOAD", "value": "/spy.so"}])], "policy.env"),
        "the operator's own policy and command": ([replace(AT_INITDATA, operators_own), replace(AT_MAIN + "/command", STEAL)], "hostData"),
        "no sandbox at all": ([{"op": "remove", "path": "/spec/overhead"}, {"op": "remove", "path": "/spec/runtimeClassName"}], None),
    }


class Operator:
    """The webhook while the block runs; `says` decides what it does to pods with the label."""

    def __init__(self, world):
        self.world = world
        self.folder = world.cluster.engine.state / "webhook"
        self.folder.mkdir(exist_ok=True)

    def says(self, patch):
        part = self.folder / "patch.part"
        part.write_text(json.dumps(patch))
        part.rename(self.folder / "patch.json")

    def __enter__(self):
        world, self.ended = self.world, contextlib.ExitStack()
        address = world.run("podman", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", world.node).out.strip()
        certificate, key = self.folder / "tls.crt", self.folder / "tls.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=webhook",
                        "-addext", f"subjectAltName=IP:{address}", "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
        self.says({"deny": "not yet"})
        words = ["/usr/bin/python3", pathlib.Path(__file__).with_name("webhook.py"), address, certificate, key, self.folder / "patch.json"]
        with self.ended:
            server = self.ended.enter_context(subprocess.Popen(world.cluster.engine.inside(words), env=world.cluster.engine.environment(), stdout=subprocess.PIPE, text=True,
                                                               stderr=subprocess.DEVNULL))
            self.ended.callback(server.terminate)
            hook = {"name": "operator.test.ccgpu.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": 5,
                    "objectSelector": {"matchLabels": LABELS},
                    "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                    "clientConfig": {"url": f"https://{address}:{server.stdout.readline().strip()}/", "caBundle": base64.b64encode(certificate.read_bytes()).decode()}}
            world.apply({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "operator"}, "webhooks": [hook]})
            self.ended.callback(world.kubectl, "delete", "mutatingwebhookconfiguration", "operator")
            world.until("the webhook is in force", lambda: "not yet" in self.tried())
            self.ended = self.ended.pop_all()
        return self

    def __exit__(self, *_):
        self.ended.close()

    def tried(self):
        """What the API server would say to such a pod."""
        probe = pod("probe", gpus=0)
        probe["metadata"]["labels"] = LABELS
        result = self.world.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(probe), check=False)
        return result.out + result.err


def sealed(world, command):
    body = pod(NAME, command=command)
    body["metadata"]["labels"] = LABELS
    return world.seal(body)


def a_pod_that_the_operator_rewrites_gets_no_key(world):
    operators_own = json.loads(harness.from_yaml(sealed(world, STEAL)))["metadata"]["annotations"][INITDATA]
    manifest = sealed(world, ["/bin/sh", "-c", ASK % PATH])
    world.put_secret(PATH, "the owner's key", manifest)

    def left_alone():
        operator.says([])
        with gone_pods(world, NAME):
            world.kubectl("apply", "-f", manifest)
            world.kubectl("wait", "--for=condition=Ready", f"pod/{NAME}", "--timeout=90s")
            answered(world, NAME, "the owner's key")

    with Operator(world) as operator:
        left_alone()
        for name, (patch, told) in attacks(operators_own).items():
            operator.says(patch)
            with gone_pods(world, NAME):
                world.kubectl("apply", "-f", manifest)
                if told:
                    world.until(f"{name}: it is refused with its reason", lambda: told in world.kubectl("describe", "pod", NAME).out)
                else:
                    world.until(f"{name}: nobody answers it", lambda: "NONE" in world.kubectl("logs", NAME, check=False).out)
                out = world.kubectl("logs", NAME, check=False).out
                assert "the owner's key" not in out, f"{name}: {out}"
        operator.says({"deny": "no pods today"})
        assert "no pods today" in world.kubectl("apply", "-f", manifest, check=False).err
        left_alone()


SCENARIOS = [a_pod_that_the_operator_rewrites_gets_no_key]
