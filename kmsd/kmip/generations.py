"""Whose rules of conduct a request is answered by, where the product and KMIP differ."""

import enum


class Generation(enum.IntEnum):
    """The product's 4.x clients, its 5.x clients, or KMIP by the book.

    V4: objects are born Active; only Active ones are returned, used and found; what cannot be used
    is not found. V5: as KMIP, with the product's leniencies. KMIP: by the specification.
    """

    V4 = 4
    V5 = 5
    KMIP = 6
