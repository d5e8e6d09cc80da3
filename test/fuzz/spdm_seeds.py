"""Seeds of the SPDM targets, from logs of DMTF's programs: each as the target's own comment says it reads its input."""
import re
import struct

GET_CAPABILITIES, CAPABILITIES, KEY_EXCHANGE = 0xE1, 0x61, 0xE4
SPDM_12 = 0x12


def objects(data):
    """The DOE objects that crossed, in order."""
    for line in re.findall(rb"Platform port (?:Transmit|Receive) buffer:\n\s+([0-9a-f ]+)", data):
        found = bytes.fromhex(line.decode())
        if found[:2] == b"\x01\x00":
            yield found


def logged(data):
    """(is a request, is sealed, message) of a requester's log, without the padding's meaning."""
    entry = re.compile(rb"libspdm_(send_spdm_request|receive_spdm_response)\[([0-9a-f]+)\] msg SPDM_\w+\(\w+\), size \((\w+)\):[^\n]*\n((?:[0-9a-f]{4}: [^\n]*\n)+)")
    for kind, session, size, dump in entry.findall(data):
        message = bytes.fromhex(re.sub(r"[0-9a-f]{4}:", "", dump.decode()))[:int(size, 16)]
        yield kind.startswith(b"send"), int(session, 16) != 0, message


def messages(data):
    for _, _, message in logged(data):
        yield message


def frames(data):
    """The same messages in the envelope of NVIDIA's driver."""
    for found in objects(data):
        if found[2] in (1, 2):
            yield struct.pack("<III", found[2] - 1, len(found) - 8, 0x10) + found[8:]


def requests(data):
    """For the responder: all plain requests from power-on, and the sealed ones where a session stands already."""
    sent = [(sealed, message) for is_request, sealed, message in logged(data) if is_request]
    if not sent:
        return
    newer = any(message[0] == SPDM_12 for _, message in sent) << 2
    plain = [message for sealed, message in sent if not sealed]
    inside = [message for sealed, message in sent if sealed]
    yield bytes([newer]) + b"".join(struct.pack("<BH", 0, len(message)) + message for message in plain[:16])
    for start in (1, 2, 3, 1 | 8, 2 | 8, 2 | 8 | 16):
        yield bytes([newer | start]) + b"".join(struct.pack("<BH", 2 if start & 3 > 1 else 0, len(one)) + one for one in (inside if start & 3 > 1 else plain[3:])[:16])


def responses(data):
    """For the requester: all plain responses, with the CTExponent of an H100."""
    answers = [bytearray(message) for is_request, sealed, message in logged(data) if not is_request and not sealed]
    for answer in answers:
        if answer[1] == CAPABILITIES:
            answer[5] = 0x1F
    if answers:
        yield b"".join(struct.pack("<BH", 0, len(answer)) + answer for answer in answers)


def sealed_responses(data):
    """For the requester in a session: what the device seals after FINISH_RSP."""
    answers = [message for is_request, sealed, message in logged(data) if not is_request and sealed][1:]
    if answers:
        newer = answers[0][0] == SPDM_12
        for way in (8, 8 | 2, 8 | 4, 8 | 2 | 16):
            yield bytes([way | newer]) + b"".join(struct.pack("<H", len(answer)) + answer for answer in answers)
