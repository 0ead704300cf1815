"""KMIP as data: enumerations, attributes, objects, messages, states. No I/O, no cryptography."""
