"""Name constraints of certificate authorities. Source: RFC 5280 §4.2.1.10."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import NameOID


def violated(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Tell whether a name of `certificate` is outside the constraints of `issuer`."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return False
    names = list(_names(certificate))
    permitted = constraints.permitted_subtrees or []
    excluded = constraints.excluded_subtrees or []
    if any(_within(name, tree) for name in names for tree in excluded):
        return True
    for name in names:
        relevant = [tree for tree in permitted if type(tree) is type(name)]
        if relevant and not any(_within(name, tree) for tree in relevant):
            return True
    return False


def _names(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    if certificate.subject.rdns:
        yield x509.DirectoryName(certificate.subject)
    for row in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        yield x509.RFC822Name(str(row.value))
    try:
        kind = x509.SubjectAlternativeName
        yield from certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return


def _within(name: x509.GeneralName, tree: x509.GeneralName) -> bool:
    """Tell whether a name lies in the subtree; kinds that are not known lie in none."""
    if isinstance(name, x509.DNSName) and isinstance(tree, x509.DNSName):
        return _below(name.value, tree.value)
    if isinstance(name, x509.RFC822Name) and isinstance(tree, x509.RFC822Name):
        return _mail_within(name.value, tree.value)
    if isinstance(name, x509.IPAddress) and isinstance(tree, x509.IPAddress):
        return name.value in tree.value  # type: ignore[operator]
    if isinstance(name, x509.DirectoryName) and isinstance(tree, x509.DirectoryName):
        top = tree.value.rdns
        return name.value.rdns[: len(top)] == top
    return False


def _below(name: str, tree: str) -> bool:
    """Compare host names: `a.example.com` lies in `example.com` and in `.example.com`."""
    name, tree = name.lower().rstrip("."), tree.lower().lstrip(".")
    return not tree or name == tree or name.endswith("." + tree)


def _mail_within(name: str, tree: str) -> bool:
    """Compare mailboxes: a constraint is an address, a host, or a domain after a dot."""
    host = name.rpartition("@")[2].lower()
    if "@" in tree:
        return name.lower() == tree.lower()
    return host.endswith(tree.lower()) if tree.startswith(".") else host == tree.lower()
