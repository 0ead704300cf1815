"""CoverCrypt, over the optional package `cover-crypt` 14: attribute-based encryption.

Keys are bytes, as the engine serialises them; policies are JSON, as `covercrypt_policy` makes it.
The engine is fenced on every side: sizes are checked before it parses, its errors and panics become
one refusal each, and it is imported on first use only, so that the rest works without it.

A ciphertext is an encrypted header (who may read, and sealed metadata) and an AES-256-GCM block.
Source: the product's formats, 4.13.4 to 4.22.1.
"""

import functools
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from kmsd.crypto import covercrypt_layout as layout
from kmsd.crypto.bulk import number, read_bytes, read_number
from kmsd.crypto.covercrypt_policy import check_expression, to_v2
from kmsd.crypto.errors import bad_parameters, decryption_failed, failed, invalid_policy
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError

_NOT_AVAILABLE = "CoverCrypt is not available: install kmsd[covercrypt]"
_NONCE_AND_TAG = 28


class MasterKeys(NamedTuple):
    """A master key pair, serialised."""

    secret: bytes
    public: bytes


class Rekeyed(NamedTuple):
    """What a rekey action leaves: new master keys and policy; must user keys be refreshed?"""

    keys: MasterKeys
    policy: bytes
    refresh_user_keys: bool


def available() -> bool:
    """Tell whether the package is installed."""
    try:
        _engine()
    except KmipError:
        return False
    return True


def generate_master_keys(policy: bytes) -> MasterKeys:
    """Make a master key pair for a policy of any form; 20 000 combinations take a second.

    Raises:
        KmipError: INVALID_ATTRIBUTE_VALUE for the policy; FEATURE_NOT_SUPPORTED.
    """
    engine = _engine()
    secret, public = _call(
        failed("the generation of CoverCrypt keys"),
        lambda: engine.CoverCrypt().generate_master_keys(_policy(policy)),
    )
    return MasterKeys(bytes(secret.to_bytes()), bytes(public.to_bytes()))


def generate_user_key(master_secret: bytes, access_policy: str, policy: bytes) -> bytes:
    """Make a user key that decrypts what `access_policy` covers.

    Raises:
        KmipError: INVALID_ATTRIBUTE_VALUE: the access policy is malformed or names attributes that
            the policy does not have.
    """
    check_expression(access_policy)
    secret, v2 = _secret(master_secret), _policy(policy)
    key = _call(
        invalid_policy("the access policy does not fit the policy of the master key"),
        lambda: _engine().CoverCrypt().generate_user_secret_key(secret, access_policy, v2),
    )
    return bytes(key.to_bytes())


def refresh_user_key(
    user_key: bytes, master_secret: bytes, *, keep_old_rights: bool = True
) -> bytes:
    """Bring a user key up to date with a rekeyed master key."""
    secret, key = _secret(master_secret), _user_key(user_key)
    _call(
        failed("the refresh of a CoverCrypt key"),
        lambda: _engine().CoverCrypt().refresh_user_secret_key(key, secret, keep_old_rights),
    )
    return bytes(key.to_bytes())


def encrypt(master_public: bytes, policy: bytes, payload: bytes, aad: bytes = b"") -> bytes:
    """Encrypt a payload: access policy, metadata and plaintext, the first two after their lengths.

    Raises:
        KmipError: BAD_CRYPTOGRAPHIC_PARAMETERS: the payload does not parse;
            INVALID_ATTRIBUTE_VALUE: its access policy.
    """
    access_policy, metadata, plaintext = split_payload(payload)
    symmetric, header = _seal(master_public, policy, access_policy, metadata, aad)
    return header + _block(symmetric, plaintext, aad)


def encrypt_bulk(master_public: bytes, policy: bytes, payload: bytes, aad: bytes = b"") -> bytes:
    """Encrypt a payload whose plaintext is a count and as many items, each after its length.

    Every item gets the same header. Source: CoverCryptBulk.
    """
    access_policy, metadata, plaintext = split_payload(payload)
    items = _read_items(plaintext)
    symmetric, header = _seal(master_public, policy, access_policy, metadata, aad)
    return _write_items([header + _block(symmetric, item, aad) for item in items])


