"""The content of one image, and where each file comes from: what the SBOM is written from."""
import os
import pathlib
import re
import subprocess
import tempfile

import dpkg
import oci
from dpkg import Problem

OWN = "ccgpu"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
LOADER = "ld-linux-x86-64.so.2"


class Rootfs:
    """Files by path with the package each belongs to: OWN for what this project made, else a dpkg.Package."""

    def __init__(self):
        self.tree = oci.Tree().base()
        self.origin = {path: OWN for path, entry in self.tree.entries.items() if entry[0] == oci.tarfile.REGTYPE}
        self.static = {}  # path of a program -> packages that were linked or compiled into it
        self.tree.link("lib", "usr/lib")

    def own(self, path, data, mode=0o644):
        self.tree.file(path, data, mode)
        self.origin[path.strip("/")] = OWN

    def program(self, source, path):
        """A program or library of ours with all that the loader will look for."""
        self.needs(source)
        self.own(path, stripped(source), 0o755)

    def needs(self, program):
        for name, found in dpkg.closure(program).items():
            real = os.path.realpath(found)
            self.debian_file(real)
            if name == LOADER:
                self.tree.link(f"lib64/{LOADER}", f"..{real}")
            elif name != os.path.basename(real):
                folder = os.path.dirname(os.path.realpath(os.path.dirname(found)) + "/")
                self.tree.link(f"{folder}/{name}", os.path.relpath(real, folder))

    def debian_file(self, source, path=None):
        """A file of Debian's at its own place, or at `path`."""
        path = (path or source).strip("/")
        self.origin[path] = dpkg.owner(source)
        self.tree.copy(source, path)

    def debian_program(self, source):
        real = os.path.realpath(source)
        self.debian_file(real)
        self.needs(real)

    def relocated(self, source, program, libraries):
        """A program that finds loader and libraries in a folder of its own, whatever distribution is around it.

        RPATH and not RUNPATH: it also holds for what the libraries themselves need, so these stay Debian's bytes.
        """
        found = dpkg.closure(source)
        if LOADER not in found:
            raise Problem(f"images: {source} is static, nothing of it can be relocated")
        self.own(program, patched(source, f"{libraries}/{LOADER}", libraries), 0o755)
        for name, path in found.items():
            self.debian_file(os.path.realpath(path), f"{libraries}/{name}")

    def share(self, folder):
        """Libraries that `folder` has as well become links to it: nothing is shipped twice."""
        for path, (kind, _, data, _) in sorted(self.tree.entries.items()):
            twin = f"{folder}/{os.path.basename(path)}"
            if path.startswith(LIBRARIES.strip("/") + "/") and self.tree.entries.get(twin, (None, None, b"", ""))[2] == data != b"":
                self.tree.link(path, "/" + twin)
                del self.origin[path]

    def certificates(self):
        """Debian's list of certificate authorities. Not the machine's: that may trust authorities which are nobody else's."""
        parts = []
        for source in dpkg.files_of("ca-certificates", "/usr/share/ca-certificates/mozilla/"):
            dpkg.owner(source)
            parts.append(pathlib.Path(source).read_text().strip() + "\n")
        if not parts:
            raise Problem("images: Debian package ca-certificates brings no certificates: apt-get install --reinstall ca-certificates")
        self.tree.file("etc/ssl/certs/ca-certificates.crt", "".join(parts))
        self.origin["etc/ssl/certs/ca-certificates.crt"] = dpkg.package("ca-certificates")
        self.tree.link("usr/lib/ssl/certs", "/etc/ssl/certs")
        self.tree.link("usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt")

    def busybox(self):
        self.debian_file("/bin/busybox")
        applets = subprocess.run(["/bin/busybox", "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        for name in applets:
            if name != "busybox":
                self.tree.link(f"bin/{name}", "busybox")

    def packages(self):
        """Debian packages that files come from, by name."""
        found = {package.name: package for package in self.origin.values() if package is not OWN}
        return dict(sorted(found.items()))

    def notices(self, licence):
        """What a distribution of others' work must carry, and what scanners for known weaknesses read."""
        self.own("usr/share/doc/ccgpu/copyright", licence)
        self.debian_file("/usr/lib/os-release")
        self.tree.link("etc/os-release", "../usr/lib/os-release")
        for source in dpkg.files_of("base-files", "/usr/share/common-licenses/"):
            self.debian_file(source)
        static = {package.name: package for packages in self.static.values() for package in packages}
        for name, package in sorted({**static, **self.packages()}.items()):
            self.own(f"var/lib/dpkg/status.d/{name}", package.stanza)
            if text := dpkg.copyright_file(name):
                self.tree.file(f"usr/share/doc/{name}/copyright", text.read_bytes())
                self.origin[f"usr/share/doc/{name}/copyright"] = package


def stripped(source):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "program")
        _tool(["strip", "--strip-unneeded", "-o", str(out), str(source)], "binutils")
        return out.read_bytes()


def patched(source, interpreter, libraries):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "program")
        out.write_bytes(stripped(source))
        out.chmod(0o755)
        _tool(["patchelf", "--set-interpreter", interpreter, "--force-rpath", "--set-rpath", libraries, str(out)], "patchelf")
        return out.read_bytes()


def _tool(command, package):
    try:
        subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise Problem(f"images: {command[0]} is missing: apt-get install {package}") from None
    except subprocess.CalledProcessError as failed:
        raise Problem(f"images: {' '.join(command[:2])}: {failed.stderr.strip()}") from None


def largest(tree, count=5):
    """The largest files of a tree, for the one who has to make it smaller."""
    sizes = sorted(((len(data), path) for path, (_, _, data, _) in tree.entries.items()), reverse=True)[:count]
    return ", ".join(f"/{path} {size / 2**20:.1f} MiB" for size, path in sizes)


def version(root):
    found = re.search(r"^project\(ccgpu VERSION ([0-9.]+)", (root / "CMakeLists.txt").read_text(), re.M)
    if not found:
        raise Problem("images: CMakeLists.txt states no version: project(ccgpu VERSION x.y.z ...)")
    return found[1]
