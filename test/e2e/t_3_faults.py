"""Faults of the GPU and of its identity: nothing is unlocked, no key is released, the reason is told, and healing works."""
from e2e.harness import Node, fetch, pod, shared, wait_for


def sealed_pod(node, name="faulty", **options):
    sealed = node.seal(pod(name, fetch(f"default/{name}/one"), **options))
    node.put_secret(f"default/{name}/one", "the-secret", sealed)
    return sealed


def with_fault(fault, *codes):
    node = shared(gpus=1)
    sealed = sealed_pod(node)
    control = node.run(sealed)
    assert control.code == 0 and "the-secret" in control.out, f"{control}\n{node.logs()}"
    node.remove("faulty")
    node.fault(0, fault)
    try:
        result = node.run(sealed)
        assert result.code == 3, f"{result}\n{node.logs()}"
        assert any(code in result.out + result.err for code in codes), f"none of {codes} in {result}"
        assert "the-secret" not in result.out, result
    finally:
        node.remove("faulty")
        node.fault(0, "none")
    wait_for(lambda: node.gpus()[0]["healthy"], 10, lambda: str(node.gpus()))
    again = node.run(sealed)
    assert again.code == 0 and "the-secret" in again.out, f"after the fault: {again}\n{node.logs()}"
    node.remove("faulty")
    node.wait_clean()


def test_changed_firmware():
    with_fault("firmware", "gpu.measurement-mismatch")


def test_debug_fuse():
    with_fault("debug", "gpu.debug-enabled")


def test_revoked_certificate():
    with_fault("revoke", "revoked")


def test_mode_off_and_devtools():
    node = shared(gpus=1)
    sealed = sealed_pod(node)
    for mode, code in (("off", "gpu-mode"), ("devtools", "devtools")):
        node.mode(0, mode)
        try:
            result = node.run(sealed)
            assert result.code == 3 and "mode" in result.err + result.out, f"{mode}: {result}\n{node.logs()}"
            assert "the-secret" not in result.out
        finally:
            node.remove("faulty")
            node.mode(0, "hopper-cc")
    wait_for(lambda: node.gpus()[0]["healthy"], 10)
    assert node.run(sealed).code == 0
    node.remove("faulty")


def test_board_swapped_while_the_pod_runs():
    node = shared(gpus=1)
    name = "swapped"
    sealed = node.seal(pod(name, "for i in $(seq 100); do wget -q -O - http://127.0.0.1:8006/attest/status; echo; sleep 0.1; done"))
    assert node.run(sealed, "--detach").code == 0
    node.fault(0, "swap")
    try:
        wait_for(lambda: any(event["code"].startswith("gpu.") and "accepted" not in event["code"] and event["code"] != "gpu.session" for event in node.describe(name)["events"]),
                 20, lambda: str([event["code"] for event in node.describe(name)["events"]]))
    finally:
        node.remove(name)
        node.fault(0, "none")
    node.wait_clean()


def test_unhealthy_device_is_not_given_and_comes_back():
    node = shared(gpus=1)
    node.fault(0, "drop")
    wait_for(lambda: not node.gpus()[0]["healthy"], 10)
    wait_for(lambda: node.run(node.seal(pod("none", "true"))).code == 3, 10)
    node.remove("none")
    node.fault(0, "none")
    wait_for(lambda: node.gpus()[0]["healthy"], 10)
    wait_for(lambda: (node.remove("none"), node.run(node.seal(pod("none", "true"))).code == 0)[1], 15, lambda: node.logs())
    node.remove("none")


def test_a_broker_that_was_not_told_to_accept_emulated_evidence():
    node = Node(gpus=1, accept=False)
    sealed = sealed_pod(node, "strict")
    result = node.run(sealed)
    # The agent of such a pod pins hardware roots only.
    assert result.code == 3 and "EMULATED, NOT NVIDIA" in result.err.replace("\\", ""), f"{result}\n{node.logs()}"
    assert "the-secret" not in result.out
    # Even when the pod's own agent is told to accept it, the broker is not.
    lax = node.seal(pod("lax", fetch("default/strict/one")), "--insecure-accept-emulated")
    result = node.run(lax)
    assert result.code == 3 and "environment.emulated" in result.err and "the-secret" not in result.out, f"{result}\n{node.logs()}"


def test_the_roots_of_another_emulator_are_not_ours():
    node, foreign = shared(gpus=1), Node(gpus=1)
    sealed = sealed_pod(foreign, "foreign")
    assert foreign.run(sealed).code == 0
    foreign.remove("foreign")
    # The same pod, with the policy (roots, broker) of the other deployment, on our machine: our GPUs chain to our own root.
    result = node.run(sealed)
    assert result.code == 3 and "root" in result.out + result.err, f"{result}\n{node.logs()}"
    node.remove("foreign")
