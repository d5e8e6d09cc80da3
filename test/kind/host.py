"""What clusters change of the whole machine: remembered before the first one, put back after the last."""
import json
import os
import pathlib

# kubelet sets these (its containers are privileged).
CHANGED = ["vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"]
# Every program of a node watches files; with the usual 128 a second or third cluster's do not start ("too many open files").
RAISED = {"fs/inotify/max_user_instances": 1024, "fs/inotify/max_user_watches": 524288}
# kind mounts it into each node.
MODULES = pathlib.Path("/lib/modules")


def prepare(folder):
    """Whoever may not change anything leaves it to the one who runs the engine."""
    kept = folder / "sysctls.json"
    if os.geteuid() != 0:
        return
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({name: pathlib.Path("/proc/sys", name).read_text() for name in [*CHANGED, *RAISED]}))
    for name, least in RAISED.items():
        value = pathlib.Path("/proc/sys", name)
        if int(value.read_text()) < least:
            value.write_text(str(least))
    MODULES.mkdir(exist_ok=True)


def put_back(folder):
    """Once no cluster is left."""
    kept = folder / "sysctls.json"
    if kept.exists() and not list(folder.glob("*/cluster.json")):
        for name, value in json.loads(kept.read_text()).items():
            pathlib.Path("/proc/sys", name).write_text(value)
        if MODULES.exists() and not any(MODULES.iterdir()):
            MODULES.rmdir()  # empty: ours (a kernel's own is never empty)
        kept.unlink()
