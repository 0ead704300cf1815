"""Callers who present an API token: one made by `kmsd-admin`, or a key of the server's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable

from kmsd.crypto import formats
from kmsd.identity import AuthenticationFailed, Evidence, Known
from kmsd.identity.bearer import bearer_token
from kmsd.kmip.enums import State
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import SymmetricKey
from kmsd.kmip.states import effective_state
from kmsd.store.interfaces import Record
from kmsd.store.tokens import PREFIX, ApiToken

Proved = Callable[[str], Awaitable[ApiToken | None]]
"""Gives the valid token that a text is."""


class ApiTokenMechanism:
    """Tells callers by the tokens that were made for them."""

    name = "api-token"

    def __init__(self, proved: Proved) -> None:
        """Have tokens looked up by `proved`."""
        self._proved = proved

    async def identify(self, evidence: Evidence) -> Known | None:
        """Return the token's user and what it allows, or None when it is no token of ours.

        Raises:
            AuthenticationFailed: it is none that was made here, or is revoked or expired.
            StoreUnavailable: nobody can tell at the moment.
        """
        presented = bearer_token(evidence)
        if presented is None or not presented.startswith(PREFIX):
            return None
        token = await self._proved(presented)
        if token is None:
            raise AuthenticationFailed("the API token is unknown, revoked or expired")
        return Known(token.user, token.operations)


class ApiKeyMechanism:
    """Knows the default user by the bytes of one symmetric key, in base64.

    Args:
        lookup: gives the key's record.
        user: who the bearer is.
        now: seconds since the epoch.
    """

    name = "api-key"

    def __init__(
        self,
        lookup: Callable[[], Awaitable[Record | None]],
        user: str,
        now: Callable[[], float],
    ) -> None:
        self._lookup, self._user, self._now = lookup, user, now

    async def identify(self, evidence: Evidence) -> str | None:
        """Return the default user when the bearer token is the key.

        Raises:
            AuthenticationFailed: it is not, or the key is not there, not active, or wrapped.
        """
        presented = bearer_token(evidence)
        if presented is None:
            return None
        key = self._key(await self._lookup())
        expected = b"" if key is None else base64.b64encode(key)
        # Hashes, since a comparison of texts would tell their lengths; and even without a key.
        same = hmac.compare_digest(_hash(presented.encode()), _hash(expected))
        if key is None or not same:
            raise AuthenticationFailed("the bearer token is not the key of --api-token-id")
        return self._user

    def _key(self, record: Record | None) -> bytes | None:
        """Return the key's bytes if it can be a token."""
        managed_object = None if record is None else record.managed_object
        if record is None or not isinstance(managed_object, SymmetricKey):
            return None
        if effective_state(record.attributes, int(self._now())) is not State.ACTIVE:
            return None
        block = managed_object.key_block
        if block is None or block.key_wrapping_data is not None:
            return None
        try:
            return formats.load_symmetric(block) or None
        except KmipError:
            return None


def _hash(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
