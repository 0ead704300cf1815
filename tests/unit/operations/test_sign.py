"""Sign and Signature Verify: every kind of key, digests, parts, and who may not."""

import hashlib

import pytest
import pytest_twisted
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kmsd.kmip.attributes import Attributes, with_tags
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    HashingAlgorithm,
    PaddingMethod,
    RecommendedCurve,
    ResultReason,
    ValidityIndicator,
)
from kmsd.kmip.enums import CryptographicUsageMask as Mask
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations.get import Get
from kmsd.operations.sign import Sign
from kmsd.operations.signature_verify import SignatureVerify
from tests.server import NOW, Kms
from tests.using_keys import pair, revoke

ensure = pytest_twisted.ensureDeferred
MESSAGE = b"The quick brown fox"
PSS = CryptographicParameters(
    padding_method=PaddingMethod.PSS, hashing_algorithm=HashingAlgorithm.SHA384
)

KEYS = [
    (CryptographicAlgorithm.RSA, 2048, None, None),
    (CryptographicAlgorithm.RSA, 2048, None, PSS),
    (CryptographicAlgorithm.ECDSA, None, RecommendedCurve.P256, None),
    (CryptographicAlgorithm.ECDSA, None, RecommendedCurve.P521, None),
    (CryptographicAlgorithm.ECDSA, None, RecommendedCurve.SECP256K1, None),
    (CryptographicAlgorithm.ED25519, None, None, None),
    (CryptographicAlgorithm.ED448, None, None, None),
    (CryptographicAlgorithm.ML_DSA_44, None, None, None),
    (CryptographicAlgorithm.SLH_DSA_SHA2_128F, None, None, None),
]
NAMES = [
    f"{algorithm.name}-{curve.name if curve else 'PSS' if parameters else ''}"
    for algorithm, _, curve, parameters in KEYS
]


async def verdict(kms: Kms, uid: str, **fields: object) -> ValidityIndicator:
    """Return what Signature Verify says."""
    answer = await kms(SignatureVerify(unique_identifier=uid, **fields))  # type: ignore[arg-type]
    assert isinstance(answer.validity_indicator, ValidityIndicator)
    return answer.validity_indicator


@pytest.mark.parametrize(("algorithm", "bits", "curve", "parameters"), KEYS, ids=NAMES)
@ensure  # type: ignore[untyped-decorator]
async def test_what_one_half_signs_the_other_verifies_whole_or_in_parts(
    kms: Kms,
    algorithm: CryptographicAlgorithm,
    bits: int | None,
    curve: RecommendedCurve | None,
    parameters: CryptographicParameters | None,
) -> None:
    """A signature over three parts is one over the whole; a changed message has none."""
    private, public = await pair(kms, algorithm, bits, curve)
    whole = await kms(
        Sign(unique_identifier=private, data=MESSAGE, cryptographic_parameters=parameters)
    )
    answer = await kms(
        Sign(
            unique_identifier=private,
            data=MESSAGE[:5],
            init_indicator=True,
            cryptographic_parameters=parameters,
        )
    )
    assert answer.signature_data is None
    for part, final in ((MESSAGE[5:9], None), (MESSAGE[9:], True)):
        answer = await kms(
            Sign(
                unique_identifier=private,
                data=part,
                correlation_value=answer.correlation_value,
                final_indicator=final,
                cryptographic_parameters=parameters,
            )
        )
    for signature in (whole.signature_data, answer.signature_data):
        fields = {"signature_data": signature, "cryptographic_parameters": parameters}
        assert await verdict(kms, public, data=MESSAGE, **fields) is ValidityIndicator.VALID
        assert await verdict(kms, private, data=MESSAGE, **fields) is ValidityIndicator.VALID
        assert await verdict(kms, public, data=b"other", **fields) is ValidityIndicator.INVALID


@ensure  # type: ignore[untyped-decorator]
async def test_another_implementation_accepts_a_pss_signature(kms: Kms) -> None:
    """The signature is RFC 8017's with the hash function asked for and a salt as long as it."""
    private, public = await pair(kms, CryptographicAlgorithm.RSA, 2048)
    signed = await kms(Sign(unique_identifier=private, data=MESSAGE, cryptographic_parameters=PSS))
    answer = await kms(Get(unique_identifier=public))
    key = load_der_public_key(answer.managed_object.key_block.key_value.key_material)
    scheme = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    key.verify(signed.signature_data, MESSAGE, scheme, hashes.SHA384())  # type: ignore[union-attr, call-arg, arg-type]


@ensure  # type: ignore[untyped-decorator]
async def test_a_digest_is_signed_like_what_it_was_made_of(kms: Kms) -> None:
    """Digested Data and Data are two ways to say the same, for signing and for verifying."""
    private, public = await pair(kms, CryptographicAlgorithm.ECDSA, curve=RecommendedCurve.P384)
    digest = hashlib.sha256(MESSAGE).digest()
    of_digest = await kms(Sign(unique_identifier=private, digested_data=digest))
    of_data = await kms(Sign(unique_identifier=private, data=MESSAGE))
    for signature in (of_digest.signature_data, of_data.signature_data):
        fields = {"signature_data": signature}
        assert await verdict(kms, public, data=MESSAGE, **fields) is ValidityIndicator.VALID
        assert await verdict(kms, public, digested_data=digest, **fields) is ValidityIndicator.VALID


