"""The host reads and changes the link while a job runs: useless in hopper-cc, plain in mode off."""
import subprocess
import sys

from e2e.harness import shared

ATTACK = "test/attacks/link_host.py"
CLASSIFY = ["/app/digits", "--data", "/app", "--repeat"]


def digits(node, name, repeat, *options):
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"runtimeClassName": "ccgpu", "restartPolicy": "Never", "containers": [
        {"name": "main", "image": "localhost/ccgpu/digits:latest", "command": CLASSIFY + [str(repeat)], "resources": {"limits": {"ccgpu.dev/cc-gpu": 1}}}]}}
    sealed = node.seal(manifest, *options)
    key = node.state / "images" / "digits" / "model.key"
    release = {"apiVersion": "ccgpu.dev/v1alpha1", "kind": "KeyReleasePolicy", "metadata": {"name": "digits"},
               "spec": {"environment": ["emulated"], "sandbox": {"tee": "snp", "hostData": [node.digest(sealed)]}}}
    result = node.ccgpu("secret", "put", "default/digits/model-key", key, "--release", node.file("release.yaml", release))
    assert result.code == 0, result
    return sealed


def attacked(node, sealed, *attack):
    """Runs the pod with the attack beside it; the pod's result and the attack's."""
    host = subprocess.Popen([sys.executable, ATTACK, attack[0], str(node.state / "run" / "gpu0.link"), *attack[1:], "--seconds", "60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        result = node.run(sealed)
    finally:
        out, _ = host.communicate("stop\n")
    return result, host.returncode, out


def test_the_example_classifies_as_the_cpu_does():
    node = shared(gpus=1)
    result = node.run(digits(node, "digits", 1))
    assert result.code == 0, f"{result}\n{node.logs()}"
    assert "same predictions 899 of 899" in result.out, result
    node.remove("digits")


def test_reading_finds_the_kernel_in_mode_off_and_nothing_in_hopper_cc():
    canary = ".visible .entry dense"  # of the PTX text that goes over the link
    node = shared(gpus=1)
    sealed = digits(node, "reader", 20)
    result, found, out = attacked(node, sealed, "find", canary)
    assert result.code == 0 and found == 1, f"hopper-cc: {out} {result}"
    node.remove("reader")
    node.mode(0, "off")
    try:
        result, found, out = attacked(node, digits(node, "reader", 20, "--gpu-mode", "off"), "find", canary)
        assert result.code == 0 and found == 0, f"positive control in mode off: {out} {result}\n{node.logs()}"
    finally:
        node.remove("reader")
        node.mode(0, "hopper-cc")
    node.wait_clean()


def test_flipping_one_bit_ends_the_job_with_an_integrity_error_and_no_result():
    node = shared(gpus=1)
    sealed = digits(node, "flipped", 100000)
    result, _, out = attacked(node, sealed, "flip")
    assert result.code == 1, f"{out} {result}\n{node.logs()}"
    assert "CUDA_ERROR" in result.out + result.err, result
    assert "accuracy" not in result.out, "no result may come out of a broken job"
    node.remove("flipped")
    node.wait_clean()
    after = node.run(digits(node, "after", 1))
    assert after.code == 0, f"{after}\n{node.logs()}"
    node.remove("after")
