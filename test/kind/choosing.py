"""Which way a new cluster goes, and why."""
from machine import PROGRAMS, Machine
from own import Own

PROVIDERS = ("auto", *PROGRAMS, "own")


def of(provider, name):
    """The way that a cluster went."""
    return Own(name) if provider == "own" else Machine(name, provider)


def contradiction(provider, containerd, image):
    """Between what was asked for, or None."""
    if provider not in PROVIDERS:  # argparse does not look at what the environment said
        return f"KIND_EXPERIMENTAL_PROVIDER: expected one of {', '.join(PROVIDERS)}, found {provider}"
    if containerd == "1.6" and provider not in ("auto", "own"):
        return f"containerd 1.6 is only in the node image that is built here: --provider own, not {provider}"
    if image and (provider == "own" or containerd == "1.6"):
        return "--image is for docker, podman and nerdctl; --provider own and --containerd 1.6 mean the node image that is built here"
    return None


def choose(provider, name, containerd, image, say):
    """(engine, node image), ready. Raises OSError when what was named cannot be had; where nothing was, everything is made here."""
    if provider == "own":
        return _ours(name, containerd, "as you wish", say)
    if containerd == "1.6":
        return _ours(name, containerd, "only there is containerd 1.6", say)
    troubles = []
    for program in PROGRAMS if provider == "auto" else [provider]:
        engine = Machine(name, program)
        trouble = engine.trouble()
        if not trouble:
            try:
                found = engine.ready(containerd, image, say)
                say(f"on this machine's {program}, with {found.name}")
                return engine, found
            except OSError as error:
                trouble = str(error)
        troubles.append(trouble)
    if image or provider != "auto":
        raise OSError("; ".join(troubles))
    return _ours(name, containerd, "; ".join(troubles), say)


def _ours(name, containerd, why, say):
    engine = Own(name)
    if engine.trouble():
        raise OSError(f"{engine.trouble()} ({why})")
    say(f"on podman and a node image of our own: {why}")
    return engine, engine.ready(containerd, None, say)
