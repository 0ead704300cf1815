"""Signed ACME messages (RFC 7515 as RFC 8555 §6.2 uses it), with an EC P-256 account key."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from josepy.b64 import b64encode
from josepy.jwa import ES256
from josepy.jwk import JWKEC


class AccountKey:
    """The key that is the account: signs each request and answers each challenge."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self.jwk = JWKEC(key=key)

    def sign(self, url: str, nonce: str, account: str | None, payload: Any) -> bytes:
        """Return the body of a POST to `url`.

        `account` is the account's URL, or None to name the public key itself; a `payload` of None
        makes the POST-as-GET of RFC 8555 §6.3.
        """
        header: dict[str, Any] = {"alg": "ES256", "nonce": nonce, "url": url}
        if account is None:
            header["jwk"] = self.jwk.public_key().to_partial_json()
        else:
            header["kid"] = account
        protected = b64encode(json.dumps(header).encode())
        body = b"" if payload is None else b64encode(json.dumps(payload).encode())
        signature = ES256.sign(self.jwk.key, protected + b"." + body)
        parts = {"protected": protected, "payload": body, "signature": b64encode(signature)}
        return json.dumps({name: part.decode() for name, part in parts.items()}).encode()
