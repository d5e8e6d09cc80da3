#!/usr/bin/python3
"""OCI archives of ccgpu's images, made of a build folder and Debian's packages, without a container engine.

`./run images` calls this. Each image is NAME.tar (an OCI archive of one layer), NAME.spdx.json (what is in it; the image carries the same
file), and a line of index.json. The same inputs give the same bytes, wherever and whenever it runs: --check builds twice and compares.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import catalog
import oci
import spdx
from dpkg import Problem
from rootfs import Rootfs, largest, version

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 40 * 2**20


def build_image(name, folder, out, registry):
    """One image; returns its entry of index.json."""
    image, release = catalog.IMAGES[name], version(ROOT)
    rootfs = Rootfs()
    more = image.fill(rootfs, catalog.Build(folder)) or {}
    rootfs.notices((ROOT / "LICENSE").read_text())
    sbom = spdx.text(spdx.document(name, release, image.description, rootfs))
    rootfs.tree.file(f"usr/share/sbom/{name}.spdx.json", sbom)
    reference = f"{registry}/ccgpu/{name}:{release}"
    labels = {"org.opencontainers.image.title": f"ccgpu/{name}", "org.opencontainers.image.version": release,
              "org.opencontainers.image.licenses": "Apache-2.0", "org.opencontainers.image.description": image.description, **more}
    archive = out / f"{name}.tar"
    digest = oci.write(archive, reference, rootfs.tree, image.entrypoint, user=image.user, labels=labels, cmd=image.cmd, level=4)
    (out / f"{name}.spdx.json").write_text(sbom)
    size = archive.stat().st_size
    if size > LIMIT:
        archive.unlink()
        raise Problem(f"images: {archive.name} has {size / 2**20:.1f} MiB, more than {LIMIT // 2**20}; the largest files: {largest(rootfs.tree)}")
    return {"name": name, "reference": reference, "archive": archive.name, "digest": digest, "size": size,
            "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(), "sbom": f"{name}.spdx.json", "files": len(rootfs.origin), "packages": len(rootfs.packages()),
            **({"labels": more} if more else {})}


def build_all(names, folder, out, registry):
    out.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = [pool.submit(build_image, name, folder, out, registry) for name in names]
        entries = [job.result() for job in jobs]
    index = out / "index.json"
    kept = {}
    if index.exists():  # --only leaves the other images' lines as long as their archives are there
        kept = {entry["name"]: entry for entry in json.loads(index.read_text())["images"] if (out / entry["archive"]).exists() and entry["name"] in catalog.IMAGES}
    images = {**kept, **{entry["name"]: entry for entry in entries}}
    index.write_text(json.dumps({"version": version(ROOT), "images": [images[name] for name in catalog.IMAGES if name in images]}, indent=1) + "\n")
    return entries


def check(names, folder, out, registry):
    """A second build in another process, folder, time zone and umask must give the same bytes."""
    with tempfile.TemporaryDirectory() as second:
        environment = {"PATH": os.environ["PATH"], "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1", "HOME": "/nonexistent", "TMPDIR": second}
        command = [sys.executable, str(pathlib.Path(__file__).resolve()), str(folder), "--out", second, "--registry", registry, "--only", ",".join(names), "--quiet"]
        subprocess.run(["sh", "-c", 'umask 077; cd /; exec "$@"', "sh", *command], env=environment, check=True)
        differ = [f"{name}{suffix}" for name in names for suffix in (".tar", ".spdx.json") if (out / f"{name}{suffix}").read_bytes() != pathlib.Path(second, f"{name}{suffix}").read_bytes()]
    if differ:
        raise Problem(f"images: a second build gave other bytes: {', '.join(differ)}")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./run images", description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("build", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "images", help="where to (default: build/images)")
    parser.add_argument("--only", default=",".join(catalog.IMAGES), help="these images, separated by commas (default: %(default)s)")
    parser.add_argument("--registry", default="localhost", help="what the images' names begin with (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="build twice, in different surroundings, and compare")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    if unknown := [name for name in options.only if name not in catalog.IMAGES]:
        parser.error(f"no image {', '.join(unknown)}: there are {', '.join(catalog.IMAGES)}")
    return options


def main(arguments):
    options = parse(arguments)
    try:
        folder, out = options.build.resolve(), options.out.resolve()
        entries = build_all(options.only, folder, out, options.registry)
        if options.check:
            check(options.only, folder, out, options.registry)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    if not options.quiet:
        for entry in entries:
            print(f"{entry['reference']:42} {entry['size'] / 2**20:5.1f} MiB  {entry['digest'][:19]}  {entry['files']:3} files of {entry['packages'] + 1:2} packages")
        if options.check:
            print("built twice: the same bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
