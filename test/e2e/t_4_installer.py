"""The node installer with real containerds: 1.6 of Debian and a 2.x, each on a machine that is a folder."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading

from e2e import harness

PAYLOAD = {"bin/containerd-shim-ccgpu-v2": "bin/containerd-shim-ccgpu-v2", "guest/guestd": "bin/ccgpu-guestd", "guest/agent": "bin/ccgpu-agent",
           "guest/libcuda.so.1": "guest/libcuda.so.1", "guest/libnvidia-ml.so.1": "guest/libnvidia-ml.so.1"}


def containerds():
    """Of the versions that can be had here."""
    found = {}
    debian = shutil.which("containerd")
    if debian and " 1." in subprocess.run([debian, "--version"], stdout=subprocess.PIPE, text=True).stdout:
        found["1.6"] = debian
    try:
        from kind import programs
        if programs.program("containerd").exists():
            found["2"] = str(programs.program("containerd"))
    except ImportError:
        pass
    if os.environ.get("CCGPU_CONTAINERD2"):
        found["2"] = os.environ["CCGPU_CONTAINERD2"]
    return found


def containerd(version):
    if os.geteuid() != 0:
        raise harness.Skip("containerd needs root")
    if version not in containerds():
        raise harness.Skip(f"no containerd {version} on this machine (1.6: Debian's package; 2: `./run kind` builds it, or name one in CCGPU_CONTAINERD2)")
    return containerds()[version]


class Machine:
    """A root folder with its own containerd, which is restarted by a script as systemd would."""

    def __init__(self, version, config, imports=False):
        self.program = containerd(version)
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ccgpu-ni-", dir="/tmp"))
        self.root = self.home / "root"
        for folder in ("etc/containerd", "opt", "usr/local/bin", "run/containerd", "var/lib"):
            (self.root / folder).mkdir(parents=True)
        self.config = self.root / "etc/containerd/config.toml"
        self.config.write_text(config.format(root=self.root))
        self.payload = self.home / "payload"
        for name, built in PAYLOAD.items():
            (self.payload / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(harness.BUILD / built, self.payload / name)
        self.pid, self.count, self.log = self.home / "pid", self.home / "restarts", self.home / "log"
        self.count.write_text("")
        self.script = self.home / "restart"
        # Kills the old one, waits for its end, starts the new one in a session of its own.
        self.script.write_text(f"""#!/bin/sh
echo once >> {self.count}
if [ -f {self.pid} ]; then
  kill "$(cat {self.pid})" 2>/dev/null
  while [ -d /proc/"$(cat {self.pid})" ] && ! grep -q '^State:.[ZX]' /proc/"$(cat {self.pid})"/status 2>/dev/null; do :; done
