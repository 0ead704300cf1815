"""What a caller of limited rights may be allowed: operations, and what routes do besides them."""

from kmsd.kmip.enums import Operation

GRANT_ACCESS = "grantaccess"
REVOKE_ACCESS = "revokeaccess"
LIST_ACCESS = "listaccess"
NEW_DATABASE = "newdatabase"

BESIDES = frozenset({GRANT_ACCESS, REVOKE_ACCESS, LIST_ACCESS, NEW_DATABASE})
"""What is no operation of KMIP."""

KNOWN = frozenset(operation.wire_name.lower() for operation in Operation) | BESIDES
"""Every name there is."""

READ_ONLY = frozenset(
    {
        "check",
        "discoverversions",
        "export",
        "get",
        "getattributelist",
        "getattributes",
        "locate",
        "query",
        "validate",
        LIST_ACCESS,
    }
)
"""What changes nothing. Whoever may read a key's bytes can also use them, but not here."""
