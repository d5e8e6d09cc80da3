"""Two nodes of a real Kubernetes: pods and keys on both, drained, put back one by one, and one that loses its power."""
from cluster import nodes


def bound(scenario, world):
    return lambda: scenario(world())


globals().update({f"test_{one.__name__}": bound(one, nodes.of_two) for one in nodes.BEFORE})
globals().update({f"test_{one.__name__}": bound(one, nodes.of_two_installed) for one in nodes.SCENARIOS})
