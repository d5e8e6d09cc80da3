"""DMTF's requester against our SPDM responder: its recorded bytes over the socket of its own emulator, and the program itself where there is one.

spdm-emu is in no package registry: CCGPU_SPDM_EMU names the folder of a build (spdm_requester_emu, with debug output). Its exit code is
not enough, it ends well with an untrusted root: its lines decide.
"""
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile

from e2e import harness

VECTORS = pathlib.Path(os.environ.get("CCGPU_VECTORS") or pathlib.Path(__file__).resolve().parents[3] / "shared" / "vectors") / "spdm"
GET_CAPABILITIES, NEGOTIATE_ALGORITHMS, KEY_EXCHANGE, ERROR = 0xE1, 0xE3, 0xE4, 0x7F
REQUIRED = ["verify_peer_cert_chain_buffer - PASS", "verify_key_exchange_signature - PASS", "verify_key_exchange_hmac - PASS", "verify_measurement_signature - PASS"]


class Responder:
    """foreign-spdm-responder and what it writes for the requester's trust."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ccgpu-spdm-", dir="/tmp"))
        program = harness.BUILD / "tests" / "foreign-spdm-responder"
        self.process = subprocess.Popen([program, self.folder], stdout=subprocess.PIPE, text=True)
        harness._open.append(self)
        self.port = int(self.process.stdout.readline().split()[1])

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def platform_messages(log):
    """(sent by the requester, command, payload) as they crossed."""
    entry = re.compile(r"Platform port (Transmit|Receive) command: ([0-9a-f ]+)\nPlatform port \w+ transport_type: ([0-9a-f ]+)\nPlatform port \w+ size: ([0-9a-f ]+)\n(?:Platform port \w+ buffer:\n\s+([0-9a-f ]+))?")
    for who, command, transport, size, payload in entry.findall(log.read_text(errors="replace")):
        message = bytes.fromhex(payload or "")
        assert bytes.fromhex(transport) == b"\0\0\0\x02" and int.from_bytes(bytes.fromhex(size), "big") == len(message)
        yield who == "Transmit", int.from_bytes(bytes.fromhex(command), "big"), message


def exchange(connection, command, payload):
    connection.sendall(struct.pack(">III", command, 2, len(payload)) + payload)
    command, transport, size = struct.unpack(">III", received(connection, 12))
    assert transport == 2
    return command, received(connection, size)


def received(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        assert more, "the responder closed the connection"
        data += more
    return data


def test_dmtfs_recorded_requests_get_dmtfs_answers():
    if not VECTORS.is_dir():
        raise harness.Skip(f"no {VECTORS}: set CCGPU_VECTORS to the vectors' folder")
    responder = Responder()
    for name in ("h100_profile_11", "h100_profile_12"):
        crossed = list(platform_messages(VECTORS / f"{name}.req.log"))
        compared = 0
        with socket.create_connection(("127.0.0.1", responder.port), timeout=20) as connection:
            for (sent, command, request), (_, answered, theirs) in zip(crossed, crossed[1:]):
                if not sent:
                    continue
                said, ours = exchange(connection, command, request)
                assert said == answered, f"{name}: command {command:x} was answered with {said:x}"
                code = request[9] if command == 1 and len(request) > 9 and request[2] == 1 else None
                if code == GET_CAPABILITIES:
                    theirs = theirs[:13] + b"\x1f" + theirs[14:]  # CTExponent of an H100
                if code in (None, GET_CAPABILITIES, NEGOTIATE_ALGORITHMS):
                    assert ours == theirs, f"{name}: {request.hex()} was answered with {ours.hex()}, by DMTF's with {theirs.hex()}"
                    compared += 1
                if code == KEY_EXCHANGE:
                    assert ours[9] != ERROR and len(ours) == len(theirs)
                    break
            else:
                raise AssertionError(f"{name}: no KEY_EXCHANGE in the log")
        assert compared >= 6, "hello, discovery, capabilities, algorithms"


def requester(responder, version, folder):
    program = pathlib.Path(os.environ.get("CCGPU_SPDM_EMU", "")) / "spdm_requester_emu"
    if not os.environ.get("CCGPU_SPDM_EMU") or not program.exists():
        raise harness.Skip("no spdm_requester_emu: it is in no package registry; build DMTF's spdm-emu (debug) and set CCGPU_SPDM_EMU to its bin folder")
    command = [program, "--ip", "127.0.0.1", "--port", str(responder.port), "--trans", "PCI_DOE", "--ver", version, "--hash", "SHA_384", "--meas_hash", "SHA_384",
               "--asym", "ECDSA_P384", "--req_asym", "RSAPSS_3072", "--dhe", "SECP_384_R1", "--aead", "AES_256_GCM", "--cap", "CERT,ENCRYPT,MAC,KEY_EX,KEY_UPD,ENCAP,HBEAT",
               "--basic_mut_auth", "NO", "--mut_auth", "NO", "--slot_count", "1", "--meas_op", "ALL", "--exe_conn", "DIGEST,CERT",
               "--exe_session", "KEY_EX,HEARTBEAT,MEAS,KEY_UPDATE", "--verbose"]
    done = subprocess.run([str(part) for part in command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    return harness.Result(done.returncode, done.stdout, "")


def test_dmtfs_requester_holds_a_session_with_our_responder():
    for version in ("1.1", "1.2"):
        responder = Responder()
        said = requester(responder, version, responder.folder)
        assert said.code == 0, said
        for line in REQUIRED:
            assert line in said.out, f"SPDM {version}: no \"{line}\" in\n{said}"
        assert "ERROR:" not in said.out and "- FAIL" not in said.out, said


def test_dmtfs_requester_does_not_know_another_root():
    responder, other = Responder(), Responder()
    said = requester(responder, "1.1", other.folder)
    assert "verify_peer_cert_chain_buffer - FAIL" in said.out, said
