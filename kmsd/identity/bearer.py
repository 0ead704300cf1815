"""The bearer token of a request (RFC 6750 §2.1)."""

from __future__ import annotations

from kmsd.identity import Evidence


def bearer_token(evidence: Evidence) -> str | None:
    """Return the bearer token, or None when there is none.

    The header without a token counts as absent: clients up to 4.3.4 send it always.
    """
    scheme, _, token = (evidence.authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return token.strip(" ") or None
