"""What Debian's package database says about the files that images take from it: whose they are, whether they are unchanged, and
which other files a program needs.

Read straight out of /var/lib/dpkg, so a question costs no process. A file that no package owns, or that was changed after it was
installed, is no part of an image: nobody could say what it is or get its security updates.
"""
import dataclasses
import functools
import hashlib
import os
import pathlib
import re
import subprocess

DATABASE = pathlib.Path("/var/lib/dpkg")


class Problem(Exception):
    """An image cannot be built; the text says what to do."""


@dataclasses.dataclass(frozen=True)
class Package:
    name: str
    version: str
    architecture: str
    source: str  # the source package, with its version where that differs
    homepage: str
    stanza: str  # as dpkg keeps it, without what only concerns the installation

    @property
    def purl(self):
        version = self.version.replace(":", "%3A").replace("+", "%2B").replace("~", "~")
        return f"pkg:deb/debian/{self.name.replace('+', '%2B')}@{version}?arch={self.architecture}&distro=debian-{release()}"


@functools.cache
def release():
    found = re.search(r'^VERSION_ID="?([0-9]+)', pathlib.Path("/usr/lib/os-release").read_text(), re.M)
    if not found:
        raise Problem("images: /usr/lib/os-release names no Debian release: images are made of Debian's packages, build them on Debian")
    return found[1]


@functools.cache
def _packages():
    """Installed packages by name and by name:architecture."""
    found = {}
    for stanza in (DATABASE / "status").read_text().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): ?(.*)$", stanza, re.M))
        if not fields.get("Status", "").endswith(" installed"):
            continue
        kept = re.sub(r"^Conffiles:.*\n(?: .*\n?)*", "", stanza.strip() + "\n", flags=re.M)
        package = Package(fields["Package"], fields["Version"], fields["Architecture"], fields.get("Source", fields["Package"]), fields.get("Homepage", ""), kept)
        found[f"{package.name}:{package.architecture}"] = package
        if package.architecture in ("amd64", "all"):
            found[package.name] = package
    return found


@functools.cache
def _owners():
    """Path -> names of the packages that list it (dpkg's own spelling of the path)."""
    owners = {}
    for listing in sorted((DATABASE / "info").glob("*.list")):
        for path in listing.read_text().splitlines():
            owners.setdefault(path, []).append(listing.stem)
    return owners


@functools.cache
def _sums(name):
    listing = DATABASE / "info" / f"{name}.md5sums"
    return {"/" + path: digest for digest, path in (line.split(None, 1) for line in listing.read_text().splitlines())} if listing.exists() else {}


def _spellings(path):
    """With /usr merged, a file has two names, and packages know either."""
    return [path, path.removeprefix("/usr")] if path.startswith("/usr/") else [path, "/usr" + path]


def owner(path):
    """The package of a regular file. Refuses files of nobody and files that are not as Debian shipped them."""
    for spelling in _spellings(str(path)):
        for name in _owners().get(spelling, ()):
            expected = _sums(name).get(spelling)
            if expected and expected != hashlib.md5(pathlib.Path(path).read_bytes(), usedforsecurity=False).hexdigest():
                raise Problem(f"images: {path} is not as Debian package {name} shipped it: apt-get install --reinstall {name.partition(':')[0]}")
            if name in _packages():
                return _packages()[name]
    raise Problem(f"images: no Debian package owns {path}: an image takes only its own programs and Debian's files")


def lister(path):
    """The package that lists a path, whatever the file holds now; None for nobody's."""
    names = [name for spelling in _spellings(str(path)) for name in _owners().get(spelling, ()) if name in _packages()]
    return _packages()[names[0]] if names else None


@functools.cache
def has_libraries(name):
    """Whether a package brings something to link with."""
    return any(re.search(r"\.(so|a)$", path) for path in files_and_links_of(name, "/"))


def package(name):
    if name not in _packages():
        raise Problem(f"images: Debian package {name} is not installed: ./run deps")
    return _packages()[name]


def files_and_links_of(name, under):
    wanted = package(name)
    listing = next(path for path in (DATABASE / "info" / f"{name}.list", DATABASE / "info" / f"{name}:{wanted.architecture}.list") if path.exists())
    return [path for path in sorted(listing.read_text().splitlines()) if path.startswith(under) and os.path.isfile(path)]


def files_of(name, under):
    """Regular files of an installed package below a folder, sorted."""
    return [path for path in files_and_links_of(name, under) if not os.path.islink(path)]


def closure(program):
    """The shared libraries that the loader finds for a program: {name the program asks for: path}. Empty for a static one."""
    with open(program, "rb") as opened:
        if opened.read(4) != b"\x7fELF":
            raise Problem(f"images: {program} is no ELF program")
    clean = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    done = subprocess.run(["ldd", str(program)], env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if "not found" in line:
            raise Problem(f"images: {program} needs {words[0]}, which this machine lacks: ./run deps")
        if "=>" in words:
            found[words[0]] = words[2]
        elif words and words[0].startswith("/lib"):
            found[words[0].rsplit("/", 1)[1]] = words[0]
    if not found and "statically linked" not in done.stdout and "not a dynamic executable" not in done.stdout:
        raise Problem(f"images: ldd {program}: {done.stdout.strip()}")
    return found


def copyright_file(name):
    """Where a package says who holds which rights, or None where the machine leaves documentation out."""
    path = pathlib.Path("/usr/share/doc") / name / "copyright"
    return path if path.is_file() else None
