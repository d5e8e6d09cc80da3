"""What the host changes after the policy was made is refused inside the sandbox, by name."""
import base64
import gzip

from e2e.harness import deep, edited, fetch, pod, refused, shared

ANNOTATION = "io.katacontainers.config.hypervisor.cc_init_data"


def control(node, name="policy", command="id -u; echo ran", **container):
    """The positive control: the same pod runs when nobody touched it."""
    sealed = node.seal(pod(name, command, 1, **container))
    result = node.run(sealed)
    assert result.code == 0 and "ran" in result.out, f"{result}\n{node.logs()}"
    node.remove(name)
    return sealed


def attack(edit, code, **container):
    node = shared(gpus=2)
    sealed = control(node, **container)
    result = node.run(edited(sealed, edit))
    refused(result, code)
    assert "ran" not in result.out, result
    node.remove("policy")
    node.wait_clean()
    return result


def main(value):
    return value["spec"]["containers"][0]


def test_another_command():
    result = attack(lambda p: main(p).update(command=["sh", "-c", "echo ran something else"]), "policy.command")
    assert "something else" in result.err + result.out, "the first differing field must be shown"


def test_another_image():
    attack(lambda p: main(p).update(image="localhost/ccgpu/pause:latest"), "policy.")


def test_an_environment_variable_more():
    attack(lambda p: main(p).update(env=[{"name": "LD_PRELOAD", "value": "/evil.so"}]), "policy.env")


def test_an_environment_variable_changed():
    attack(lambda p: main(p).update(env=[{"name": "MODE", "value": "debug"}]), "policy.env", env=[{"name": "MODE", "value": "safe"}])


def test_an_environment_variable_less():
    attack(lambda p: main(p).update(env=[]), "policy.env", env=[{"name": "MODE", "value": "safe"}])


def test_a_mount_of_the_host():
    def edit(p):
        p["spec"]["volumes"] = [{"name": "host", "hostPath": {"path": "/etc"}}]
        main(p)["volumeMounts"] = [{"name": "host", "mountPath": "/host"}]
    attack(edit, "policy.mount")


def test_another_user():
    attack(lambda p: main(p).update(securityContext={"runAsUser": 1000}), "policy.user")


def test_a_capability_more():
    attack(lambda p: main(p).update(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}), "policy.capabilit")


def test_a_gpu_more():
    attack(lambda p: main(p).update(resources={"limits": {"ccgpu.dev/cc-gpu": 2}}), "policy.gpu-count")


def test_a_container_more():
    """It comes after the pod's own container, which rightly runs; the foreign one does not."""
    node = shared(gpus=2)
    sealed = control(node)

    def edit(p):
        extra = deep(main(p))
        extra.update(name="extra", resources={}, command=["sh", "-c", "echo ex''tra-ran"])
        p["spec"]["containers"].append(extra)
    result = node.run(edited(sealed, edit))
    refused(result, "policy.container")
    assert "extra-ran" not in result.out, result
    node.remove("policy")
    node.wait_clean()


def test_the_gpu_request_removed_means_not_bound():
    attack(lambda p: main(p).pop("resources"), "gpu.not-bound")


def test_exec_is_refused_unless_the_policy_lists_it():
    node = shared(gpus=2)
    assert node.run(node.seal(pod("execs", "sleep 60", gpus=0)), "--detach").code == 0
    result = node.ccgpu("exec", "execs", "--", "cat", "/etc/passwd")
    refused(result, "policy.exec")
    assert "root:" not in result.out
    node.remove("execs")


def test_a_pod_without_a_policy_is_refused():
    node = shared(gpus=2)
    refused(node.run(node.file("bare.yaml", pod("bare", "echo ran", gpus=0))), "policy.missing")
    node.remove("bare")


def test_initdata_with_an_other_policy_runs_but_gets_no_key():
    """The host may replace the whole document; then HOST_DATA is another, and the broker releases nothing."""
    node = shared(gpus=2)
    wanted = node.seal(pod("mine", fetch("default/mine/one")))
    node.put_secret("default/mine/one", "never-to-the-host", wanted)
    ok = node.run(wanted)
    assert ok.code == 0 and "never-to-the-host" in ok.out, f"{ok}\n{node.logs()}"
    node.remove("mine")

    def replace(p):
        text = gzip.decompress(base64.b64decode(p["metadata"]["annotations"][ANNOTATION])).decode()
        text = text.replace("readonlyRootfs: false", "readonlyRootfs: false ") + "\n# changed by the host\n"
        p["metadata"]["annotations"][ANNOTATION] = base64.b64encode(gzip.compress(text.encode())).decode()
    result = node.run(edited(wanted, replace))
    refused(result, "release.host-data")
    assert "never-to-the-host" not in result.out
    node.remove("mine")


def test_broken_initdata_is_a_clear_refusal():
    node = shared(gpus=2)
    sealed = node.seal(pod("broken", "echo ran", gpus=0))
    for value in ("", "not base64!", base64.b64encode(b"not gzip").decode(), base64.b64encode(gzip.compress(b"not = [toml")).decode(),
                  base64.b64encode(gzip.compress(b"\0" * (8 << 20))).decode()):
        result = node.run(edited(sealed, lambda p, v=value: p["metadata"]["annotations"].update({ANNOTATION: v})))
        assert result.code in (2, 3), result
        assert "ran" not in result.out, result
        node.remove("broken")
