"""Why a command failed, in words that name the next step."""

from __future__ import annotations


class CommandFailed(Exception):  # noqa: N818 (what happened, as with KmipError's reasons)
    """A command cannot be carried out; the text is for whoever typed it and holds no secret."""


# What follows on an error, by the name of its reason (a ResultReason's or a Trouble's).
NEXT_STEPS = {
    "ITEM_NOT_FOUND": "see what you have with `ckms access-rights owned`, or search with"
    " `ckms locate`; a revoked key is only found by `keys export --allow-revoked`",
    "OBJECT_NOT_FOUND": "see what you have with `ckms access-rights owned`, or search with"
    " `ckms locate`; a revoked key is only found by `keys export --allow-revoked`",
    "PERMISSION_DENIED": "the owner can let you with `ckms access-rights grant`",
    "WRONG_KEY_LIFECYCLE_STATE": "look at its state with `ckms attributes get`; an active object"
    " must be revoked before it is destroyed",
    "CRYPTOGRAPHIC_FAILURE": "check that the data is whole, and that key, algorithm and"
    " authentication data are the ones it was encrypted with",
    "SENSITIVE": "export it wrapped: --wrap-key-id",
    "OBJECT_ALREADY_EXISTS": "choose another identifier, or replace it (import: --replace)",
    "SERVER_LIMIT_EXCEEDED": "encrypt large files on this side:"
    " `ckms sym encrypt --key-encryption-algorithm rfc5649`",
    "AUTHENTICATION": "set access_token or ssl_client_pkcs12_path in the configuration, or"
    " CKMS_ACCESS_TOKEN; `ckms login` fetches a token",
    "CONNECTION": "set kms_server_url (server_url in TOML) in the configuration, or use --url",
    "TLS": "name the server's authority as ca_cert in the configuration; for a test only:"
    " --accept-invalid-certs",
    "TIMEOUT": "see whether the server is busy; CKMS_TIMEOUT sets how many seconds to wait",
}

_BY_WORDS = {
    "must be revoked first": "revoke it first: `… revoke REASON --key-id ID`",
    "no such database": "set kms_database_secret (database_secret in TOML), or"
    " CKMS_DATABASE_SECRET, to what `ckms new-database` gave",
}
"""The same for errors that their reason does not tell apart from others."""


def next_step(reason: str, text: str) -> str:
    """Return what to do about an error, if there is something to say that it does not say."""
    for words, step in _BY_WORDS.items():
        if words in text:
            return step
    return NEXT_STEPS.get(reason, "")
