"""Certificates by ACME (RFC 8555), with txacme's service, store and responder interfaces.

To be imported only where ACME is switched on: txacme and what it needs are old and optional.
"""
