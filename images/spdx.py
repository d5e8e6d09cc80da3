"""The bill of materials of an image: SPDX 2.3 in JSON. Every regular file with its digests, under the package it comes from."""
import hashlib
import json
import re
import tarfile

import licences
import oci
from rootfs import OWN

NONE = "NOASSERTION"


def document(image, version, title, rootfs):
    """`rootfs` must be complete but for the document itself, which no document can list."""
    files = {path: data for path, (kind, _, data, _) in sorted(rootfs.tree.entries.items()) if kind == tarfile.REGTYPE}
    digests = {path: (hashlib.sha1(data, usedforsecurity=False).hexdigest(), hashlib.sha256(data).hexdigest()) for path, data in files.items()}
    content = hashlib.sha256("".join(f"{path} {digests[path][1]}\n" for path in files).encode()).hexdigest()

    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image")]
    packages = [{
        "SPDXID": "SPDXRef-Image", "name": f"ccgpu/{image}", "versionInfo": version, "summary": title, "downloadLocation": NONE, "filesAnalyzed": False,
        "licenseConcluded": NONE, "licenseDeclared": NONE, "copyrightText": NONE, "supplier": "Organization: ccgpu", "primaryPackagePurpose": "CONTAINER"}]
    texts = {}

    def add(identifier, facts, owned):
        sums = sorted(digests[path][0] for path in owned)
        packages.append({
            "SPDXID": identifier, "downloadLocation": NONE, "licenseConcluded": NONE, "copyrightText": NONE, "filesAnalyzed": bool(owned), **facts,
            **({"packageVerificationCode": {"packageVerificationCodeValue": hashlib.sha1("".join(sums).encode(), usedforsecurity=False).hexdigest()}} if owned else {})})
        relations.append(("SPDXRef-Image", "CONTAINS", identifier))
        relations.extend((identifier, "CONTAINS", file_id(path)) for path in owned)

    add("SPDXRef-Package-ccgpu", {"name": "ccgpu", "versionInfo": version, "licenseDeclared": "Apache-2.0", "supplier": "Organization: ccgpu", "primaryPackagePurpose": "APPLICATION"},
        [path for path in files if rootfs.origin[path] is OWN])
    linked = {package.name: package for group in rootfs.static.values() for package in group}
    for package in sorted({**linked, **rootfs.packages()}.values(), key=lambda package: package.name):
        licence = licences.of(package.name)
        texts.update({ref: (name, text) for ref, name, text in licence.texts})
        facts = {"name": package.name, "versionInfo": package.version, "licenseDeclared": licence.expression, "supplier": "Organization: Debian",
                 "sourceInfo": f"built from Debian's source package {package.source}",
                 "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": package.purl}]}
        if package.homepage:
            facts["homepage"] = package.homepage
        add(package_id(package), facts, [path for path in files if rootfs.origin[path] == package])
    for path, group in sorted(rootfs.static.items()):
        relations.extend((file_id(path), "STATIC_LINK", package_id(package)) for package in sorted(group, key=lambda package: package.name))

    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"ccgpu/{image}:{version}",
        "documentNamespace": f"https://ccgpu.dev/spdx/{image}-{version}-{content[:32]}",
        "creationInfo": {"created": oci.EPOCH, "creators": ["Organization: ccgpu", f"Tool: ccgpu-images-{version}"]},
        "documentDescribes": ["SPDXRef-Image"],
        "packages": packages,
        "files": [{
            "SPDXID": file_id(path), "fileName": f"./{path}", "fileTypes": ["BINARY" if files[path][:4] == b"\x7fELF" else "TEXT"],
            "checksums": [{"algorithm": "SHA1", "checksumValue": digests[path][0]}, {"algorithm": "SHA256", "checksumValue": digests[path][1]}],
            "licenseConcluded": NONE, "licenseInfoInFiles": [NONE], "copyrightText": NONE} for path in files],
        "hasExtractedLicensingInfos": [{"licenseId": ref, "name": name, "extractedText": text} for ref, (name, text) in sorted(texts.items())],
        "relationships": [{"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other} for one, kind, other in relations],
    }


def text(value):
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def file_id(path):
    return "SPDXRef-File-" + hashlib.sha256(path.encode()).hexdigest()[:20]


def package_id(package):
    return "SPDXRef-Package-" + re.sub(r"[^A-Za-z0-9.-]", lambda found: f"-{ord(found[0]):x}-", package.name)
