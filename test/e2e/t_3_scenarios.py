"""The table of what a node does with pods and GPUs, against ccgpu-node. The clusters' suites run the same against kubelet."""
from scenarios import table
from scenarios.on_ccgpu_node import CcgpuNode

_places = {}


def place():
    """One node for all of them."""
    if "node" not in _places:
        _places["node"] = CcgpuNode()
    return _places["node"]


globals().update({f"test_{scenario.__name__}": lambda scenario=scenario: scenario(place()) for scenario in table.SCENARIOS})
