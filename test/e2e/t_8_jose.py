"""A stock JOSE library reads our tokens and refuses changed ones; our verifier reads the library's."""
import json
import subprocess
import time

from e2e import harness
from foreign import jose
from foreign.environment import HERE


def foreign_tokens(command, text=""):
    done = subprocess.run([str(harness.BUILD / "tests" / "foreign-tokens"), command], input=text, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return done.stdout.strip()


def checked(command, value):
    done = subprocess.run([str(jose.python()), str(HERE / "jose_check.py"), command], input=json.dumps(value), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_our_tokens_are_accepted_and_changed_ones_refused():
    jose.python()
    tokens = json.loads(foreign_tokens("make"))
    assert tokens["accepted"], tokens
    found = checked("read", tokens)
    for name, claims in found["accepted"].items():
        assert isinstance(claims, dict), f"{name}: {claims}"
        assert claims["eat_nonce"] == tokens["nonce"], name
    assert sorted(found["accepted"]) == ["ear-es256", "ear-es384", "eat-GPU-0", "eat-overall"], found["accepted"].keys()
    ear = found["accepted"]["ear-es384"]
    assert ear["submods"]["gpu0"]["ear.status"] == "contraindicated" and ear["ccgpu.environment"] == "emulated", ear
    overall = found["accepted"]["eat-overall"]
    assert overall["submods"] == {name: ["DIGEST", ["SHA-256", digest]] for name, digest in found["digests"].items()}
    for name, error in found["refused"].items():
        assert isinstance(error, str), f"{name} was accepted: {error}"
    assert len(found["refused"]) == 29, sorted(found["refused"])


def test_the_librarys_tokens_are_accepted_and_forged_ones_refused():
    jose.python()
    now = int(time.time())
    claims = {"eat_profile": "tag:github.com,2023:veraison/ear", "iss": "pyjwt", "iat": now, "exp": now + 300, "ear.verifier-id": {"developer": "d", "build": "b"},
              "submods": {"cpu0": {"ear.status": "affirming"}}}
    made = checked("make", claims)
    assert [one["algorithm"] for one in made] == ["ES256", "ES384", "ES512", "PS256"]
    for one in made:
        def judge(token, issuer="pyjwt"):
            return foreign_tokens("judge", json.dumps({"token": token, "jwks": one["jwks"], "issuer": issuer}))
        assert judge(one["token"]) == "accepted", (one["algorithm"], judge(one["token"]))
        assert judge(one["token"], "somebody") == "token.issuer"
        assert judge(one["forged"]) == "token.algorithm", one["algorithm"]
        assert judge(one["unsigned"]) == "token.algorithm", one["algorithm"]
        assert judge(one["token"][:-4] + "AAAA") in ("token.signature-invalid", "token.malformed"), one["algorithm"]
