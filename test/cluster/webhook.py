#!/usr/bin/env python3
"""An admission webhook that does what a file says: webhook.py ADDRESS CERTIFICATE KEY FILE. Prints its port.

FILE is read for each pod: a JSON patch (RFC 6902), or {"deny": "why"}. What a cluster's operator can do to anybody's pods, in thirty lines.
"""
import base64
import http.server
import json
import pathlib
import ssl
import sys


class Webhook(http.server.BaseHTTPRequestHandler):
    file = None

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        said = json.loads(self.file.read_text())
        answer = {"uid": request["uid"], "allowed": "deny" not in said}
        if answer["allowed"]:
            answer.update(patchType="JSONPatch", patch=base64.b64encode(json.dumps(said).encode()).decode())
        else:
            answer["status"] = {"message": said["deny"]}
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    address, certificate, key, file = sys.argv[1:]
    Webhook.file = pathlib.Path(file)
    server = http.server.ThreadingHTTPServer((address, 0), Webhook)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