@ensure  # type: ignore[untyped-decorator]
async def test_a_verification_in_parts_tells_nothing_before_the_last(kms: Kms) -> None:
    """The verdict comes with the final part, and is that over all of them."""
    private, public = await pair(kms, CryptographicAlgorithm.ED25519)
    signed = await kms(Sign(unique_identifier=private, data=MESSAGE))
    for last, expected in (
        (MESSAGE[3:], ValidityIndicator.VALID),
        (b"no", ValidityIndicator.INVALID),
    ):
        first = await kms(
            SignatureVerify(unique_identifier=public, data=MESSAGE[:3], init_indicator=True)
        )
        assert first.validity_indicator is None
        assert expected is await verdict(
            kms,
            public,
            data=last,
            correlation_value=first.correlation_value,
            signature_data=signed.signature_data,
            final_indicator=True,
        )


@ensure  # type: ignore[untyped-decorator]
async def test_a_revoked_key_verifies_but_does_not_sign(kms: Kms) -> None:
    """What was signed before stays verifiable (SP 800-57 Part 1 §7)."""
    private, public = await pair(kms, CryptographicAlgorithm.ED25519)
    signed = await kms(Sign(unique_identifier=private, data=MESSAGE))
    await revoke(kms, private)
    refused = await kms.refused(Sign(unique_identifier=private, data=MESSAGE))
    assert refused.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE
    fields = {"data": MESSAGE, "signature_data": signed.signature_data}
    assert await verdict(kms, public, **fields) is ValidityIndicator.VALID


@ensure  # type: ignore[untyped-decorator]
async def test_the_halves_of_a_tagged_pair_are_told_apart_by_their_usage(kms: Kms) -> None:
    """One list of tags signs with the private and verifies with the public key."""
    tags = with_tags(Attributes(), frozenset({"t"})).attribute
    private, public = await pair(
        kms,
        CryptographicAlgorithm.ED25519,
        attribute=tags,
        cryptographic_usage_mask=None,
        private={"cryptographic_usage_mask": Mask.SIGN},
        public={"cryptographic_usage_mask": Mask.VERIFY},
    )
    signed = await kms(Sign(unique_identifier='["t"]', data=MESSAGE))
    assert signed.unique_identifier == private
    checked = await kms(
        SignatureVerify(
            unique_identifier='["t"]', data=MESSAGE, signature_data=signed.signature_data
        )
    )
    assert checked.unique_identifier == public
    assert checked.validity_indicator is ValidityIndicator.VALID


@ensure  # type: ignore[untyped-decorator]
async def test_a_public_key_does_not_sign_and_an_absent_one_is_not_found(kms: Kms) -> None:
    """Sign says Item Not Found and Signature Verify Object Not Found, as the product does."""
    _, public = await pair(kms, CryptographicAlgorithm.ED25519)
    refused = await kms.refused(Sign(unique_identifier=public, data=b""))
    assert refused.message.startswith("Sign: no valid key for id")
    missing = await kms.refused(Sign(unique_identifier="nobody", data=b""))
    assert missing.reason is ResultReason.ITEM_NOT_FOUND
    unknown = await kms.refused(SignatureVerify(unique_identifier="nobody", signature_data=b""))
    assert unknown.reason is ResultReason.OBJECT_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_the_state_of_a_key_is_told_before_its_kind(kms: Kms) -> None:
    """A Pre-Active AES key cannot verify for two reasons: clients look for the first one."""
    await kms.key(activation_date=NOW + 5, cryptographic_usage_mask=Mask.ENCRYPT)
    request = SignatureVerify(unique_identifier="k", data=b"", signature=b"x")
    assert "is in state 'PreActive'" in (await kms.refused(request)).message
    kms.clock.now = NOW + 5
    assert "no valid key for id" in (await kms.refused(request)).message


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Sign(unique_identifier="p"), ResultReason.MISSING_DATA),
        (Sign(unique_identifier="p", data=b"", digested_data=b""), ResultReason.INVALID_MESSAGE),
        (
            Sign(unique_identifier="p", digested_data=b"", init_indicator=True),
            ResultReason.INVALID_MESSAGE,
        ),
        (
            Sign(unique_identifier="p", data=b"", init_indicator=True, final_indicator=True),
            ResultReason.INVALID_MESSAGE,
        ),
        (SignatureVerify(unique_identifier="p", data=b""), ResultReason.MISSING_DATA),
    ],
    ids=["no data", "data and digest", "digest in parts", "first and last", "no signature"],
)
@ensure  # type: ignore[untyped-decorator]
async def test_a_request_that_lacks_or_contradicts_itself_is_refused(
    kms: Kms, request_: Sign | SignatureVerify, reason: ResultReason
) -> None:
    """What is missing or too much is told."""
    await pair(kms, CryptographicAlgorithm.ED25519)
    assert (await kms.refused(request_)).reason is reason
