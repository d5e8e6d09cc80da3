"""Licences of Debian packages as SPDX expressions, where debian/copyright is machine readable (DEP-5); otherwise nothing is claimed."""
import dataclasses
import re

import dpkg

FORMAT = "www.debian.org/doc/packaging-manuals/copyright-format/1.0"

# DEP-5's short names (lower case) -> SPDX. What is not here is quoted with its text instead.
NAMES = {
    "expat": "MIT", "mit": "MIT", "apache-2.0": "Apache-2.0", "apache-2": "Apache-2.0", "isc": "ISC", "zlib": "Zlib", "zlib/libpng": "Zlib",
    "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "bsd-4-clause": "BSD-4-Clause", "bsd-4-clause-uc": "BSD-4-Clause-UC", "0bsd": "0BSD",
    "gpl-1": "GPL-1.0-only", "gpl-1+": "GPL-1.0-or-later", "gpl-2": "GPL-2.0-only", "gpl-2+": "GPL-2.0-or-later", "gpl-2.0+": "GPL-2.0-or-later",
    "gpl-3": "GPL-3.0-only", "gpl-3+": "GPL-3.0-or-later", "gpl-3.0+": "GPL-3.0-or-later",
    "lgpl-2": "LGPL-2.0-only", "lgpl-2+": "LGPL-2.0-or-later", "lgpl-2.0+": "LGPL-2.0-or-later", "lgpl-2.1": "LGPL-2.1-only", "lgpl-2.1+": "LGPL-2.1-or-later",
    "lgpl-3": "LGPL-3.0-only", "lgpl-3+": "LGPL-3.0-or-later", "mpl-1.1": "MPL-1.1", "mpl-2.0": "MPL-2.0", "mpl-2": "MPL-2.0",
    "artistic": "Artistic-1.0-Perl", "bsl-1.0": "BSL-1.0", "boost-1.0": "BSL-1.0", "cc0": "CC0-1.0", "cc0-1.0": "CC0-1.0", "fsfap": "FSFAP", "x11": "X11",
    "curl": "curl", "openssl": "OpenSSL", "gfdl-1.3+": "GFDL-1.3-or-later",
}


@dataclasses.dataclass(frozen=True)
class Licence:
    expression: str  # SPDX, or NOASSERTION
    texts: tuple  # (LicenseRef, name, text) of the licences that SPDX's list does not have


UNKNOWN = Licence("NOASSERTION", ())


def of(name):
    path = dpkg.copyright_file(name)
    return parse(name, path.read_text(errors="replace")) if path else UNKNOWN


def parse(name, text):
    paragraphs = [_fields(part) for part in re.split(r"\n\s*\n", text)]
    if not paragraphs or FORMAT not in paragraphs[0].get("format", ""):
        return UNKNOWN
    bodies = {}
    for paragraph in paragraphs:
        short, _, body = paragraph.get("license", "").partition("\n")
        if body.strip():
            bodies.setdefault(short.strip().lower(), body)
    refs, expressions = {}, set()
    for paragraph in paragraphs:
        short = paragraph.get("license", "").partition("\n")[0].strip()
        if "files" in paragraph and short:
            expressions.add(_expression(name, short, bodies, refs))
    if not expressions:
        return UNKNOWN
    parts = sorted(f"({part})" if " OR " in part and len(expressions) > 1 else part for part in expressions)
    return Licence(" AND ".join(parts), tuple(refs[key] for key in sorted(refs)))


def _fields(paragraph):
    out, key = {}, None
    for line in paragraph.splitlines():
        if line[:1] in (" ", "\t") and key:
            out[key] += "\n" + ("" if line.strip() == "." else line[1:])
        elif ":" in line and not line.startswith("#"):
            key, _, value = line.partition(":")
            key = key.lower()
            out[key] = value.strip()
    return out


def _expression(name, short, bodies, refs):
    """`and` and `or` as in SPDX; commas and exceptions change what binds to what, so such a line stays one quoted licence."""
    words = [short] if re.search(r",| with ", short) else re.split(r"\s+(and|or)\s+", short)
    out = []
    for index, word in enumerate(words):
        if index % 2:
            out.append(word.upper())
        elif word.lower() in NAMES:
            out.append(NAMES[word.lower()])
        else:
            ref = "LicenseRef-" + re.sub(r"[^A-Za-z0-9.]+", "-", f"{name}-{word}").strip("-")
            text = bodies.get(word.lower(), "").strip()
            refs[ref] = (ref, word, text or f"See /usr/share/doc/{name}/copyright of Debian package {name}.")
            out.append(ref)
    return " ".join(out)
