"""Post-quantum: ML-KEM (FIPS 203), ML-DSA (FIPS 204), SLH-DSA (FIPS 205).

`cryptography` has ML-KEM-768/1024 and ML-DSA, by their seeds. `pqcrypto` has the rest: ML-KEM-512,
the twelve SLH-DSA sets, and private keys of ML-DSA and ML-KEM in the expanded form. The classes
`SecretKey` and `RawPublicKey` give its plain functions the shape of the library's key objects.
"""

import functools
import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem

from kmsd.crypto import mlkem_seed
from kmsd.crypto.errors import bad_parameters, decryption_failed, failed, invalid_key, unsupported
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError


@dataclass(frozen=True)
class ParameterSet:
    """A row of the table of post-quantum algorithms; sizes in bytes."""

    algorithm: Algorithm
    oid: str
    module: str
    """In `pqcrypto`."""
    seed_size: int = 0
    """Of the short private form; 0: there is none."""
    private: Any = None
    """The class of `cryptography` for keys with a seed."""
    public: Any = None

    @property
    def kem(self) -> bool:
        """Whether it makes shared secrets; otherwise it signs."""
        return self.module.startswith("kem.")


def _slh(algorithm: Algorithm, arc: int) -> ParameterSet:
    name = algorithm.name.lower()
    return ParameterSet(algorithm, f"2.16.840.1.101.3.4.3.{arc}", f"sign.{name}")


PARAMETER_SETS = (
    ParameterSet(Algorithm.ML_KEM_512, "2.16.840.1.101.3.4.4.1", "kem.ml_kem_512", 64),
    ParameterSet(
        Algorithm.ML_KEM_768,
        "2.16.840.1.101.3.4.4.2",
        "kem.ml_kem_768",
        64,
        mlkem.MLKEM768PrivateKey,
        mlkem.MLKEM768PublicKey,
    ),
    ParameterSet(
        Algorithm.ML_KEM_1024,
        "2.16.840.1.101.3.4.4.3",
        "kem.ml_kem_1024",
        64,
        mlkem.MLKEM1024PrivateKey,
        mlkem.MLKEM1024PublicKey,
    ),
    ParameterSet(
        Algorithm.ML_DSA_44,
        "2.16.840.1.101.3.4.3.17",
        "sign.ml_dsa_44",
        32,
        mldsa.MLDSA44PrivateKey,
        mldsa.MLDSA44PublicKey,
    ),
    ParameterSet(
        Algorithm.ML_DSA_65,
        "2.16.840.1.101.3.4.3.18",
        "sign.ml_dsa_65",
        32,
        mldsa.MLDSA65PrivateKey,
        mldsa.MLDSA65PublicKey,
    ),
    ParameterSet(
        Algorithm.ML_DSA_87,
        "2.16.840.1.101.3.4.3.19",
        "sign.ml_dsa_87",
        32,
        mldsa.MLDSA87PrivateKey,
        mldsa.MLDSA87PublicKey,
    ),
    *(
        _slh(Algorithm[f"SLH_DSA_{function}_{size}"], arc)
        for arc, (function, size) in enumerate(
            (
                (function, size)
                for function in ("SHA2", "SHAKE")
                for size in ("128S", "128F", "192S", "192F", "256S", "256F")
            ),
            start=20,
        )
    ),
)
BY_ALGORITHM = {row.algorithm: row for row in PARAMETER_SETS}
BY_OID = {row.oid: row for row in PARAMETER_SETS}


@dataclass(frozen=True)
class RawPublicKey:
    """A public key that only `pqcrypto` understands."""

    row: ParameterSet
    data: bytes

    def public_bytes_raw(self) -> bytes:
        """Return the encoded public key of FIPS 203 or 205."""
        return self.data

    def verify(self, signature: bytes, data: bytes) -> None:
        """Check a signature; InvalidSignature unless it is right."""
        library = _library(self.row)
        try:
            library.verify(self.data, data, signature)
        except KmipError:
            raise InvalidSignature from None

    def encapsulate(self) -> tuple[bytes, bytes]:
        """Return a fresh shared secret and its ciphertext."""
        ciphertext, shared_secret = _library(self.row).encaps(self.data)
        return bytes(shared_secret), bytes(ciphertext)