fi
PATH={pathlib.Path(self.program).parent}:$PATH setsid {self.program} -c {self.config} >> {self.log} 2>&1 < /dev/null &
echo $! > {self.pid}
""")
        self.script.chmod(0o755)
        harness._open.append(self)
        subprocess.run([self.script], check=True)
        self.count.write_text("")
        harness.wait_for(lambda: self.run("status").json()["note"] == "", 30, lambda: self.log.read_text()[-2000:])

    def run(self, *words, patience=20):
        done = subprocess.run([str(harness.BUILD / "bin/ccgpu-node-installer"), *words, "--host-root", self.root, "--payload", self.payload, "--patience", str(patience),
                               "--restart-command", self.script, "--log-command", f"tail -5 {self.log}"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=180)
        return harness.Result(done.returncode, done.stdout, done.stderr)

    def restarts(self):
        return len(self.count.read_text().split())

    def tree(self):
        """What the installer may touch: all but containerd's own state."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if name.startswith(("run/containerd/", "var/lib/containerd")):
                continue
            info = path.lstat()
            found[name] = (info.st_mode, info.st_uid, info.st_gid, os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else "")
        return found

    def close(self):
        if self.pid.exists():
            try:
                os.kill(int(self.pid.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                pass
        for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(str(self.root)):
                subprocess.run(["umount", line.split()[1]])
        shutil.rmtree(self.home, ignore_errors=True)


# As Debian, kind and `containerd config default` write them, at folders of the test's.
BASE = 'version = 2\nroot = "{root}/var/lib/containerd"\nstate = "{root}/run/containerd"\n\n[grpc]\n  address = "{root}/run/containerd/containerd.sock"\n\n'
PLUGINS = """[plugins."io.containerd.internal.v1.opt"]
  path = "{root}/opt/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = true
"""
IMPORTS = 'imports = ["conf.d/*.toml"]\n'  # beside config.toml: the machine's root is not ours


def install_and_back(version, config):
    machine = Machine(version, config)
    before = machine.tree()
    first = machine.run("install")
    assert first.code == 0, first
    assert first.json()["handlerKnown"] and first.json()["containerdRestarted"] and machine.restarts() == 1, first
    status = machine.run("status").json()
    assert status["files"] and status["configured"] and status["handlerKnown"], status
    installed = machine.tree()
    shim = "opt/ccgpu/bin/containerd-shim-ccgpu-v2"
    assert installed[shim][3] == (machine.payload / "bin/containerd-shim-ccgpu-v2").read_bytes() and installed[shim][0] & 0o111
    again = machine.run("install")
    assert again.code == 0 and not again.json()["containerdRestarted"] and machine.restarts() == 1, again
    assert machine.tree() == installed
    gone = machine.run("uninstall")
    assert gone.code == 0 and gone.json()["note"] == "" and machine.restarts() == 2, gone
    assert machine.tree() == before, sorted(set(machine.tree().items()) ^ set(before.items()))
    assert not machine.run("status").json()["handlerKnown"]


def test_containerd_1_6_learns_and_forgets_the_handler():
    install_and_back("1.6", BASE + PLUGINS)


def test_containerd_1_6_is_not_given_a_drop_in():
    machine = Machine("1.6", IMPORTS + BASE + PLUGINS)
    assert machine.run("install").code == 0
    assert not (machine.root / "etc/containerd/conf.d").exists()
    assert machine.run("uninstall").code == 0


def test_containerd_2_learns_and_forgets_the_handler():
    install_and_back("2", BASE + PLUGINS)


def test_containerd_2_is_given_a_drop_in_and_keeps_everything_else():
    machine = Machine("2", IMPORTS + BASE + PLUGINS)
    before = machine.tree()
    done = machine.run("install")
    assert done.code == 0, done
    assert machine.tree()["etc/containerd/config.toml"] == before["etc/containerd/config.toml"]
    assert "etc/containerd/conf.d/ccgpu.toml" in machine.tree()
    effective = subprocess.run([machine.program, "-c", machine.config, "config", "dump"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    for line in ("SystemdCgroup = true", "restrict_oom_score_adj = true", "runtime_type = 'io.containerd.ccgpu.v2'", "runtime_type = 'io.containerd.runc.v2'"):
        assert line in effective, effective
    assert machine.run("uninstall").code == 0
    assert machine.tree() == before


def a_bad_start_is_taken_back(version):
    machine = Machine(version, BASE + PLUGINS)
    before = machine.config.read_bytes()
    # Whoever installs has a containerd that does not start with the handler.
    script = machine.script.read_text()
    machine.script.write_text(script.replace("PATH=", f"grep -q runtimes.ccgpu {machine.config} && {{ echo the reason stands here >> {machine.log}; exit 0; }}\nPATH=", 1))
    done = machine.run("install", patience=2)
    assert done.code == 1 and "installer.restart-failed" in done.err and "the reason stands here" in done.err, done
    assert machine.config.read_bytes() == before and machine.restarts() == 2
    assert machine.run("status").json()["note"] == "", "containerd runs again"
    machine.script.write_text(script)
    assert machine.run("uninstall").code == 0


def test_containerd_1_6_that_does_not_come_back_gets_its_configuration_back():
    a_bad_start_is_taken_back("1.6")


def test_containerd_2_that_does_not_come_back_gets_its_configuration_back():
    a_bad_start_is_taken_back("2")


def test_two_installers_at_once_restart_once():
    machine = Machine("1.6", BASE + PLUGINS)
    results = []
    threads = [threading.Thread(target=lambda: results.append(machine.run("install"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.code for result in results] == [0, 0], results
    assert machine.restarts() == 1
    assert sorted(result.json()["containerdRestarted"] for result in results) == [False, True]
    assert machine.run("uninstall").code == 0


def test_refusals_are_exit_2_and_change_nothing():
    machine = Machine("1.6", BASE + PLUGINS)
    good = machine.config.read_text()
    for text, code in ((good + "[[[", "installer.config-broken"), (good.replace("version = 2", "version = 7"), "installer.config-version"),
                       (good + '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.ccgpu]\n', "installer.foreign-handler")):
        machine.config.write_text(text)
        before = machine.tree()
        done = machine.run("install")
        assert done.code == 2 and code in done.err, done
        assert machine.tree() == before and machine.restarts() == 0
    assert machine.run("no-such-command").code == 2


def test_no_room_for_the_first_or_for_the_next_version_changes_nothing():
    machine = Machine("1.6", BASE + PLUGINS)
    size = sum(path.stat().st_size for path in machine.payload.rglob("*") if path.is_file())
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size * 3},mode=0755", "full-disk-test", machine.root / "opt"], check=True)
    with harness.full(machine.root / "opt"):
        refused_for_room(machine)
    assert machine.run("install").code == 0
    installed, restarts = machine.tree(), machine.restarts()
    shim = machine.payload / "bin/containerd-shim-ccgpu-v2"
    shim.write_bytes(shim.read_bytes() + b"the next version")
    with harness.full(machine.root / "opt"):
        refused_for_room(machine)
    assert machine.tree() == installed and machine.restarts() == restarts
    assert machine.run("install").code == 0, "there is room again"
    assert machine.tree()["opt/ccgpu/bin/containerd-shim-ccgpu-v2"][3] == shim.read_bytes()
    assert machine.run("uninstall").code == 0
    assert "opt/ccgpu" not in machine.tree()


def refused_for_room(machine):
    before, status = machine.tree(), machine.run("status")
    done = machine.run("install")
    assert done.code == 1 and "No space left" in done.err, done
    assert machine.tree() == before, sorted(name for name, _ in set(machine.tree().items()) ^ set(before.items()))
    assert machine.run("status").out == status.out
