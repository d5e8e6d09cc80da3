"""One address asks the broker as fast as it can: without limits the pods get no keys, with them they do."""
import collections
import contextlib
import http.client
import json
import ssl
import threading
import time
import urllib.parse

from e2e.harness import fetch, pod, rerun, shared, wait_for

HOSTILE = "127.0.0.2"
CHALLENGE = json.dumps({"version": "0.4.0", "tee": "snp", "extra-params": {}})
PLACES = 1000
ASKS = 3 * PLACES


class Flood(threading.Thread):
    """Asks for challenges until told to stop, and counts the answers by status and reason."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.answers, self.error, self.retry_after = node, collections.Counter(), None, set()
        self.over = threading.Event()

    def run(self):
        try:
            while not self.over.is_set():
                with contextlib.closing(connection(self.node, HOSTILE)) as hostile:
                    for _ in range(900):  # the broker serves a thousand on one connection
                        if self.over.is_set():
                            return
                        hostile.request("POST", "/kbs/v0/auth", CHALLENGE, {"Content-Type": "application/json"})
                        answer = hostile.getresponse()
                        body = json.loads(answer.read())
                        self.answers[answer.status, body.get("ccgpu", {}).get("code", "")] += 1
                        if answer.status != 200:
                            self.retry_after.add(int(answer.headers["Retry-After"]))
        except Exception as error:  # told by the test, which waits for counts
            self.error = error

    def __enter__(self):
        self.start()
        wait_for(lambda: self.error or sum(self.answers.values()) >= ASKS, 60, lambda: f"{self.answers}\n{self.node.logs()}")
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
        assert not self.error, self.error


def connection(node, source):
    port = urllib.parse.urlsplit(json.loads((node.state / "config.json").read_text())["broker_url"]).port
    context = ssl.create_default_context(cafile=str(node.state / "broker" / "tls" / "ca.crt"))
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context, source_address=(source, 0))


def metrics(node):
    with contextlib.closing(connection(node, "127.0.0.1")) as client:
        client.request("GET", "/metrics")
        return client.getresponse().read().decode()


def flooded(config, name):
    """What a pod gets while one address floods a broker that is configured so: the pod's run, the flood, the broker's metrics."""
    node = shared(gpus=1)
    sealed = node.seal(pod(name, fetch(f"default/{name}/one")))
    node.put_secret(f"default/{name}/one", "the-secret", sealed)
    log = node.state / "logs" / "ccgpu-broker.log"
    with rerun(node, "ccgpu-broker", "--config", str(node.file("broker.yaml", config))):
        written, begun = log.stat().st_size, time.monotonic()
        with Flood(node) as flood:
            result = node.run(sealed)
            text = metrics(node)
        lines = [line for line in log.read_text()[written:].splitlines() if f"remote={HOSTILE}" in line]
        minutes = (time.monotonic() - begun) // 60
    node.remove(name)
    assert 1 <= len(lines) <= 1 + minutes, f"a flood fills the log: {lines[:9]}"
    return result, flood, text


def test_without_limits_one_address_takes_all_places():
    result, flood, _ = flooded({"maxSessions": PLACES, "peerLimits": {"sessions": 0, "burst": 0}}, "starved")
    assert flood.answers[200, ""] == PLACES and flood.answers[503, "session.too-many"] >= ASKS - PLACES, flood.answers
    assert result.code != 0 and "session.too-many" in result.out + result.err and "the-secret" not in result.out, result


def test_an_address_gets_only_so_many_sessions():
    result, flood, text = flooded({"maxSessions": PLACES, "peerLimits": {"sessions": 20, "burst": 0}}, "served")
    assert result.code == 0 and "the-secret" in result.out, result
    assert flood.answers[200, ""] == 20 and set(flood.answers) == {(200, ""), (429, "session.too-many-of-peer")}, flood.answers
    assert all(0 < seconds <= 300 for seconds in flood.retry_after), flood.retry_after
    assert 'ccgpu_broker_refusals_total{route="/kbs/v0/auth",code="session.too-many-of-peer"}' in text, text


def test_an_address_gets_only_so_many_challenges():
    result, flood, text = flooded({"maxSessions": PLACES, "peerLimits": {"sessions": 0, "burst": 20, "perSecond": 1}}, "paced")
    assert result.code == 0 and "the-secret" in result.out, result
    assert 20 <= flood.answers[200, ""] < PLACES / 2 and set(flood.answers) == {(200, ""), (429, "broker.too-many-requests")}, flood.answers
    assert flood.retry_after == {1}, flood.retry_after
    assert 'ccgpu_broker_refusals_total{route="/kbs/v0/auth",code="broker.too-many-requests"}' in text, text


def test_the_defaults_let_nobody_take_all_either():
    result, flood, _ = flooded({}, "usual")
    assert result.code == 0 and "the-secret" in result.out, result
    assert flood.answers[200, ""] >= 1000 and flood.answers[429, "broker.too-many-requests"] > 0, flood.answers
