"""The one error of the client: a reason and a text."""

import enum

from kmsd.kmip.enums import ResultReason


class Trouble(enum.Enum):
    """What can go wrong before a server has said anything that KMIP has a reason for."""

    CONNECTION = "cannot reach the server"
    TLS = "TLS"
    TIMEOUT = "no answer in time"
    AUTHENTICATION = "authentication"
    NOT_A_KMS = "not a key management server"
    PROTOCOL = "the answer cannot be understood"
    SETTINGS = "settings"


class ClientError(Exception):
    """A request that failed, here or at the server.

    Attributes:
        reason: the server's ResultReason, or the trouble on the way to it.
        message: what is wrong and, where there is one, the way out; it holds no secret.
    """

    def __init__(self, reason: ResultReason | Trouble, message: str) -> None:
        """Fail for `reason`."""
        super().__init__(message)
        self.reason = reason
        self.message = message
