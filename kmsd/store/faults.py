"""What can go wrong in a database, as the store must tell it apart."""

import enum

from kmsd.store.interfaces import (
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreRefused,
    StoreUnavailable,
)


class Fault(enum.Enum):
    """A kind of database error; the dialects map their drivers' errors to these."""

    GONE = "the connection is lost or cannot be made"
    SHUT = (
        "the database file cannot be opened: check that it exists and the permissions of its folder"
    )
    BUSY = "another transaction was in the way"
    TAKEN = "a unique key exists already"
    EXISTS = "a table, column or index exists already"
    FULL = "the disk of the database is full: make room, writes then work again by themselves"
    READ_ONLY = "the database refuses writes: check the permissions of its files and folder"
    DAMAGED = "the database is damaged: restore a backup, or repair it with its own tools"
    REFUSED = "the database refuses the user, the password or the database name"
    UNTRUSTED = (
        "the certificate of the database is not trusted: name the file of its authority in the URL"
        " (sslrootcert for PostgreSQL, ssl-ca for MySQL), or put it in the PKCS#12 file"
    )
    OTHER = "the database reports an error"


PASSING = frozenset({Fault.GONE, Fault.SHUT, Fault.BUSY})
"""Faults that another try may cure."""

GENERAL = PASSING | {Fault.FULL, Fault.READ_ONLY, Fault.DAMAGED, Fault.REFUSED, Fault.UNTRUSTED}
"""Faults of the database rather than of one piece of work."""

_ERRORS: dict[Fault, type[StoreError]] = {
    Fault.GONE: StoreUnavailable,
    Fault.SHUT: StoreUnavailable,
    Fault.BUSY: StoreUnavailable,
    Fault.FULL: StoreFull,
    Fault.READ_ONLY: StoreReadOnly,
    Fault.DAMAGED: StoreDamaged,
    Fault.REFUSED: StoreRefused,
    Fault.UNTRUSTED: StoreRefused,
}


def store_error(fault: Fault, detail: str = "") -> StoreError:
    """Return the error that a caller of the store gets for a fault.

    `detail` must not hold what the driver said in full: drivers quote URLs and values.
    """
    message = f"{fault.value} ({detail})" if detail else fault.value
    return _ERRORS.get(fault, StoreError)(message)


def description(error: Exception) -> str:
    """Name a driver's error by its class and code; its text may quote values and URLs."""
    first = error.args[0] if error.args else None
    code = (
        getattr(error, "sqlite_errorname", None)
        or getattr(error, "pgcode", None)
        or (first if isinstance(first, int) else None)
    )
    return f"{type(error).__name__} {code}" if code else type(error).__name__