def decrypt(user_key: bytes, data: bytes, aad: bytes = b"") -> bytes:
    """Decrypt what `encrypt` made, to the metadata after its length, and the plaintext.

    Raises:
        KmipError: CRYPTOGRAPHIC_FAILURE in one text for every wrong key and wrong byte.
    """
    metadata, plaintext = _open(_user_key(user_key), data, aad)
    return number(len(metadata)) + metadata + plaintext


def decrypt_bulk(user_key: bytes, data: bytes, aad: bytes = b"") -> bytes:
    """Decrypt what `encrypt_bulk` made, to the metadata after its length, and the items."""
    key = _user_key(user_key)
    try:
        items = _read_items(data)
    except KmipError:
        raise decryption_failed() from None
    opened = [_open(key, item, aad) for item in items]
    metadata = opened[0][0] if opened else b""
    return number(len(metadata)) + metadata + _write_items([plain for _, plain in opened])


def split_payload(payload: bytes) -> tuple[str, bytes | None, bytes]:
    """Return access policy, metadata (None if empty) and plaintext of an Encrypt request."""
    name, at = read_bytes(payload)
    metadata, at = read_bytes(payload, at)
    try:
        access_policy = name.decode()
    except UnicodeDecodeError:
        raise bad_parameters("the encryption policy is not UTF-8") from None
    if not access_policy:
        raise bad_parameters("the data must begin with an encryption policy")
    return access_policy, metadata or None, payload[at:]


def rekey(action: bytes, keys: MasterKeys, policy: bytes) -> Rekeyed:
    """Carry out a rekey action, JSON such as `{"RekeyAccessPolicy": "Department::HR"}`.

    Raises:
        KmipError: INVALID_ATTRIBUTE_VALUE: unknown action, attribute or access policy.
    """
    name, argument = _action(action)
    function, refresh = _ACTIONS[name]
    secret, public, v2 = _secret(keys.secret), _public(keys.public), _policy(policy)
    after: bytes | None = _call(
        invalid_policy(f"{name} is not possible with these attributes and this policy"),
        lambda: function(_Rekeying(_engine(), secret, public, v2), argument),
    )
    made = MasterKeys(bytes(secret.to_bytes()), bytes(public.to_bytes()))
    return Rekeyed(made, after or bytes(v2.to_bytes()), refresh)


class _Rekeying(NamedTuple):
    """The engine and the objects that it changes in place."""

    engine: Any
    secret: Any
    public: Any
    policy: Any

    def update(self) -> None:
        """Make or drop keys as the changed policy says."""
        self.engine.CoverCrypt().update_master_keys(self.policy, self.secret, self.public)

    def attribute(self, text: object) -> Any:
        """Parse `dimension::name`."""
        return self.engine.Attribute.from_string(text)


def _rekey(run: _Rekeying, access_policy: Any) -> None:
    check_expression(access_policy)
    run.engine.CoverCrypt().rekey_master_keys(access_policy, run.policy, run.secret, run.public)


def _prune(run: _Rekeying, access_policy: Any) -> None:
    check_expression(access_policy)
    run.engine.CoverCrypt().prune_master_secret_key(access_policy, run.policy, run.secret)


def _remove(run: _Rekeying, attributes: Any) -> None:
    for text in attributes:
        run.policy.remove_attribute(run.attribute(text))
    run.update()


def _disable(run: _Rekeying, attributes: Any) -> None:
    for text in attributes:
        run.policy.disable_attribute(run.attribute(text))
    run.update()


def _add(run: _Rekeying, attributes: Any) -> None:
    for text, hint, *_after in attributes:
        if hint not in {"Classic", "Hybridized"}:
            raise ValueError
        run.policy.add_attribute(run.attribute(text), hint == "Hybridized")
    to_v2(bytes(run.policy.to_bytes()))  # refuses too many combinations
    run.update()


def _rename(run: _Rekeying, attributes: Any) -> None:
    for text, name in attributes:
        run.policy.rename_attribute(run.attribute(text), name)
    run.update()


_ACTIONS: dict[str, tuple[Callable[[_Rekeying, Any], None], bool]] = {
    "RekeyAccessPolicy": (_rekey, True),
    "PruneAccessPolicy": (_prune, True),
    "RemoveAttribute": (_remove, True),
    "DeleteAttribute": (_remove, True),  # the name of 5.x
    "DisableAttribute": (_disable, False),
    "AddAttribute": (_add, False),
    "RenameAttribute": (_rename, False),
}
"""Each action, and whether the user keys must be refreshed after it."""


