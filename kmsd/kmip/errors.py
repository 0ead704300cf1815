"""The one error of KMIP: a ResultReason and a message."""

from kmsd.kmip.enums import ResultReason


class KmipError(Exception):
    """An operation that failed. Both parts go to the caller: the message holds no secret.

    Source: KMIP 2.1 §11.46.
    """

    def __init__(self, reason: ResultReason, message: str) -> None:
        """Fail for `reason`; `message` says what is wrong and, where there is one, the way out."""
        super().__init__(message)
        self.reason = reason
        self.message = message
