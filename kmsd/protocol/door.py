"""The door of port 5696: who sends a message, and the answer to it.

The client certificate tells who calls, or a Credential in the message's header whose password is a
token that was made for that user. A password that is no token of ours proves nothing and is passed
over: appliances send one because a form asked for it. Query and Discover Versions tell nothing
that is not in the documentation, and are answered before it is known who asks.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from kmsd.identity import AuthenticationFailed, Identity
from kmsd.kmip.enums import CredentialType, Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations.call import Caller
from kmsd.operations.conversation import conversed
from kmsd.operations.engine import Engine
from kmsd.protocol import KmipProtocol
from kmsd.store.interfaces import IStore, StoreError, StoreUnavailable
from kmsd.store.tokens import PREFIX
from kmsd.ttlv import Item, binary_format

DOOR = "kmip"
_FOR_EVERYBODY = frozenset({Operation.QUERY, Operation.DISCOVER_VERSIONS})


class Shown(NamedTuple):
    """What a connection and a message show of the other side (an identity.Evidence)."""

    address: str
    authorization: str | None
    peer_certificate: Any


class Door:
    """Answers the messages of all connections."""

    def __init__(
        self,
        engine: Engine,
        stores: Callable[[str | None], Awaitable[IStore]],
        identity: Identity,
    ) -> None:
        """Have messages carried out by `engine` on the store that needs no secret."""
        self._engine, self._stores, self._identity = engine, stores, identity

    async def answer(self, protocol: KmipProtocol, body: bytes) -> bytes:
        """Return the answer to a message that came on a connection."""

        async def identify(message: Item) -> tuple[Caller, IStore]:
            return await self._caller(protocol.transport, message), await self._store()

        return await conversed(self._engine, binary_format, body, identify)

    async def _store(self) -> IStore:
        try:
            return await self._stores(None)
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise KmipError(ResultReason.GENERAL_FAILURE, str(error)) from None

    async def _caller(self, transport: Any, message: Item) -> Caller:
        username, password = _credential(message)
        get = getattr(transport, "getPeerCertificate", None)
        shown = Shown(
            address=getattr(transport.getPeer(), "host", ""),
            authorization=f"Bearer {password}" if password.startswith(PREFIX) else None,
            peer_certificate=None if get is None else get(),
        )
        try:
            caller = await self._identity.caller(shown, DOOR)
        except AuthenticationFailed:
            if _is_for_everybody(message):
                return Caller("", "none", DOOR, shown.address)
            raise _unknown() from None
        if shown.authorization is not None and username not in {"", caller.name}:
            raise _unknown()
        return caller


def _unknown() -> KmipError:
    return KmipError(
        ResultReason.AUTHENTICATION_NOT_SUCCESSFUL,
        "it is not known who calls: show a client certificate, or a token as the password",
    )


def _credential(message: Item) -> tuple[str, str]:
    """Return the user name and password of the first such Credential, or two empty texts."""
    header = message.child("RequestHeader")
    authentication = header.child("Authentication") if header else None
    for credential in authentication.children if authentication else ():
        kind, value = credential.child("CredentialType"), credential.child("CredentialValue")
        if kind is None or value is None or not _is_password(kind.value):
            continue
        return _text(value, "Username"), _text(value, "Password")
    return "", ""


def _is_password(value: object) -> bool:
    return isinstance(value, int) and value == CredentialType.USERNAME_AND_PASSWORD


def _text(item: Item, tag: str) -> str:
    child = item.child(tag)
    return child.value if child is not None and isinstance(child.value, str) else ""


def _is_for_everybody(message: Item) -> bool:
    items = [child for child in message.children if child.tag == "BatchItem"]
    asked = [item.child("Operation") for item in items]
    return bool(asked) and all(
        each is not None and isinstance(each.value, int) and each.value in _FOR_EVERYBODY
        for each in asked
    )