def _action(action: bytes) -> tuple[str, Any]:
    try:
        ((name, argument),) = json.loads(action).items()
    except (ValueError, AttributeError, RecursionError):
        raise invalid_policy("the rekey action is not a JSON object of one entry") from None
    if name not in _ACTIONS:
        raise invalid_policy(f"there is no rekey action {name!r:.40}")
    takes_text = name in {"RekeyAccessPolicy", "PruneAccessPolicy"}
    if not isinstance(argument, str if takes_text else list):
        raise invalid_policy(f"{name} takes another argument")
    return name, argument


def _seal(
    master_public: bytes, policy: bytes, access_policy: str, metadata: bytes | None, aad: bytes
) -> tuple[Any, bytes]:
    """Make a symmetric key and the header that seals it for an access policy."""
    check_expression(access_policy)
    public, v2 = _public(master_public), _policy(policy)
    symmetric, header = _call(
        invalid_policy("the encryption policy does not fit the policy of the key"),
        lambda: (
            _engine().CoverCrypt().encrypt_header(v2, access_policy, public, metadata, aad or None)
        ),
    )
    return symmetric, bytes(header)


def _block(symmetric: Any, plaintext: bytes, aad: bytes) -> bytes:
    return bytes(
        _call(
            failed("the encryption"),
            lambda: (
                _engine().CoverCrypt().encrypt_symmetric_block(symmetric, plaintext, aad or None)
            ),
        )
    )


def _open(key: Any, data: bytes, aad: bytes) -> tuple[bytes, bytes]:
    """Return metadata and plaintext of one ciphertext."""
    try:
        end = layout.header_end(data)
    except KmipError:
        raise decryption_failed() from None
    if len(data) - end < _NONCE_AND_TAG:
        raise decryption_failed()
    cover_crypt = _engine().CoverCrypt()
    symmetric, metadata = _call(
        decryption_failed(), lambda: cover_crypt.decrypt_header(key, data[:end], aad or None)
    )
    plaintext = _call(
        decryption_failed(),
        lambda: cover_crypt.decrypt_symmetric_block(symmetric, data[end:], aad or None),
    )
    return bytes(metadata or b""), bytes(plaintext)


def _read_items(data: bytes) -> list[bytes]:
    count, at = read_number(data)
    if count > len(data) - at:
        raise bad_parameters("malformed bulk data: its lengths do not add up")
    items = []
    for _ in range(count):
        item, at = read_bytes(data, at)
        items.append(item)
    if at != len(data):
        raise bad_parameters("malformed bulk data: its lengths do not add up")
    return items


def _write_items(items: list[bytes]) -> bytes:
    return number(len(items)) + b"".join(number(len(item)) + item for item in items)


def _policy(policy: bytes) -> Any:
    v2 = to_v2(policy)
    return _call(
        invalid_policy("the policy is refused by the engine"),
        lambda: _engine().Policy.from_bytes(v2),
    )


def _secret(data: bytes) -> Any:
    layout.check_master_secret_key(data)
    return _load("MasterSecretKey", data)


def _public(data: bytes) -> Any:
    layout.check_master_public_key(data)
    return _load("MasterPublicKey", data)


def _user_key(data: bytes) -> Any:
    layout.check_user_key(data)
    return _load("UserSecretKey", data)


def _load(name: str, data: bytes) -> Any:
    return _call(
        bad_parameters("not a CoverCrypt key of version 14"),
        lambda: getattr(_engine(), name).from_bytes(data),
    )


def _call(refusal: KmipError, function: Callable[[], Any]) -> Any:
    """Run the engine; whatever it raises, Rust panics included, becomes the refusal."""
    try:
        return function()
    except KmipError:
        raise
    except Exception:  # noqa: BLE001 - the engine raises TypeError, ValueError, Exception itself
        raise refusal from None
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise refusal from None
        raise


@functools.cache
def _engine() -> Any:
    """Import the package on first use."""
    try:
        import cloudproof_cover_crypt
    except ImportError:
        raise KmipError(ResultReason.FEATURE_NOT_SUPPORTED, _NOT_AVAILABLE) from None
    return cloudproof_cover_crypt
