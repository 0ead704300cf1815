"""Tokens that must let nobody in, by the trick that each tries."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.issuer import Issuer, assembled, b64, ec_key, ed_key, jwk, rsa_key

Attack = Callable[[Issuer], str]

_STRANGER = "stranger"
_PEM = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _changed(**claims: Any) -> Attack:
    return lambda issuer: issuer.token(**claims)


def _header(key: Any = None, algorithm: str = "RS256", **header: Any) -> Attack:
    return lambda issuer: issuer.token(header, key, algorithm)


def _later(**seconds: float) -> Attack:
    def attack(issuer: Issuer) -> str:
        moments: dict[str, Any] = {n: int(time.time() + delta) for n, delta in seconds.items()}
        return issuer.token(**moments)

    return attack


def _unsigned(algorithm: str, signature: str) -> Attack:
    def attack(issuer: Issuer) -> str:
        header = json.dumps({"alg": algorithm, "typ": "JWT", "kid": "rsa"}).encode()
        return f"{b64(header)}.{b64(json.dumps(issuer.claims()).encode())}.{signature}"

    return attack


def _mac(secret: Callable[[], bytes], kid: str = "rsa") -> Attack:
    return lambda issuer: issuer.token({"kid": kid}, secret(), "HS256")


def _public(*form: Any) -> Callable[[], bytes]:
    return lambda: rsa_key("rsa").public_key().public_bytes(*form)


def _text(header: str, claims: str) -> Attack:
    """A token signed by the issuer, of texts in which HEADER and CLAIMS are the usual members."""

    def attack(issuer: Issuer) -> str:
        usual = json.dumps({"alg": "RS256", "typ": "JWT", "kid": "rsa"})[1:-1]
        good = json.dumps(issuer.claims())[1:-1]
        return assembled(
            header.replace("HEADER", usual).encode(),
            claims.replace("CLAIMS", good).encode(),
            rsa_key("rsa"),
            "RS256",
        )

    return attack


def _edited(edit: Callable[[list[str]], list[str]]) -> Attack:
    """A good token of which the three parts are edited."""
    return lambda issuer: ".".join(edit(issuer.token().split(".")))


def _signature(data: bytes) -> Attack:
    return lambda issuer: ".".join(
        [*issuer.token({"kid": "p256"}, ec_key("p256"), "ES256").split(".")[:2], b64(data)]
    )


def _swapped(issuer: Issuer) -> str:
    other = issuer.token(email="victim@example.com").split(".")
    mine = issuer.token().split(".")
    return ".".join([mine[0], other[1], mine[2]])


def _der_signature(issuer: Issuer) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    head = ".".join(issuer.token({"kid": "p256"}, ec_key("p256"), "ES256").split(".")[:2])
    return f"{head}.{b64(ec_key('p256').sign(head.encode(), ec.ECDSA(hashes.SHA256())))}"


def _json_form(issuer: Issuer) -> str:
    header, claims, signature = issuer.token().split(".")
    form = {"protected": header, "payload": claims, "signature": signature}
    return json.dumps(form, separators=(",", ":"))


def _not_canonical(part: str) -> str:
    """Return another text of the same bytes, as a lenient reader would have it."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    for letter in alphabet:
        other = part[:-1] + letter
        with_padding = other + "=" * (-len(other) % 4)
        if other != part and base64.urlsafe_b64decode(with_padding) == raw:
            return other
    return part + "="


def _in_header(name: str, own_kid: bool) -> Attack:  # noqa: FBT001
    """The attacker's own key, which the header offers or says where to get."""

    def attack(issuer: Issuer) -> str:
        key = rsa_key(_STRANGER)
        offered = {
            "jwk": jwk(key, _STRANGER),
            "jku": f"https://localhost:{issuer.port}/attacker",
            "x5u": f"https://localhost:{issuer.port}/attacker",
            "x5c": ["MIIB"],
        }
        kid = _STRANGER if own_kid else "rsa"
        return issuer.token({"kid": kid, name: offered[name]}, key)

    return attack


