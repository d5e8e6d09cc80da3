"""The processes of one pod on the host, and what the kernel says about them."""
import os
import pathlib

TICKS = os.sysconf("SC_CLK_TCK")
PROC = pathlib.Path("/proc")


class Process:
    def __init__(self, pid):
        self.pid = pid
        self.folder = PROC / str(pid)
        self.command = self.folder.joinpath("cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        # The name in brackets may hold anything; the fields stand behind its last bracket.
        fields = self.folder.joinpath("stat").read_text().rsplit(")", 1)[1].split()
        self.parent, self.started = int(fields[1]), int(fields[19]) / TICKS  # seconds of CLOCK_BOOTTIME, as /proc/uptime

    @property
    def program(self):
        return pathlib.PurePath(self.command[0]).name

    def _kib(self, file, key):
        for line in self.folder.joinpath(file).read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        raise AssertionError(f"{self.folder / file} has no {key}")

    def rss_mib(self):
        return self._kib("status", "VmRSS") / 1024

    def pss_mib(self):
        return self._kib("smaps_rollup", "Pss") / 1024

    def memfds_mib(self):
        """Memory of the memfds this process holds open, mapped or not: the sealed image that the sandbox was started from."""
        sizes = {}
        for entry in self.folder.joinpath("fd").iterdir():
            try:
                if "/memfd:" in os.readlink(entry):
                    found = entry.stat()
                    sizes[found.st_ino] = found.st_blocks * 512
            except OSError:
                pass  # closed meanwhile
        return sum(sizes.values()) / (1 << 20)


def all_processes():
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                found.append(Process(int(entry.name)))
            except (OSError, IndexError):
                pass  # it ended while we read
    return found


def one(processes, text, condition):
    found = [process for process in processes if condition(process)]
    assert len(found) == 1, f"expected one {text}, found {[' '.join(process.command) for process in found]}"
    return found[0]


def parts_of_all(node, count):
    """{part: [Process]} of all of a node's `count` running pods."""
    processes, emulator = all_processes(), node.daemons()["ccgpu-emulator"]
    parts = {"shim": [p for p in processes if p.program == "containerd-shim-ccgpu-v2" and any(str(node.state) in word for word in p.command)],
             "guestd": [p for p in processes if p.program == "ccgpu-guestd" and p.parent == emulator]}
    parts["agent"] = [p for p in processes if p.program == "ccgpu-agent" and p.parent in {guestd.pid for guestd in parts["guestd"]}]
    for part, found in parts.items():
        assert len(found) == count, f"expected {count} processes {part}, found {len(found)}"
    return parts


def parts_of(node, name):
    """{part: Process} of a running pod: shim, guestd and agent, or shim and pause with the stock runtime."""
    described, processes = node.describe(name), all_processes()
    sandbox = described["sandbox_id"]
    shim = one(processes, f"shim of {name}", lambda p: p.program.startswith("containerd-shim-") and sandbox in p.command)
    if described["runtime_handler"] != "ccgpu":
        return {"shim": shim, "pause": one(processes, "pause process", lambda p: p.parent == shim.pid and p.command[-1] == "2147483647")}
    emulator = node.daemons()["ccgpu-emulator"]
    guestd = one(processes, f"guestd of {name}", lambda p: p.program == "ccgpu-guestd" and p.parent == emulator)
    return {"shim": shim, "guestd": guestd, "agent": one(processes, f"agent of {name}", lambda p: p.program == "ccgpu-agent" and p.parent == guestd.pid)}
