"""A certification authority of RFC 8555 in memory: it checks what it is sent, and can be unkind."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from treq.client import HTTPClient
from treq.testing import StubTreq
from twisted.web.resource import Resource
from twisted.web.server import Request

from tests import pki

BASE = "https://ca.test"
DIRECTORY = f"{BASE}/directory"


def in_memory(resource: Resource) -> HTTPClient:
    """Return an HTTP client that sends everything to `resource`, without a network."""
    client: Any = StubTreq(resource)  # type: ignore[no-untyped-call]
    return cast("HTTPClient", client)


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Refused(Exception):  # noqa: N818 - what the authority does
    """A problem document (RFC 7807) to answer with."""

    def __init__(self, kind: str, status: int = 400, retry_after: str = "") -> None:
        super().__init__(kind)
        self.kind, self.status, self.retry_after = kind, status, retry_after


@dataclass
class Moods:
    """What the authority does wrong, or slowly."""

    refused_nonces: int = 0
    no_nonce: bool = False
    down: bool = False
    garbage: bytes | None = None
    refusals: dict[str, Refused] = field(default_factory=dict)
    processing: int = 0
    challenge_types: tuple[str, ...] = ("dns-01", "http-01", "tls-alpn-01", "future-02")
    wrong_key: bool = False
    wrong_name: bool = False
    reuse: bool = False
    extra_url: str = ""
    start: dt.timedelta = dt.timedelta(hours=-1)
    end: dt.timedelta = dt.timedelta(hours=2)


@dataclass
class Signed:
    """A request whose signature holds."""

    payload: Any
    thumbprint: str
    account: str


class FakeCA(Resource):
    """`check(type, name, token, thumbprint)` says whether a challenge is met."""

    isLeaf = True  # noqa: N815

    def __init__(self, check: Callable[[str, str, str, str], bool] = lambda *_: True) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.check = check
        self.moods = Moods()
        self.root = pki.authority("fake root")
        self.middle = pki.authority("fake middle", self.root)
        self.requests: list[str] = []
        self.forget()

    def forget(self) -> None:
        """Lose all accounts, orders and nonces."""
        self._numbers = itertools.count(1)
        self._nonces: set[str] = set()
        self.accounts: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}

    def render(self, request: Request) -> bytes:
        """Answer, or refuse as RFC 8555 §6.7 says."""
        path = request.path.decode().strip("/")
        self.requests.append(f"{request.method.decode()} {path}")
        if not self.moods.no_nonce:
            nonce = f"nonce-{next(self._numbers)}-{len(self.requests)}"
            self._nonces.add(nonce)
            request.setHeader("Replay-Nonce", nonce)
        try:
            return self._answer(request, path)
        except Refused as refused:
            request.setResponseCode(refused.status)
            request.setHeader("Content-Type", "application/problem+json")
            if refused.retry_after:
                request.setHeader("Retry-After", refused.retry_after)
            kind = f"urn:ietf:params:acme:error:{refused.kind}"
            return json.dumps({"type": kind, "detail": f"refused: {refused.kind}"}).encode()

    def _answer(self, request: Request, path: str) -> bytes:
        kind, _, number = path.partition("/")
        if self.moods.down:
            raise Refused("serverInternal", 503)
        if kind in self.moods.refusals:
            raise self.moods.refusals[kind]
        if self.moods.garbage is not None and kind != "nonce":
            return self.moods.garbage
        if kind == "directory":
            return self._directory()
        if kind == "nonce":
            return b""
        signed = self._signed(request)
        answer: Any = getattr(self, f"_{kind}")(request, number, signed)
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    def _directory(self) -> bytes:
        names = {"newNonce": "nonce", "newAccount": "account", "newOrder": "neworder"}
        urls = {name: f"{BASE}/{path}" for name, path in names.items()}
        return json.dumps({**urls, "meta": {}}).encode()

    def _signed(self, request: Request) -> Signed:
        if request.getHeader("Content-Type") != "application/jose+json":
            raise Refused("malformed", 415)
        assert request.content is not None
        parts = json.loads(request.content.read())
        header = json.loads(decoded(parts["protected"]))
        if header["nonce"] not in self._nonces or self.moods.refused_nonces:
            self.moods.refused_nonces = max(0, self.moods.refused_nonces - 1)
            raise Refused("badNonce")
        self._nonces.discard(header["nonce"])
        if header["url"] != f"{BASE}{request.path.decode()}" or header["alg"] != "ES256":
            raise Refused("malformed")
        jwk = self._jwk(header, request)
        self._verify(jwk, parts)
        canonical = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")})
        digest = hashlib.sha256(canonical.replace(" ", "").encode()).digest()
        thumbprint = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        payload = decoded(parts["payload"])
        return Signed(json.loads(payload) if payload else None, thumbprint, header.get("kid", ""))

    def _jwk(self, header: dict[str, Any], request: Request) -> dict[str, str]:
        if ("jwk" in header) == ("kid" in header):
            raise Refused("malformed")
        if ("jwk" in header) != (request.path == b"/account"):
            raise Refused("malformed")
        if "jwk" in header:
            return dict(header["jwk"])
        if header["kid"] not in self.accounts:
            raise Refused("accountDoesNotExist")
        return dict(self.accounts[header["kid"]]["jwk"])

    @staticmethod
    def _verify(jwk: dict[str, str], parts: dict[str, str]) -> None:
        x, y = (int.from_bytes(decoded(jwk[name])) for name in "xy")
        key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        raw = decoded(parts["signature"])
        signature = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        text = f"{parts['protected']}.{parts['payload']}".encode()
        try:
            key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise Refused("malformed") from None

    def _account(self, request: Request, _number: str, signed: Signed) -> Any:
        assert signed.payload["termsOfServiceAgreed"] is True
        url = f"{BASE}/acct/{signed.thumbprint}"
        request.setResponseCode(200 if url in self.accounts else 201)
        assert request.content is not None
        request.content.seek(0)
        header = json.loads(decoded(json.loads(request.content.read())["protected"]))
        self.accounts[url] = {"jwk": header["jwk"], "contact": signed.payload.get("contact")}
        request.setHeader("Location", url)
        return {"status": "valid"}

    def _neworder(self, request: Request, _number: str, signed: Signed) -> Any:
        number = str(next(self._numbers))
        name = signed.payload["identifiers"][0]["value"]
        types = self.moods.challenge_types
        status = "valid" if self.moods.reuse else "pending"
        self.orders[number] = {
            "name": name,
            "status": "ready" if self.moods.reuse else "pending",
            "authorization": status,
            "challenges": dict.fromkeys(types, status),
            "token": f"token-of-order-{int(number):05}-long-enough",
        }
        request.setResponseCode(201)
        request.setHeader("Location", f"{BASE}/order/{number}")
        return self._order(request, number, signed)

    def _order(self, request: Request, number: str, _signed: Signed) -> Any:
        order = self.orders[number]
        if order["status"] == "processing":
            order["left"] -= 1
            request.setHeader("Retry-After", "7")
            if order["left"] <= 0:
                order["status"] = "valid"
        shown = {
            "status": order["status"],
            "authorizations": [f"{BASE}/authz/{number}"],
            "finalize": f"{BASE}/finalize/{number}",
        }
        if order["status"] == "valid":
            shown["certificate"] = f"{BASE}/cert/{number}"
        return shown

    def _authz(self, _request: Request, number: str, _signed: Signed) -> Any:
        order = self.orders[number]
        return {
            "identifier": {"type": "dns", "value": order["name"]},
            "status": order["authorization"],
            "challenges": [
                {
                    "type": kind,
                    "url": self.moods.extra_url or f"{BASE}/challenge/{number}-{kind}",
                    "token": order["token"],
                    "status": status,
                    **({"error": {"detail": "nobody there"}} if status == "invalid" else {}),
                }
                for kind, status in order["challenges"].items()
            ],
        }

    def _challenge(self, _request: Request, number: str, signed: Signed) -> Any:
        number, _, kind = number.partition("-")
        assert signed.payload == {}
        order = self.orders[number]
        met = self.check(kind, order["name"], order["token"], signed.thumbprint)
        order["challenges"][kind] = order["authorization"] = "valid" if met else "invalid"
        order["status"] = "ready" if met else "invalid"
        return {"type": kind, "status": "processing", "url": "x", "token": "x"}

    def _finalize(self, request: Request, number: str, signed: Signed) -> Any:
        order = self.orders[number]
        if order["status"] != "ready":
            raise Refused("orderNotReady", 403)
        order["csr"] = x509.load_der_x509_csr(decoded(signed.payload["csr"]))
        assert order["csr"].is_signature_valid
        order["status"], order["left"] = "processing", self.moods.processing + 1
        return self._order(request, number, signed)

    def _cert(self, _request: Request, number: str, _signed: Signed) -> bytes:
        order = self.orders[number]
        key = pki.KEYS["p256"]() if self.moods.wrong_key else _PublicOnly(order["csr"])
        name = "other.test" if self.moods.wrong_name else order["name"]
        moods = self.moods
        leaf = pki.issue(
            self.middle, name, names=(name,), key=key, start=moods.start, end=moods.end
        )
        return leaf.pem + self.middle.pem


class _PublicOnly:
    """The key of a CSR, in the place of one whose private half is known."""

    def __init__(self, csr: x509.CertificateSigningRequest) -> None:
        self._csr = csr

    def public_key(self) -> Any:
        return self._csr.public_key()
