"""The tests of one containerd, in order: installed, used, broken, uninstalled."""
from cluster import devices, installing, rewriting, users, workloads
from cluster.world import World
from scenarios import table
from scenarios.on_kubelet import Kubelet

# Minutes long, and about the API server only: once is enough.
ONCE = {workloads.the_api_server_is_away_for_two_minutes}


def tests(containerd, all_of_them=True):
    """name -> function, for a t_*.py module's globals."""
    scenarios = [*installing.FIRST, *users.SCENARIOS, *rewriting.SCENARIOS, *table.SCENARIOS, *devices.SCENARIOS, *workloads.SCENARIOS, *installing.LAST]
    return {f"test_{one.__name__}": bound(one, containerd) for one in scenarios if all_of_them or one not in ONCE}


def bound(scenario, containerd):
    def test():
        world = World.of(containerd)
        if scenario in table.SCENARIOS:
            scenario(Kubelet(world.installed()))
        else:
            scenario(world if scenario in (*installing.FIRST[:2], *installing.LAST) else world.installed())
    return test
