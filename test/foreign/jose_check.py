"""Runs in PyJWT's environment. `read`: verifies our tokens (JSON of foreign-tokens on stdin). `make`: tokens of PyJWT's own for our verifier.

Prints JSON. Keys and algorithms are this program's arguments to PyJWT, as a relying party would write them.
"""
import base64
import hashlib
import json
import sys

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


def outcome(token, jwks, algorithm, issuer="ccgpu", kid=True):
    """The claims, or the name of PyJWT's exception."""
    keys = jwt.PyJWKSet.from_dict(json.loads(jwks)).keys
    try:
        if kid:
            wanted = jwt.get_unverified_header(token)["kid"]
            keys = [key for key in keys if key.key_id == wanted]
            if not keys:
                return "UnknownKey"
        return jwt.decode(token, keys[0].key, algorithms=[algorithm], issuer=issuer, options={"require": ["exp", "iat", "iss"]})
    except jwt.PyJWTError as error:
        return type(error).__name__


def flipped(token, part):
    """One bit of this part's content changed, still base64url."""
    parts = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=" * (-len(parts[part]) % 4)))
    raw[len(raw) // 2] ^= 1
    parts[part] = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    return ".".join(parts)


def unsigned(token):
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return header + "." + token.split(".")[1] + "."


def read(tokens):
    out = {"accepted": {}, "refused": {}}
    (label, overall), devices = json.loads(tokens["bundle"])
    assert label == "JWT", label
    kinds = [("ear-es256", tokens["ear_es256"], tokens["jwks_es256"], "ES256", False), ("ear-es384", tokens["ear_es384"], tokens["jwks_es384"], "ES384", False),
             ("eat-overall", overall, tokens["jwks_es384"], "ES384", True)] + [(f"eat-{name}", token, tokens["jwks_es384"], "ES384", True) for name, token in devices.items()]
    for name, token, jwks, algorithm, kid in kinds:
        out["accepted"][name] = outcome(token, jwks, algorithm, kid=kid)
        for part, word in enumerate(("header", "claims", "signature")):
            out["refused"][f"{name} {word} changed"] = outcome(flipped(token, part), jwks, algorithm, kid=False)
        out["refused"][f"{name} unsigned"] = outcome(unsigned(token), jwks, algorithm, kid=False)
        out["refused"][f"{name} cut"] = outcome(token[:-2], jwks, algorithm, kid=False)
        out["refused"][f"{name} other issuer"] = outcome(token, jwks, algorithm, issuer="other", kid=kid)
        out["refused"][f"{name} other key"] = outcome(token, tokens["jwks_other"], "ES384", kid=False)
    out["refused"]["ear-es384 expired"] = outcome(tokens["ear_expired"], tokens["jwks_es384"], "ES384", kid=False)
    out["digests"] = {name: hashlib.sha256(token.encode()).hexdigest() for name, token in devices.items()}
    return out


def make(claims):
    out = []
    for algorithm in ("ES256", "ES384", "ES512", "PS256"):
        key = ec.generate_private_key(CURVES[algorithm]()) if algorithm in CURVES else rsa.generate_private_key(65537, 2048)
        of = jwt.algorithms.ECAlgorithm if algorithm in CURVES else jwt.algorithms.RSAAlgorithm
        jwk = dict(json.loads(of.to_jwk(key.public_key())), kid="k")
        public = jwk.get("n") or jwk["x"]  # PyJWT itself refuses a whole JWK or PEM as a secret
        out.append({"algorithm": algorithm, "jwks": json.dumps({"keys": [jwk]}), "token": jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "k"}),
                    "forged": jwt.encode(claims, public, algorithm="HS256"), "unsigned": jwt.encode(claims, None, algorithm="none")})
    return out


print(json.dumps({"read": read, "make": make}[sys.argv[1]](json.load(sys.stdin))))