@dataclass(frozen=True)
class SecretKey:
    """A private key in the expanded form, of any parameter set."""

    row: ParameterSet
    data: bytes = field(repr=False)
    public: bytes
    """Empty where an expanded ML-DSA key came without it."""

    def private_bytes_raw(self) -> bytes:
        """Return the encoded private key of FIPS 203, 204 or 205."""
        return self.data

    def public_key(self) -> RawPublicKey:
        """Return the other half; UNSUPPORTED_… where it is not known."""
        if not self.public:
            raise unsupported("the public half of an expanded ML-DSA key")
        return RawPublicKey(self.row, self.public)

    def sign(self, data: bytes) -> bytes:
        """Sign `data`; hedged, with an empty context."""
        return bytes(_library(self.row).sign(self.data, data))

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Return the shared secret; a wrong ciphertext gives another one (implicit rejection)."""
        return bytes(_library(self.row).decaps(self.data, ciphertext))


LibraryPrivateKey: TypeAlias = (
    mlkem.MLKEM768PrivateKey
    | mlkem.MLKEM1024PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
LibraryPublicKey: TypeAlias = (
    mlkem.MLKEM768PublicKey
    | mlkem.MLKEM1024PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)
PqcPrivateKey: TypeAlias = LibraryPrivateKey | SecretKey
PqcPublicKey: TypeAlias = LibraryPublicKey | RawPublicKey
PRIVATE_TYPES = (SecretKey, *(row.private for row in PARAMETER_SETS if row.private))
PUBLIC_TYPES = (RawPublicKey, *(row.public for row in PARAMETER_SETS if row.public))


def row_of(key: object) -> ParameterSet | None:
    """Return the parameter set of a key object, or None if it is no post-quantum key."""
    if isinstance(key, SecretKey | RawPublicKey):
        return key.row
    for row in PARAMETER_SETS:
        if row.private and isinstance(key, row.private | row.public):
            return row
    return None


def is_kem(key: object) -> bool:
    """Tell whether `key` is one half of an ML-KEM pair."""
    row = row_of(key)
    return row is not None and row.kem


def generate(algorithm: Algorithm) -> PqcPrivateKey:
    """Make a private key; up to a second for the "s" sets of SLH-DSA."""
    row = BY_ALGORITHM[algorithm]
    if row.private is not None:
        made: LibraryPrivateKey = row.private.generate()
        return made
    public, secret = _library(row).keygen()
    return SecretKey(row, bytes(secret), bytes(public))


def load_private_raw(algorithm: Algorithm, data: bytes) -> PqcPrivateKey:
    """Load a private key from its seed or its expanded form.

    Raises:
        KmipError: INVALID_FIELD: wrong length, or halves that do not fit each other.
    """
    row = BY_ALGORITHM[algorithm]
    if row.seed_size and len(data) == row.seed_size:
        return _from_seed(row, data)
    library = _library(row)
    if len(data) != library.secret_key_size:
        raise invalid_key(f"an {algorithm.wire_name} private key has a wrong length")
    public = _public_of(row, data)
    if row.kem and hashlib.sha3_256(public).digest() != data[-64:-32]:  # FIPS 203 §7.3
        raise invalid_key(f"an {algorithm.wire_name} private key whose parts do not fit")
    return SecretKey(row, data, public)


def load_public_raw(algorithm: Algorithm, data: bytes) -> PqcPublicKey:
    """Load an encoded public key; INVALID_FIELD when it is none."""
    row = BY_ALGORITHM[algorithm]
    if row.public is None:
        return _checked(RawPublicKey(row, data))
    try:
        loaded: LibraryPublicKey = row.public.from_public_bytes(data)
    except ValueError:
        raise invalid_key(f"not an {algorithm.wire_name} public key") from None
    return loaded


def _checked(key: RawPublicKey) -> RawPublicKey:
    """Check the length, and let a KEM key work once: that proves its numbers (FIPS 203 §7.2)."""
    if len(key.data) != _library(key.row).public_key_size:
        raise invalid_key(f"an {key.row.algorithm.wire_name} public key has a wrong length")
    if key.row.kem:
        try:
            key.encapsulate()
        except KmipError:
            raise invalid_key(f"not an {key.row.algorithm.wire_name} public key") from None
    return key


def encapsulate(key: object) -> tuple[bytes, bytes]:
    """Return a fresh shared secret and its ciphertext. Source: FIPS 203 §7.2."""
    if not is_kem(key) or not hasattr(key, "encapsulate"):
        raise bad_parameters("encapsulation needs an ML-KEM public key")
    shared_secret, ciphertext = key.encapsulate()
    return bytes(shared_secret), bytes(ciphertext)


def decapsulate(key: object, ciphertext: bytes) -> bytes:
    """Return the shared secret in `ciphertext`. Source: FIPS 203 §7.3.

    Raises:
        KmipError: CRYPTOGRAPHIC_FAILURE: a wrong length. Other changes give another secret.
    """
    if not is_kem(key) or not hasattr(key, "decapsulate"):
        raise bad_parameters("decapsulation needs an ML-KEM private key")
    try:
        return bytes(key.decapsulate(ciphertext))
    except (ValueError, KmipError):
        raise decryption_failed() from None


def _from_seed(row: ParameterSet, seed: bytes) -> PqcPrivateKey:
    if row.private is None:
        public, secret = mlkem_seed.expand(seed)
        return SecretKey(row, secret, public)
    loaded: LibraryPrivateKey = row.private.from_seed_bytes(seed)
    return loaded


def _public_of(row: ParameterSet, secret: bytes) -> bytes:
    """Find the public half in an expanded private key."""
    size = _library(row).public_key_size
    if row.kem:  # dk = dk_pke, ek, H(ek), z
        return secret[-64 - size : -64]
    if row.seed_size:  # ML-DSA: to be computed, which nobody has needed yet
        return b""
    return secret[-size:]  # SK = SK.seed, SK.prf, PK.seed, PK.root


class _Library:
    """The functions of one algorithm of `pqcrypto`, with its Rust panics turned into errors."""

    def __init__(self, module: Any) -> None:
        self.public_key_size: int = module.PUBLIC_KEY_SIZE
        self.secret_key_size: int = module.SECRET_KEY_SIZE
        for name in ("keygen", "sign", "verify", "encaps", "decaps"):
            if hasattr(module, name):
                setattr(self, name, _fenced(getattr(module, name)))


def _fenced(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: bytes) -> Any:
        try:
            return function(*args)
        except Exception:  # noqa: BLE001 - whatever it was, it is a refusal
            raise failed("the post-quantum operation") from None
        except BaseException as error:
            if type(error).__name__ == "PanicException":
                raise failed("the post-quantum operation") from None
            raise

    return call


@functools.cache
def _library(row: ParameterSet) -> Any:
    """Import the module of an algorithm on first use."""
    try:
        package = importlib.import_module(f"pqcrypto.{row.module.partition('.')[0]}")
    except ImportError:
        raise KmipError(
            ResultReason.FEATURE_NOT_SUPPORTED,
            f"{row.algorithm.wire_name} is not available: install the package pqcrypto",
        ) from None
    return _Library(getattr(package, row.module.partition(".")[2]))
