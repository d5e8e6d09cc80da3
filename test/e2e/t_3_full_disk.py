"""No room left: under the broker, under the node's own records, under the events of sandboxes, under the emulator. Nothing is released unrecorded, nothing
is lost, the reason is told, and when there is room again all goes on without a hand.

Each part gets a small file system of its own in the place of its folder, which a test fills and clears.
"""
import subprocess

from e2e.harness import Node, edited, fetch, full, pod, refused, wait_for

PARTS = ("broker", "node", "pods", "emulator")


class Cramped(Node):
    """A node whose folders of state are file systems of four MiB each. `ccgpu down` takes them away with what else is mounted there."""

    def up(self):
        for part in PARTS:
            (self.state / part).mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0750", "full-disk-test", self.state / part], check=True)
        return super().up()

    def full(self, part):
        return full(self.state / part)


_nodes = []


def cramped():
    """One for all tests here."""
    if not _nodes:
        _nodes.append(Cramped(gpus=1))
    return _nodes[0]


def with_key(node, name="roomy"):
    sealed = node.seal(pod(name, fetch(f"default/{name}/one")))
    node.put_secret(f"default/{name}/one", "the-secret", sealed)
    return sealed


def gets_its_key(node, sealed, name="roomy"):
    good = node.run(sealed)
    assert good.code == 0 and "the-secret" in good.out, f"{good}\n{node.logs()}"
    node.remove(name)


def decisions(node):
    result = node.ccgpu("secret", "decisions", "--verify", "--json")
    assert result.code == 0, result
    value = result.json()
    return value["decisions"] if isinstance(value, dict) else value


def test_a_broker_without_room_releases_nothing_and_forgets_nothing():
    node = cramped()
    sealed = with_key(node)
    gets_its_key(node, sealed)
    before = decisions(node)
    with node.full("broker"):
        result = node.run(sealed)
        assert result.code != 0 and "store.failed" in result.err and "disk is full" in result.err, result
        assert "the-secret" not in result.out + result.err, result
        node.remove("roomy")
        put = node.ccgpu("secret", "put", "default/roomy/two", node.file("big", b"x" * 65536))
        assert put.code != 0 and "store.failed" in put.err, put
    gets_its_key(node, sealed)
    after = decisions(node)
    # What stood in the record stands there still, and whoever was given something since.
    assert [entry for entry in after if entry in before] == before and len(after) > len(before), (before, after)


def test_a_node_without_room_for_its_records_admits_nobody():
    node = cramped()
    sealed = with_key(node)
    gets_its_key(node, sealed)
    with node.full("node"):
        result = node.run(sealed)
        assert result.code != 0 and "No space left" in result.err and "the-secret" not in result.out, result
        node.remove("roomy")
        assert not node.gpus()[0]["sandbox_id"]
    gets_its_key(node, sealed)


def test_events_that_find_no_room_are_lost_and_nothing_else_is():
    """They inform; what decides does not depend on them: the right pod gets its key, a pod whose policy is broken is refused with its reason."""
    node = cramped()
    sealed = with_key(node)
    with node.full("pods"):
        gets_its_key(node, sealed)
        changed = edited(sealed, lambda value: value["spec"]["containers"][0].update(command=["sh", "-c", "echo another"]))
        refused(node.run(changed), "policy.command")
        node.remove("roomy")
    told = node.run(sealed)
    assert told.code == 0 and "attest.gpu-accepted" in told.err, f"{told}\n{node.logs()}"
    node.remove("roomy")


def test_an_emulator_without_room_goes_on_as_it_is():
    node = cramped()
    sealed = with_key(node)
    with node.full("emulator"):
        gets_its_key(node, sealed)
        # A mode has to survive a restart, so that one that cannot be kept is not taken.
        switched = node.ccgpu("gpu", "mode", "0", "devtools")
        assert switched.code != 0 and "No space left" in switched.err, switched
        assert node.gpus()[0]["mode"] == "hopper-cc"
        gets_its_key(node, sealed)
    node.mode(0, "devtools")
    node.mode(0, "hopper-cc")
    wait_for(lambda: node.gpus()[0]["healthy"], 10)
    gets_its_key(node, sealed)
