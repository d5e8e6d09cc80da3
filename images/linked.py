"""Which of Debian's static libraries are inside our programs: an image's packages are not only its files.

Read from the link lines that CMake wrote for ninja.
"""
import functools
import os
import re

import dpkg
from dpkg import Problem

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
    """Debian packages whose static libraries were linked into bin/NAME, sorted by name."""
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
    return sorted({dpkg.owner(os.path.realpath(archive)) for archive in archives}, key=lambda package: package.name)
