"""Clocks that are a day off, of the broker and of the machine that vouches for its GPUs: no key goes out, the time is named, and all is well afterwards.

libfaketime shifts what a program is told; it cannot reach static ones (shim and guestd), and guests do not inherit their launcher's environment, so
agents live on the machine's time here: a clock of theirs that is off by as much the other way looks the same.
"""
import contextlib
import pathlib

from e2e.harness import Skip, fetch, pod, refused, rerun, shared


@contextlib.contextmanager
def shifted(node, program, days):
    """The program runs anew and is told another time."""
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if not library:
        raise Skip("no libfaketime (./run test installs it)")
    with rerun(node, program, LD_PRELOAD=str(library), FAKETIME=f"{days:+}d", FAKETIME_DONT_FAKE_MONOTONIC="1"):
        yield


def a_day_off(program, days, code, *words):
    node = shared(gpus=1)
    sealed = node.seal(pod("clock", fetch("default/clock/one")))
    node.put_secret("default/clock/one", "the-secret", sealed)

    def gets_its_key():
        good = node.run(sealed)
        assert good.code == 0 and "the-secret" in good.out, f"{good}\n{node.logs()}"
        node.remove("clock")

    gets_its_key()
    with shifted(node, program, days):
        result = node.run(sealed)
        refused(result, code)
        assert all(word in result.err for word in words), f"{words} are not all in {result}"
        assert "the-secret" not in result.out + result.err
        node.remove("clock")
    gets_its_key()


def test_a_broker_a_day_ahead_takes_fresh_statements_for_old_ones():
    a_day_off("ccgpu-broker", +1, "gpu.revocation-stale", "judged at")


def test_a_broker_a_day_behind_does_not_believe_statements_of_the_future():
    a_day_off("ccgpu-broker", -1, "gpu.revocation-missing", "is not valid yet", "is a clock wrong?")


def test_a_machine_a_day_ahead_is_not_believed():
    a_day_off("ccgpu-emulator", +1, "gpu.revocation-missing", "is not valid yet", "is a clock wrong?")


def test_a_machine_a_day_behind_is_not_believed():
    a_day_off("ccgpu-emulator", -1, "gpu.revocation-stale", "judged at")
