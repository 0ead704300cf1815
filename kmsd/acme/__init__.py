"""Certificates by ACME (RFC 8555), with txacme's service, store and responder interfaces.

To be imported only where ACME is switched on: txacme and what it needs are old and optional.
"""

import warnings

with warnings.catch_warnings():
    # txacme 0.9.3 is from 2020 and uses names that Twisted has deprecated since.
    warnings.simplefilter("ignore", DeprecationWarning)
    import txacme.service  # noqa: F401
