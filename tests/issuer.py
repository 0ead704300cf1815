"""An identity provider for tests: real keys, tokens good and bad, and its keys served over TLS."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests import pki

AUDIENCE = "kmsd"
EMAIL = "ann@example.com"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int = 0) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The key of this name; each test run makes its own."""
    assert name
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str, curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    assert name
    curves: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
    return ec.generate_private_key(curves[curve])


@cache
def ed_key(name: str) -> ed25519.Ed25519PrivateKey:
    assert name
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """Return the public half as a JWK."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        n = public.public_numbers()
        what = {"kty": "RSA", "n": number(n.n), "e": number(n.e)}
    elif isinstance(public, ec.EllipticCurvePublicKey):
        size = (public.key_size + 7) // 8
        point = public.public_numbers()
        what = {"kty": "EC", "crv": f"P-{public.key_size}",
                "x": number(point.x, size), "y": number(point.y, size)}  # fmt: skip
    else:
        what = {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}
    return {**what, "kid": kid, **more}


def signature(key: Any, algorithm: str, data: bytes) -> bytes:
    """Sign as a JWS does (RFC 7518 §3)."""
    if isinstance(key, bytes):
        mac = hmac.HMAC(key, hashes.SHA256())
        mac.update(data)
        return mac.finalize()
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(
        algorithm[-3:], hashes.SHA256()
    )
    if isinstance(key, rsa.RSAPrivateKey):
        pad: Any = padding.PKCS1v15()
        if algorithm.startswith("PS"):
            pad = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return key.sign(data, pad, digest)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    size = (key.key_size + 7) // 8
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def assembled(header: bytes, claims: bytes, key: Any, algorithm: str) -> str:
    """Return a token of exactly these texts."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(signature(key, algorithm, signed.encode()))}"


@dataclass
class Issuer:
    """An issuer: `answer` gives status, headers and body of GET on its keys' URL."""

    port: int = 0
    keys: list[dict[str, Any]] = field(default_factory=list)
    fetches: list[str] = field(default_factory=list)
    name: str = ""
    answer: Callable[[], tuple[int, dict[str, str], bytes]] | None = None
    pause_seconds: float = 0.0

    @property
    def jwks_uri(self) -> str:
        return f"https://localhost:{self.port}/keys"

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token, changed; `...` takes one out."""
        good = {
            "iss": self.name,
            "sub": "1234",
            "aud": AUDIENCE,
            "exp": int(time.time()) + 600,
            "nbf": int(time.time()) - 10,
            "email": EMAIL,
        }
        return {name: value for name, value in (good | changes).items() if value is not ...}

    def token(
        self,
        header: dict[str, Any] | None = None,
        key: Any = None,
        algorithm: str = "RS256",
        **changes: Any,
    ) -> str:
        """Return a token that is good but for what is changed."""
        whole = {"alg": algorithm, "typ": "JWT", "kid": "rsa"} | (header or {})
        whole = {name: value for name, value in whole.items() if value is not ...}
        claims = json.dumps(self.claims(**changes)).encode()
        return assembled(json.dumps(whole).encode(), claims, key or rsa_key("rsa"), algorithm)

    def published(self) -> bytes:
        """Return its set of keys."""
        return json.dumps({"keys": self.keys}).encode()


def usual_keys() -> list[dict[str, Any]]:
    """Good keys, and others that must not verify anything."""
    return [
        jwk(rsa_key("rsa"), "rsa"),
        jwk(rsa_key("rsa-rs"), "rsa-rs", alg="RS256", use="sig"),
        jwk(ec_key("p256"), "p256", alg="ES256", use="sig"),
        jwk(ec_key("p384", "P-384"), "p384"),
        jwk(ed_key("ed"), "ed"),
        jwk(rsa_key("encryption"), "encryption", use="enc"),
        jwk(rsa_key("wrapping"), "wrapping", key_ops=["wrapKey"]),
        jwk(rsa_key("weak", 1024), "weak"),
        {"kty": "oct", "k": b64(b"0" * 32), "kid": "oct"},
        {"kty": "RSA", "kid": "damaged", "n": 5, "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": number(1, 32), "y": number(1, 32), "kid": "no-point"},
        {"kty": "quantum", "kid": "new"},
    ]


@contextlib.contextmanager
def issuer(folder: Path, authority: pki.Identity) -> Iterator[Issuer]:
    """Serve an issuer's keys on loopback, with a certificate for localhost."""
    made = Issuer(keys=usual_keys())
    files = pki.issue(authority, "localhost").write(folder, "issuer")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.daemon_threads = True
    made.port = server.server_port
    made.name = f"https://localhost:{made.port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(made: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.fetches.append(self.path)
            time.sleep(made.pause_seconds)
            default = (200, {"Content-Type": "application/json"}, made.published())
            status, headers, body = made.answer() if made.answer else default
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    return Handler


def bomb() -> bytes:
    """Return a small body that is large when it is unpacked."""
    return gzip.compress(b"0" * 50_000_000)