ATTACKS: dict[str, Attack] = {
    # No signature
    **{
        f"alg {name} with {what} signature": _unsigned(name, signature)
        for name in ("none", "None", "NONE", "nOnE", "")
        for what, signature in (("no", ""), ("a", b64(b"signature")))
    },
    "the signature is cut off": _edited(lambda parts: [*parts[:2], ""]),
    "the signature and its dot are cut off": _edited(lambda parts: parts[:2]),
    "the signature is another's": _edited(lambda parts: [*parts[:2], b64(b"\0" * 256)]),
    "the claims are another token's": _swapped,
    # The wrong kind of algorithm
    "a MAC under the public key as PEM": _mac(_public(*_PEM)),
    "a MAC under the public key as DER": _mac(
        _public(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ),
    "a MAC under the public key as PKCS#1": _mac(_public(Encoding.PEM, PublicFormat.PKCS1)),
    "a MAC under the modulus": _mac(
        lambda: rsa_key("rsa").public_key().public_numbers().n.to_bytes(256, "big")
    ),
    "a MAC under nothing": _mac(lambda: b"\0"),
    "a MAC under a published symmetric key": _mac(lambda: b"0" * 32, "oct"),
    "PSS by a key for RS256": _header(rsa_key("rsa-rs"), "PS256", kid="rsa-rs"),
    "ES256 by a key on P-384": _header(ec_key("p384", "P-384"), "ES256", kid="p384"),
    "RS256 said, ES256 done": _header(ec_key("p256"), "RS256", kid="p256"),
    "EdDSA by name of the RSA key": _header(ed_key("ed"), "EdDSA", kid="rsa"),
    "an algorithm that is a list": _header(alg=["RS256"]),
    "an algorithm in other letters": _header(alg="rs256"),
    "no algorithm": _header(alg=...),
    # The wrong key
    "a stranger's key by the issuer's name": _header(rsa_key(_STRANGER)),
    "a stranger's key by its own name": _header(rsa_key(_STRANGER), kid=_STRANGER),
    "a key for encryption": _header(rsa_key("encryption"), kid="encryption"),
    "a key for wrapping": _header(rsa_key("wrapping"), kid="wrapping"),
    "a key of 1024 bits": _header(rsa_key("weak", 1024), kid="weak"),
    "no key name": _header(kid=...),
    "an empty key name": _header(kid=""),
    "a key name that is a number": _header(kid=1),
    "a key name that is a list": _header(kid=["rsa"]),
    "a key name that is a path": _header(rsa_key(_STRANGER), kid="../../../../dev/null"),
    "a key name that is SQL": _header(rsa_key(_STRANGER), kid="rsa' OR '1'='1"),
    "a key name that is a URL": _header(rsa_key(_STRANGER), kid="https://localhost/attacker"),
    "a key name with NUL": _header(rsa_key(_STRANGER), kid="rsa\0"),
    **{
        f"{name} in the header, {'its' if own else 'our'} key name": _in_header(name, own)
        for name in ("jwk", "jku", "x5u", "x5c")
        for own in (True, False)
    },
    # Extensions
    "crit that is not known": _header(crit=["exp"]),
    "crit that is empty": _header(crit=[]),
    "b64 false": _header(b64=False, crit=["b64"]),
    "b64 false without crit": _header(b64=False),
    "a logout token": _header(typ="logout+jwt"),
    "a proof of possession": _header(typ="dpop+jwt"),
    "a type that is a list": _header(typ=["JWT"]),
    # Signatures that libraries took
    "ECDSA with r and s zero": _signature(b"\0" * 64),
    "ECDSA with r one and s zero": _signature(b"\0" * 31 + b"\1" + b"\0" * 32),
    "ECDSA as long as the order": _signature(b"\xff" * 64),
    "ECDSA with nothing": _signature(b"\0"),
    "ECDSA as DER": _der_signature,
    # Encodings
    "four parts": _edited(lambda parts: [*parts, "e30"]),
    "five parts": _edited(lambda parts: [*parts, "e30", "e30"]),
    "one part": _edited(lambda parts: parts[:1]),
    "the JSON serialization": _json_form,
    "padding": _edited(lambda parts: [parts[0] + "=", *parts[1:]]),
    "claims not in canonical base64": _edited(
        lambda parts: [parts[0], _not_canonical(parts[1]), parts[2]]
    ),
    "blanks inside": _edited(lambda parts: [parts[0], parts[1][:8] + " " + parts[1][8:], parts[2]]),
    "the header is a list": _text("[HEADER]".replace("HEADER", '"RS256"'), "{CLAIMS}"),
    "the header says the algorithm twice": _text('{"alg":"none",HEADER}', "{CLAIMS}"),
    "the header says the key twice": _text('{HEADER,"kid":"ed"}', "{CLAIMS}"),
    "the claims are a list": _text("{HEADER}", "[{CLAIMS}]"),
    "the claims are a text": _text("{HEADER}", '"claims"'),
    "the claims are not JSON": _text("{HEADER}", "{CLAIMS"),
    "the claims are nested deeply": _text("{HEADER}", "[" * 3000),
    "the claims say the e-mail twice": _text("{HEADER}", '{CLAIMS,"email":"victim@example.com"}'),
    "the claims say the issuer twice": _text("{HEADER}", '{"iss":"https://evil/",CLAIMS}'),
    "a token of 20 kB": _changed(padding="x" * 15_000),
    # Times
    "expired": _later(exp=-1),
    "expired long ago": _later(exp=-86_400, nbf=-90_000),
    "never expires": _changed(exp=...),
    "expires at a text": _changed(exp="9999999999"),
    "expires at true": _changed(exp=True),
    "expires at null": _changed(exp=None),
    "expires at infinity": _text("{HEADER}", '{CLAIMS,"x":Infinity}'),
    "expires beyond numbers": lambda issuer: _text(
        "{HEADER}", json.dumps(issuer.claims()).replace('"exp": ', '"exp": 1e999, "x": ')
    )(issuer),
    "not valid yet": _later(nbf=120),
    "valid from a text": _changed(nbf="0"),
    # Issuer
    "no issuer": _changed(iss=...),
    "another issuer": _changed(iss="https://evil.example.com/"),
    "an issuer that begins as ours": lambda issuer: issuer.token(iss=issuer.name + "evil"),
    "an issuer that is the beginning of ours": lambda issuer: issuer.token(iss=issuer.name[:-1]),
    "an issuer in other letters": lambda issuer: issuer.token(iss=issuer.name.upper()),
    "an issuer that is a list": lambda issuer: issuer.token(iss=[issuer.name]),
    # Audience
    "no audience": _changed(aud=...),
    "another audience": _changed(aud="other"),
    "an audience that begins as ours": _changed(aud="kmsd2"),
    "an audience in other letters": _changed(aud="KMSD"),
    "other audiences": _changed(aud=["other", "another"]),
    "an empty list of audiences": _changed(aud=[]),
    "audiences in a list in a list": _changed(aud=[["kmsd"]]),
    "an audience that is an object": _changed(aud={"kmsd": True}),
    # Subject and e-mail
    "no subject": _changed(sub=...),
    "an empty subject": _changed(sub=""),
    "a subject that is a number": _changed(sub=1),
    "no e-mail but a subject that is one": _changed(email=..., sub="ann@example.com"),
    "an e-mail that is null": _changed(email=None),
    "an e-mail that is a list": _changed(email=["ann@example.com"]),
    "an e-mail that is empty": _changed(email=""),
    "an e-mail that is everybody": _changed(email="*"),
    "an e-mail that is the default user": _changed(email="admin"),
    "an e-mail that is marked as a certificate's": _changed(email="cn:ann@example.com"),
    "an e-mail with NUL": _changed(email="ann@example.com\0"),
    "an e-mail with a line end": _changed(email="ann@example.com\n"),
    "an e-mail with a blank": _changed(email=" ann@example.com"),
    "an e-mail with two @": _changed(email="ann@example.com@example.org"),
    "an e-mail of 300 characters": _changed(email="a" * 300 + "@example.com"),
    "an e-mail that reads from right to left": _changed(email="ann\u202e@example.com"),
    "an e-mail that nobody has verified": _changed(email_verified=False),
    "an e-mail that is verified by a list": _changed(email_verified=[True]),
}
"""Name → token."""
