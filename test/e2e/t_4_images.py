"""Our images: the same bytes each time, nothing unknown in them, and each program starts with nothing but its image around it."""
import contextlib
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

from e2e import harness
from foreign import spdx as foreign_spdx

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "images"))
import build as images  # noqa: E402
import dpkg  # noqa: E402
import launch  # noqa: E402
import licences  # noqa: E402
import rootfs  # noqa: E402

NAMES = {"emulator", "device-plugin", "node-installer", "node-manager", "broker", "tools"}
LIMIT = 40 * 2**20
_made = {}


def out():
    """All images, built twice by the command itself; they stay, for the tests on clusters."""
    if "out" not in _made:
        folder = harness.BUILD.parent / "images"
        build("--out", folder, "--check")
        _made["out"] = folder
    return _made["out"]


def build(*arguments, folder=None, code=0):
    command = ["/usr/bin/python3", ROOT / "images" / "build.py", folder or harness.BUILD, *arguments]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240)
    assert done.returncode == code, done.stdout
    return done.stdout


def index():
    return {entry["name"]: entry for entry in json.loads((out() / "index.json").read_text())["images"]}


class Archive:
    """An OCI archive, taken apart by hand. Every digest on the way is checked."""

    def __init__(self, path):
        with tarfile.open(path) as archive:
            self.blobs = {member.name: archive.extractfile(member).read() for member in archive if member.isreg()}
        assert json.loads(self.blobs["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
        self.entry, = json.loads(self.blobs["index.json"])["manifests"]
        manifest = json.loads(self.blob(self.entry))
        self.config = json.loads(self.blob(manifest["config"]))
        layer, = manifest["layers"]
        packed = self.blob(layer)
        assert packed[4:8] == bytes(4), "the gzip header carries a time"
        self.layer = subprocess.run(["gzip", "-dc"], input=packed, stdout=subprocess.PIPE, check=True).stdout
        assert self.config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(self.layer).hexdigest()]
        assert len(self.blobs) == 5, self.blobs.keys()

    def blob(self, descriptor):
        data = self.blobs["blobs/" + descriptor["digest"].replace(":", "/")]
        assert len(data) == descriptor["size"] and "sha256:" + hashlib.sha256(data).hexdigest() == descriptor["digest"], descriptor
        return data

    def members(self):
        return tarfile.open(fileobj=io.BytesIO(self.layer))

    def files(self):
        with self.members() as layer:
            return {member.name: layer.extractfile(member).read() for member in layer if member.isreg()}


def archive(name):
    if name not in _made:
        _made[name] = Archive(out() / f"{name}.tar")
    return _made[name]


@contextlib.contextmanager
def unpacked(name, under=""):
    """A folder with an image's files, or those below `under` only."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ccgpu-image-", dir="/tmp"))
    try:
        with archive(name).members() as layer:
            layer.extractall(folder, members=[member for member in layer if member.name.startswith(under)])
        yield folder
    finally:
        shutil.rmtree(folder)


def start(folder, *command):
    return subprocess.run(["chroot", str(folder), *command], env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)


def problem(call):
    try:
        call()
    except dpkg.Problem as said:
        return str(said)
    raise AssertionError("nothing was refused")


def test_all_images_are_built_twice_to_the_same_bytes_and_are_small():
    entries = index()
    assert set(entries) == NAMES
    for name, entry in entries.items():
        data = (out() / entry["archive"]).read_bytes()
        assert entry["size"] == len(data) <= LIMIT and entry["sha256"] == hashlib.sha256(data).hexdigest(), entry
        assert entry["digest"] == archive(name).entry["digest"] and re.fullmatch(rf"localhost/ccgpu/{name}:[0-9.]+", entry["reference"]), entry


def test_images_say_what_they_are_and_nothing_of_this_machine():
    for name, entry in index().items():
        image = archive(name)
        config, release = image.config["config"], entry["reference"].rsplit(":", 1)[1]
        assert image.entry["annotations"]["io.containerd.image.name"] == entry["reference"]
        assert config["Labels"]["org.opencontainers.image.version"] == release and config["Labels"]["org.opencontainers.image.title"] == f"ccgpu/{name}"
        assert config.get("User") == ("65532:65532" if name in ("broker", "tools") else "0:0"), config
        assert config["Entrypoint"] == ([] if name == "tools" else [f"/usr/local/bin/ccgpu-{name}"]), config
        with image.members() as layer:
            names = [member.name for member in layer]
            odd = [member.name for member in layer if (member.mtime, member.uid, member.gid, member.uname, member.gname) != (0, 0, 0, "", "")]
            links = {member.name: member.linkname for member in layer if member.issym()}
        assert names == sorted(set(names)) and not odd, odd
        for path, target in links.items():
            whole = os.path.normpath(os.path.join("/", os.path.dirname(path), target))[1:]
            assert re.sub("^lib/", "usr/lib/", whole) in names or whole == "model/model.enc", f"{name}: /{path} points to nothing: {target}"
        traces = [path for path, data in image.files().items() if str(ROOT).encode() + b"/" in data or str(harness.BUILD).encode() in data]
        assert not traces, f"{name}: names the build folder: {traces}"
        setuid = [member.name for member in image.members() if member.mode & 0o6000]
        assert not setuid, setuid


def test_each_file_is_in_the_bill_of_materials():
    for name in NAMES:
        files, own = archive(name).files(), f"usr/share/sbom/{name}.spdx.json"
        text = files.pop(own)
        assert text == (out() / f"{name}.spdx.json").read_bytes()
        bill = json.loads(text)
        listed = {entry["fileName"].removeprefix("./"): entry for entry in bill["files"]}
        assert set(listed) == set(files), set(listed) ^ set(files)
        for path, data in files.items():
            sums = {entry["algorithm"]: entry["checksumValue"] for entry in listed[path]["checksums"]}
            assert sums == {"SHA1": hashlib.sha1(data).hexdigest(), "SHA256": hashlib.sha256(data).hexdigest()}, path
        holders = [relation["relatedSpdxElement"] for relation in bill["relationships"] if relation["relationshipType"] == "CONTAINS" and relation["spdxElementId"] != "SPDXRef-Image"]
        assert sorted(holders) == sorted(entry["SPDXID"] for entry in bill["files"]), "each file belongs to one package"


def check_required(bill):
    """What SPDX 2.3 requires of a JSON document, of packages, files and relationships; and that no reference leads nowhere."""
    assert bill["spdxVersion"] == "SPDX-2.3" and bill["dataLicense"] == "CC0-1.0" and bill["SPDXID"] == "SPDXRef-DOCUMENT" and bill["name"]
    assert re.fullmatch(r"https://[^#\s]+", bill["documentNamespace"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", bill["creationInfo"]["created"])
    assert all(re.match(r"(Person|Organization|Tool): \S", creator) for creator in bill["creationInfo"]["creators"])
    known = [bill["SPDXID"]] + [element["SPDXID"] for element in bill["packages"] + bill["files"]]
    assert len(known) == len(set(known)) and all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", one) for one in known)
    for relation in bill["relationships"]:
        assert relation["spdxElementId"] in known and relation["relatedSpdxElement"] in known and relation["relationshipType"], relation
    files = {entry["SPDXID"]: entry for entry in bill["files"]}
    quoted = {one["licenseId"] for one in bill["hasExtractedLicensingInfos"]}
    assert all(one["extractedText"].strip() for one in bill["hasExtractedLicensingInfos"])
    for package in bill["packages"]:
        assert package["name"] and package["versionInfo"] and package["downloadLocation"], package
        assert set(re.findall(r"LicenseRef-[A-Za-z0-9.-]+", package["licenseDeclared"])) <= quoted, package["licenseDeclared"]
        held = [files[relation["relatedSpdxElement"]] for relation in bill["relationships"]
                if relation["spdxElementId"] == package["SPDXID"] and relation["relationshipType"] == "CONTAINS" and relation["relatedSpdxElement"] in files]
        assert package["filesAnalyzed"] == bool(held), package
        if held:
            sums = sorted(entry["checksums"][0]["checksumValue"] for entry in held)
            assert package["packageVerificationCode"]["packageVerificationCodeValue"] == hashlib.sha1("".join(sums).encode()).hexdigest(), package


def test_bills_have_what_spdx_requires():
    for name in NAMES:
        bill = json.loads((out() / f"{name}.spdx.json").read_text())
        check_required(bill)
        packages = {package["name"]: package for package in bill["packages"]}
        assert packages["ccgpu"]["licenseDeclared"] == "Apache-2.0" and packages["libc6"]["versionInfo"], packages.keys()
        assert ("libssl3" in packages) == (name != "device-plugin"), packages.keys()  # it speaks to nobody over TLS
        assert name == "device-plugin" or packages["zlib1g"]["externalRefs"][0]["referenceLocator"].startswith("pkg:deb/debian/zlib1g@1%3A1."), packages["zlib1g"]


def test_bills_name_the_libraries_inside_our_programs():
    bill = json.loads((out() / "node-installer.spdx.json").read_text())
    paths = {entry["SPDXID"]: entry["fileName"] for entry in bill["files"]}
    names = {package["SPDXID"]: package["name"] for package in bill["packages"]}
    linked = {}
    for relation in bill["relationships"]:
        if relation["relationshipType"] == "STATIC_LINK":
            linked.setdefault(paths[relation["spdxElementId"]], set()).add(names[relation["relatedSpdxElement"]])
    for program in ("bin/containerd-shim-ccgpu-v2", "guest/guestd"):
        assert {"libc6-dev", "libssl-dev", "libstdc++-12-dev", "nlohmann-json3-dev"} <= linked[f"./opt/ccgpu/{program}"], linked
    assert "libssl-dev" in linked["./opt/ccgpu/guest/libcuda.so.1"], linked
    # What is dynamic comes as files, what is only headers has no other trace than this.
    assert "libssl-dev" not in linked["./opt/ccgpu/guest/agent"] and "libcli11-dev" in linked["./opt/ccgpu/guest/agent"], linked
    assert "var/lib/dpkg/status.d/libcli11-dev" in archive("node-installer").files()


def test_the_spdx_projects_own_validator_accepts_the_bills():
    for name in sorted(NAMES):
        said = foreign_spdx.complaints(out() / f"{name}.spdx.json")
        assert not said, f"{name}: {said}"
    broken = out() / "broken.spdx.json"
    bill = json.loads((out() / "broker.spdx.json").read_text())
    bill["packages"][1]["licenseDeclared"] = "Nobody's Licence"
    broken.write_text(json.dumps(bill))
    try:
        assert foreign_spdx.complaints(broken), "a broken document is accepted: the validator judges nothing"
    finally:
        broken.unlink()


def test_each_program_starts_with_nothing_but_its_image():
    for name, entry in index().items():
        release = entry["reference"].rsplit(":", 1)[1]
        with unpacked(name) as folder:
            programs = [path for pattern in ("usr/local/bin/*", "opt/ccgpu/bin/*", "opt/ccgpu/guest/[!l]*") for path in sorted(folder.glob(pattern))]
            assert len(programs) == {"node-installer": 4, "tools": 4}.get(name, 1), programs
            for path in programs:
                said = start(folder, f"/{path.relative_to(folder)}", "--version")
                assert said.returncode == 0 and release in said.stdout, f"{name}: {path.name}: {said.stdout}"
            if name == "emulator":
                said = start(folder, "swtpm", "--version")
                assert said.returncode == 0 and "TPM emulator" in said.stdout, said.stdout
            if name == "tools":
                said = start(folder, "sh", "-c", "ls /usr/local/share/digits && id -u && wget --help")
                assert said.returncode == 0 and "digits.ptx" in said.stdout, said.stdout


def test_the_agent_needs_nothing_of_the_node_but_its_folder():
    with unpacked("node-installer", "opt/ccgpu") as folder:
        assert [path.name for path in folder.iterdir()] == ["opt"]
        # Another distribution's libraries where Debian's loader would look: none of them is touched.
        for path in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "lib64", "usr/lib64"):
            (folder / path).mkdir(parents=True)
            for library in (folder / "opt/ccgpu/lib").iterdir():
                (folder / path / library.name).write_text("not an ELF file")
        said = start(folder, "/opt/ccgpu/guest/agent", "--version")
        assert said.returncode == 0, said.stdout
        assert sorted(path.name for path in (folder / "opt/ccgpu").rglob("*") if path.is_symlink()) == [], "a node gets files, not links"
        # And this test would notice a library that was forgotten.
        (folder / "opt/ccgpu/lib/libcrypto.so.3").unlink()
        assert start(folder, "/opt/ccgpu/guest/agent", "--version").returncode != 0


def test_libraries_are_debians_bytes_and_certificates_are_debians_list():
    for name in NAMES:
        for path, data in archive(name).files().items():
            if path.startswith("opt/ccgpu/lib/"):
                source = pathlib.Path("/usr/lib/x86_64-linux-gnu", path.rsplit("/", 1)[1])
                assert data == source.read_bytes(), path
    for name in ("broker", "tools"):
        bundle = archive(name).files()["etc/ssl/certs/ca-certificates.crt"].decode()
        assert bundle.count("BEGIN CERTIFICATE") == len(list(pathlib.Path("/usr/share/ca-certificates/mozilla").glob("*.crt"))) > 100
        for local in pathlib.Path("/usr/local/share/ca-certificates").glob("**/*.crt"):
            body = "".join(local.read_text().split("-----")[2].split())
            assert body not in "".join(bundle.split()), f"{name}: an authority of this machine alone: {local.name}"


def test_the_label_says_what_sandboxes_measure():
    files = archive("node-installer").files()
    label = index()["node-installer"]["labels"]["dev.ccgpu.launch-digest"]
    assert label == launch.digest([(name, files[f"opt/ccgpu/guest/{name}"]) for name in launch.FILES])
    assert label == archive("node-installer").config["config"]["Labels"]["dev.ccgpu.launch-digest"]
    # The same computation over the guest of a deployment, against what its secure processor reports.
    node = harness.shared(gpus=2)
    assert node.run(node.seal(harness.pod("measured", "sleep 60")), "--detach").code == 0
    evidence = node.state / "test" / "measured.json"
    result = node.ccgpu("evidence", "collect", "measured", "-o", evidence)
    node.remove("measured")
    assert result.code == 0, result
    report = json.loads(evidence.read_text())["tee-evidence"]["primary_evidence"]["attestation_report"]
    expected = launch.digest([(name, (harness.BUILD / "guest" / name).read_bytes()) for name in launch.FILES])
    assert bytes(report["measurement"]).hex() == expected, report["measurement"]


def test_skopeo_reads_the_archives():
    if not shutil.which("skopeo"):
        raise harness.Skip("Debian package skopeo is not installed")
    for name, entry in index().items():
        done = subprocess.run(["skopeo", "inspect", f"oci-archive:{out() / entry['archive']}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert said["Digest"] == entry["digest"] and said["Architecture"] == "amd64" and said["Labels"]["org.opencontainers.image.title"] == f"ccgpu/{name}", said


@contextlib.contextmanager
def containerd():
    """A containerd without CRI in a folder of its own; yields ctr's words."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ccgpu-ctr-", dir="/tmp"))
    (folder / "config.toml").write_text(f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{folder}/sock"\n')
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(["containerd", "--config", str(folder / "config.toml")], stdout=log, stderr=log)

    def ctr(*words):
        done = subprocess.run(["ctr", "--address", str(folder / "sock"), "--namespace", "k8s.io", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert done.returncode == 0, f"ctr {' '.join(map(str, words))}: {done.stdout}\n{(folder / 'log').read_text()[-2000:]}"
        return done.stdout

    try:
        harness.wait_for((folder / "sock").exists, 20, lambda: (folder / "log").read_text()[-1000:])
        yield ctr
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def test_containerd_imports_the_archives_and_starts_each():
    for program in ("containerd", "ctr", "runc"):
        if not shutil.which(program):
            raise harness.Skip(f"{program} is not installed")
    with containerd() as ctr:
        for name, entry in index().items():
            ctr("images", "import", out() / entry["archive"])
            program = archive(name).config["config"]["Entrypoint"] or ["/usr/local/bin/ccgpu"]
            said = ctr("run", "--rm", "--read-only", entry["reference"], f"ccgpu-images-{name}-{os.getpid()}", *program, "--version")
            assert entry["reference"].rsplit(":", 1)[1] in said, said
            if name == "tools":
                said = ctr("run", "--rm", entry["reference"], f"ccgpu-images-id-{os.getpid()}", "id", "-u")
                assert said.strip() == "65532", said
        listed = ctr("images", "list", "--quiet").split()
        assert set(listed) >= {entry["reference"] for entry in index().values()}, listed


def test_a_pod_of_the_tools_image_gets_its_keys_and_its_gpu():
    node = harness.shared(gpus=2)
    assert node.ccgpu("image", "import", out() / "tools.tar").code == 0
    model, key, sealed_model = (node.state / "test" / name for name in ("model.txt", "model.key", "model.enc"))
    shutil.copy(harness.BUILD / "share" / "digits" / "model.txt", model)
    subprocess.run([str(harness.BUILD / "bin" / "digits-seal"), str(model), str(key), str(sealed_model)], check=True)
    # The encrypted model may come by any hand; here the broker's is at hand.
    script = "id -u; wget -q -O /model/model.enc http://127.0.0.1:8006/cdh/resource/default/digits/model && digits --data /usr/local/share/digits"
    pod = harness.pod("tools", script, image=index()["tools"]["reference"], volumeMounts=[{"name": "model", "mountPath": "/model"}])
    pod["spec"]["volumes"] = [{"name": "model", "emptyDir": {}}]
    sealed = node.seal(pod)
    node.put_secret("default/digits/model", sealed_model.read_bytes(), sealed)
    node.put_secret("default/digits/model-key", key.read_bytes(), sealed)
    result = node.run(sealed)
    assert result.code == 0 and result.out.startswith("65532\n") and "same predictions 899 of 899" in result.out, result


def test_check_notices_other_bytes():
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        for part in ("device-plugin.tar", "device-plugin.spdx.json"):
            shutil.copy(out() / part, copy)
        with open(copy / "device-plugin.tar", "r+b") as opened:
            opened.seek(5000)
            byte = opened.read(1)
            opened.seek(5000)
            opened.write(bytes([byte[0] ^ 1]))
        said = problem(lambda: images.check(["device-plugin"], harness.BUILD, copy, "localhost"))
        assert "device-plugin.tar" in said and ".json" not in said, said


def test_what_cannot_become_an_image_is_named():
    with tempfile.TemporaryDirectory() as folder:
        said = build("--out", f"{folder}/out", "--only", "broker", folder=folder, code=1)
        assert said == f"images: no program ccgpu-broker in {pathlib.Path(folder).name}/bin: ./run build first\n", said
        assert "no image nothing" in build("--only", "nothing", code=2)
        limit, images.LIMIT = images.LIMIT, 2**20
        try:
            said = problem(lambda: images.build_image("device-plugin", harness.BUILD, pathlib.Path(folder), "localhost"))
        finally:
            images.LIMIT = limit
        assert "device-plugin.tar has" in said and "/usr/lib/x86_64-linux-gnu/libc" in said and not pathlib.Path(folder, "device-plugin.tar").exists(), said


def test_files_that_are_not_debians_are_no_part_of_an_image():
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        program = place / "program"
        shutil.copy(harness.BUILD / "bin" / "ccgpu-broker", program)
        library = os.path.realpath("/usr/lib/x86_64-linux-gnu/libz.so.1")
        shutil.copy(library, place / "libz.so.1")
        subprocess.run(["patchelf", "--force-rpath", "--set-rpath", folder, str(program)], check=True)
        assert "no Debian package owns" in problem(lambda: rootfs.Rootfs().program(program, "usr/local/bin/program"))
        subprocess.run(["patchelf", "--add-needed", "libnobody.so.7", str(program)], check=True)
        assert "needs libnobody.so.7" in problem(lambda: rootfs.Rootfs().program(program, "usr/local/bin/program"))
        (place / "script").write_text("#!/bin/sh\n")
        assert "no ELF program" in problem(lambda: rootfs.Rootfs().program(place / "script", "usr/local/bin/script"))

        # A database that knows another digest for the library: somebody changed the file.
        (place / "info").mkdir()
        (place / "status").write_text("Package: zlib1g\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n")
        (place / "info" / "zlib1g:amd64.list").write_text(f"/.\n{library}\n")
        (place / "info" / "zlib1g:amd64.md5sums").write_text(f"{'0' * 32}  {library[1:]}\n")
        real = dpkg.DATABASE
        caches = (dpkg._packages, dpkg._owners, dpkg._sums)
        try:
            dpkg.DATABASE = place
            for cache in caches:
                cache.cache_clear()
            assert "is not as Debian package zlib1g:amd64 shipped it" in problem(lambda: dpkg.owner(library))
        finally:
            dpkg.DATABASE = real
            for cache in caches:
                cache.cache_clear()


DEP5 = f"Format: https://{licences.FORMAT}/\n\n"


def test_licences_are_claimed_only_where_debian_says_so_for_machines():
    cases = [
        ("This package was debianized by somebody. The licence is GPL.\n", "NOASSERTION"),
        (DEP5, "NOASSERTION"),
        (DEP5 + "Files: *\nLicense: Expat\n Text.\n", "MIT"),
        (DEP5 + "Files: *\nLicense: GPL-2+ or Artistic\n\nFiles: b\nLicense: BSD-3-clause\n", "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND BSD-3-Clause"),
        (DEP5 + "Files: *\nLicense: LGPL-2.1+ and Zlib\n", "LGPL-2.1-or-later AND Zlib"),
        (DEP5 + "Files: *\nLicense: GPL-2+ with OpenSSL exception\n", "LicenseRef-p-GPL-2-with-OpenSSL-exception"),
        (DEP5 + "Files: *\nLicense: GPL-2, or MIT\n", "LicenseRef-p-GPL-2-or-MIT"),
    ]
    for text, expected in cases:
        assert licences.parse("p", text).expression == expected, (text, licences.parse("p", text))
    quoted = licences.parse("p", DEP5 + "Files: *\nLicense: Own\n\nLicense: Own\n Do what\n .\n you like.\n")
    assert quoted.texts == (("LicenseRef-p-Own", "Own", "Do what\n\nyou like."),), quoted
