"""Which of Debian's packages are inside our programs, as static libraries or as headers: an image's packages are not only its files.

Read from the link lines that CMake wrote for ninja, and from what the compiler told ninja that it had read.
"""
import functools
import os
import re
import subprocess

import dpkg
from dpkg import Problem

# Only declarations: nothing of the kernel is in a program that includes its headers.
DECLARATIONS = {"linux-libc-dev"}
COMPILER = "12"  # Debian 12's g++: libstdc++ and libgcc of a static link


@functools.cache
def _links(build):
    """Output -> (link flags, libraries)."""
    text = (build / "build.ninja").read_text()
    found = {}
    for rule in re.finditer(r"^build (\S+)(?: \S+)*?: CXX_(?:EXECUTABLE|SHARED_LIBRARY)_LINKER__.*\n((?:  .*\n)*)", text, re.M):
        settings = dict(re.findall(r"^  (\w+) = (.*)$", rule[2], re.M))
        found[rule[1]] = (settings.get("LINK_FLAGS", ""), settings.get("LINK_LIBRARIES", ""))
    return found


def packages(build, output):
    """Debian packages that were linked or compiled into bin/NAME, sorted by name."""
    return sorted(_archives(build, output) | _headers(build, output), key=lambda package: package.name)


def _headers(build, output):
    """Packages that are headers alone: what a program takes from them is in the program."""
    inputs = _ninja(build, "inputs", output)
    read = _ninja(build, "deps", *(path for path in inputs if path.endswith(".o")))
    found = {dpkg.lister(path) for path in {line.strip() for line in read if line.startswith("    /usr/include/")}}
    return {package for package in found if package and package.name not in DECLARATIONS and not dpkg.has_libraries(package.name)}


def _ninja(build, tool, *arguments):
    try:
        return subprocess.run(["ninja", "-C", str(build), "-t", tool, *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError) as failed:
        raise Problem(f"images: ninja -t {tool} in {build.name}: {getattr(failed, 'stderr', '') or failed}: ./run build first") from None


def _archives(build, output):
    if output not in _links(build):
        raise Problem(f"images: {build.name}/build.ninja has no link line for {output}: ./run build first")
    flags, libraries = _links(build)[output]
    static, archives = "-static" in flags.split(), set()
    for word in libraries.split():
        if not word.startswith("/"):
            continue
        archive = re.sub(r"\.so[.0-9]*$", ".a", word) if static else word
        if archive.endswith(".a"):
            archives.add(archive)
    compiler = f"/usr/lib/gcc/x86_64-linux-gnu/{COMPILER}"
    if static:
        archives.add("/usr/lib/x86_64-linux-gnu/libc.a")
    if static or "-static-libstdc++" in flags:
        archives.add(f"{compiler}/libstdc++.a")
    if static or "-static-libgcc" in flags:
        archives.add(f"{compiler}/libgcc.a")
    missing = sorted(archive for archive in archives if not os.path.exists(archive))
    if missing:
        raise Problem(f"images: {output} is linked with {', '.join(missing)}, which is not there: ./run deps, then ./run build")
    return {dpkg.owner(os.path.realpath(archive)) for archive in archives}
