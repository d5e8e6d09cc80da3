"""Writes OCI image archives without a container engine: one layer of files, the same bytes each time.

What comes out is an OCI layout in a tar (image-spec 1.0), which `ctr images import`, `podman load`, `skopeo copy oci-archive:` and
`kind load image-archive` read. Nothing in it depends on the machine, the user or the clock.
"""
import gzip
import hashlib
import io
import json
import pathlib
import tarfile

MEDIA = "application/vnd.oci.image."
EPOCH = "1970-01-01T00:00:00Z"
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532:nonroot:/nonexistent:/bin/false\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
GROUP = b"root:x:0:\nnonroot:x:65532:\nnogroup:x:65534:\n"


class Tree:
    """The files of an image, by path; what is added last wins. Parents are made as they are needed."""

    def __init__(self):
        self.entries = {}

    def file(self, path, data, mode=0o644):
        self._put(path, tarfile.REGTYPE, mode, data=data if isinstance(data, bytes) else data.encode())

    def copy(self, source, path, mode=None):
        """A regular file of this machine, links followed."""
        source = pathlib.Path(source)
        self.file(path, source.read_bytes(), mode if mode is not None else (0o755 if source.stat().st_mode & 0o100 else 0o644))

    def link(self, path, target):
        self._put(path, tarfile.SYMTYPE, 0o777, target=target)

    def folder(self, path, mode=0o755):
        self._put(path, tarfile.DIRTYPE, mode)

    def base(self):
        """What every image has: users, and the folders that programs presume."""
        self.file("etc/passwd", PASSWD)
        self.file("etc/group", GROUP)
        self.file("etc/nsswitch.conf", "hosts: files dns\n")
        self.folder("tmp", 0o1777)
        for path in ("proc", "sys", "dev", "run", "var", "root"):
            self.folder(path)
        return self

    def _put(self, path, kind, mode, data=b"", target=""):
        path = path.strip("/")
        for parent in reversed(list(pathlib.PurePosixPath(path).parents)[:-1]):
            self.entries.setdefault(str(parent), (tarfile.DIRTYPE, 0o755, b"", ""))
        self.entries[path] = (kind, mode, data, target)

    def tar(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(self.entries):
                kind, mode, data, target = self.entries[path]
                info = tarfile.TarInfo(path)
                info.type, info.mode, info.size, info.linkname = kind, mode, len(data), target
                archive.addfile(info, io.BytesIO(data))
        return out.getvalue()


def write(archive, name, tree, entrypoint, user="", env=(), labels=None, level=9, cmd=()):
    """Writes `tree` as the image `name` (repository:tag) into the tar `archive`; returns the manifest's digest."""
    layer = tree.tar()
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=level, mtime=0, filename="") as stream:
        stream.write(layer)
    blobs = {}

    def blob(data, kind):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": MEDIA + kind, "digest": "sha256:" + digest, "size": len(data)}

    settings = {"Entrypoint": list(entrypoint), "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *env]}
    if user:
        settings["User"] = user
    if cmd:
        settings["Cmd"] = list(cmd)
    if labels:
        settings["Labels"] = dict(labels)
    config = {"architecture": "amd64", "os": "linux", "created": EPOCH, "config": settings,
              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
              "history": [{"created": EPOCH, "created_by": "ccgpu"}]}
    manifest = {"schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json", "config": blob(_json(config), "config.v1+json"),
                "layers": [blob(packed.getvalue(), "layer.v1.tar+gzip")]}
    entry = blob(_json(manifest), "manifest.v1+json")
    entry["platform"] = {"architecture": "amd64", "os": "linux"}
    entry["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}
    index = {"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json", "manifests": [entry]}
    part = pathlib.Path(f"{archive}.part")
    with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as out:
        for path, data in [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", _json(index)),
                           *((f"blobs/sha256/{digest}", blobs[digest]) for digest in sorted(blobs))]:
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o644
            out.addfile(info, io.BytesIO(data))
    part.rename(archive)
    return entry["digest"]


def _json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
