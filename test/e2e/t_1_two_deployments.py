"""Two deployments on one machine: neither is in the other's way, also where their folders' names tell the same network."""
import hashlib
import itertools
import json
import subprocess

from e2e.harness import Node, fetch, pod


def test_both_give_their_pods_keys():
    first = Node(gpus=1)
    second = Node(gpus=1, state=twin(first.state))
    for node, name in ((first, "one"), (second, "one"), (first, "two"), (second, "two")):
        result = node.run(keyed(node, name))
        assert result.code == 0 and f"the-key-of-{name}" in result.out, f"{result}\n{node.logs()}"
    assert network(first) != network(second)
    second.close()
    result = first.run(keyed(first, "three"))
    assert result.code == 0, f"the other one's end took something of this one: {result}"
    first.close()


def test_a_network_that_somebody_took_meanwhile_is_an_error():
    node = Node(gpus=1)
    assert node.ccgpu("down", timeout=120).code == 0
    taken = f"{network(node)}77/32"
    subprocess.run(["ip", "address", "add", taken, "dev", "lo"], check=True)
    try:
        result = node.ccgpu("up", *node.options, timeout=120)
        assert result.code != 0 and "deployment.subnet-taken" in result.err and " lo " in result.err, result
    finally:
        subprocess.run(["ip", "address", "del", taken, "dev", "lo"], check=True)
    node.up()
    result = node.run(keyed(node, "again"))
    assert result.code == 0 and "the-key-of-again" in result.out, result
    node.close()


def keyed(node, name):
    sealed = node.seal(pod(name, fetch(f"default/{name}/one")))
    node.put_secret(f"default/{name}/one", f"the-key-of-{name}", sealed)
    return sealed


def network(node):
    """Its pods' addresses begin with this."""
    url = json.loads((node.state / "config.json").read_text())["broker_url"]
    return url.split("//")[1].rsplit(".", 1)[0] + "."


def twin(state):
    """A folder whose name tells the same network (cli/deployment/addresses.cc)."""
    told = told_by(state)
    return next(path for path in (f"{state}-{i}" for i in itertools.count()) if told_by(path) == told)


def told_by(path):
    return hashlib.sha256(str(path).encode()).digest()[4]
