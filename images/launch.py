"""The launch digest of a guest: what MEASUREMENT says in the evidence of each sandbox that is started from these files.

docs/formats/launch-digest.md, a second time and from that page alone: whoever has the image can compute what its sandboxes must measure.
"""
import hashlib
import struct

PAGE = 4096
FILES = ("guestd", "agent", "libcuda.so.1", "libnvidia-ml.so.1")  # in the order in which the shim hands them over


def digest(files):
    """Of [(name, bytes)], in order; hexadecimal."""
    value, address = bytes(48), 0
    for name, data in files:
        header = b"ccgpu image file" + struct.pack("<QQ", len(data), len(name)) + name.encode()
        for page in (header, *(data[at:at + PAGE] for at in range(0, len(data), PAGE))):
            content = hashlib.sha384(page.ljust(PAGE, b"\0")).digest()
            value = hashlib.sha384(value + content + struct.pack("<HBBBBBBQ", 0x70, 1, 0, 0, 0, 0, 0, address)).digest()
            address += PAGE
    return value.hex()
