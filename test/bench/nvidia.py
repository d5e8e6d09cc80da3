"""Our verifier against NVIDIA's Python one: the same evidence, RIMs and status in the same run, theirs with its network on loopback."""
from bench.rows import median, row, spread
from e2e import harness
from foreign.nvidia_verifier import World

NONCE = "a5" * 32
ROUNDS, TURNS = 5, 3


def nvidia(_node):
    """They and we take turns. Cold: the first call in a process that has loaded everything. Warm: the median of the later ones."""
    theirs, ours = {"cold": [], "warm": []}, {"cold": [], "warm": []}
    with World(harness.BUILD) as world:
        assert "error" not in world.do("connect")
        for _ in range(TURNS):
            said = world.attest(NONCE, times=1 + ROUNDS)
            assert said["result"] is True, said["log"]
            mine = world.do("bench", said["evidence"], NONCE, ROUNDS)
            assert "error" not in mine, mine
            for kind, seconds in (("cold", said["seconds"][0]), ("warm", median(said["seconds"][1:]))):
                theirs[kind].append(1000 * seconds)
                ours[kind].append(1000 * mine[kind])
    return [row(f"verify.{kind}-nvidia", median(ours[kind]), "ms", "NVIDIA's Python verifier", median(theirs[kind]), "ratio <= 0.02",
                f"ours: {spread(ours[kind], 1)} ms; theirs: {spread(theirs[kind], 0)} ms") for kind in ("cold", "warm")]
