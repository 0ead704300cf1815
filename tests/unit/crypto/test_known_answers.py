"""Known answers of the standards, through the table of ciphers and the functions beside it."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from kmsd.crypto import kdf, keywrap, mac
from kmsd.crypto.algorithms import cipher
from kmsd.crypto.digest import digest
from kmsd.kmip.enums import BlockCipherMode as Mode
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import DerivationMethod
from kmsd.kmip.enums import HashingAlgorithm as Hash
from kmsd.kmip.enums import PaddingMethod as Padding
from kmsd.kmip.structures import CryptographicParameters as Parameters

NO_PADDING = Padding.NONE
KEY_128 = "2b7e151628aed2a6abf7158809cf4f3c"
KEY_192 = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"
KEY_256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
BLOCKS = (
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
IV = "000102030405060708090a0b0c0d0e0f"
COUNTER = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
GCM_KEY = "feffe9928665731c6d6a8f9467308308"
GCM_TEXT = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
GCM_AAD = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
SUNSCREEN = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future,"
    b" sunscreen would be it."
)


class Answer(NamedTuple):
    """A known answer of a cipher; all values in hex."""

    source: str
    algorithm: Algorithm
    mode: Mode | None
    key: str
    plaintext: str
    ciphertext: str
    nonce: str = ""
    aad: str = ""
    tag: str = ""
    padding: Padding | None = None
    counter: int | None = None


# fmt: off
ANSWERS = [
    Answer(
        "SP 800-38A F.1.1",
        Algorithm.AES,
        Mode.ECB,
        KEY_128,
        BLOCKS,
        "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
        "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4",
    ),
    Answer(
        "SP 800-38A F.1.3",
        Algorithm.AES,
        Mode.ECB,
        KEY_192,
        BLOCKS[:32],
        "bd334f1d6e45f25ff712a214571fa5cc",
    ),
    Answer(
        "SP 800-38A F.1.5",
        Algorithm.AES,
        Mode.ECB,
        KEY_256,
        BLOCKS[:32],
        "f3eed1bdb5d2a03c064b5a7e3db181f8",
    ),
    Answer(
        "SP 800-38A F.2.1",
        Algorithm.AES,
        Mode.CBC,
        KEY_128,
        BLOCKS,
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
        "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
        IV,
        padding=NO_PADDING,
    ),
    Answer(
        "SP 800-38A F.2.3",
        Algorithm.AES,
        Mode.CBC,
        KEY_192,
        BLOCKS[:32],
        "4f021db243bc633d7178183a9fa071e8",
        IV,
        padding=NO_PADDING,
    ),
    Answer(
        "SP 800-38A F.2.5",
        Algorithm.AES,
        Mode.CBC,
        KEY_256,
        BLOCKS[:32],
        "f58c4c04d6e5f1ba779eabfb5f7bfbd6",
        IV,
        padding=NO_PADDING,
    ),
    Answer(
        "SP 800-38A F.5.1",
        Algorithm.AES,
        Mode.CTR,
        KEY_128,
        BLOCKS,
        "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
        "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
        COUNTER,
    ),
    Answer(
        "SP 800-38A F.5.1, the counter apart",
        Algorithm.AES,
        Mode.CTR,
        KEY_128,
        BLOCKS,
        "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
        "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
        COUNTER[:24],
        counter=0xFCFDFEFF,
    ),
    Answer(
        "SP 800-38A F.5.3",
        Algorithm.AES,
        Mode.CTR,
        KEY_192,
        BLOCKS[:32],
        "1abc932417521ca24f2b0459fe7e6e0b",
        COUNTER,
    ),
    Answer(
        "SP 800-38A F.5.5",
        Algorithm.AES,
        Mode.CTR,
        KEY_256,
        BLOCKS[:32],
        "601ec313775789a5b7a7f504bbf3d228",
        COUNTER,
    ),
    Answer(
        "SP 800-38C example 1",
        Algorithm.AES,
        Mode.CCM,
        "404142434445464748494a4b4c4d4e4f",
        "20212223",
        "7162015b",
        "10111213141516",
        "0001020304050607",
        "4dac255d",
    ),
    Answer(
        "SP 800-38D test case 1",
        Algorithm.AES,
        Mode.GCM,
        "00" * 16,
        "",
        "",
        "00" * 12,
        "",
        "58e2fccefa7e3061367f1d57a4e7455a",
    ),
    Answer(
        "SP 800-38D test case 4",
        Algorithm.AES,
        Mode.GCM,
        GCM_KEY,
        GCM_TEXT,
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
        "cafebabefacedbaddecaf888",
        GCM_AAD,
        "5bc94fbc3221a5db94fae95ae7121a47",
    ),
    Answer(
        "SP 800-38D test case 5: a nonce of 8 bytes",
        Algorithm.AES,
        Mode.GCM,
        GCM_KEY,
        GCM_TEXT,
        "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423"
        "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598",
        "cafebabefacedbad",
        GCM_AAD,
        "3612d2e79e3b0785561be14aaca2fccb",
    ),
    Answer(
        "RFC 8452 C.1, empty",
        Algorithm.AES,
        Mode.GCM_SIV,
        "01" + "00" * 15,
        "",
        "",
        "03" + "00" * 11,
        "",
        "dc20e2d83f25705bb49e439eca56de25",
    ),
    Answer(
        "RFC 8452 C.1",
        Algorithm.AES,
        Mode.GCM_SIV,
        "01" + "00" * 15,
        "0100000000000000",
        "b5d839330ac7b786",
        "03" + "00" * 11,
        "",
        "578782fff6013b815b287c22493a364c",
    ),
    Answer(
        "IEEE 1619 vector 2",
        Algorithm.AES,
        Mode.XTS,
        "11" * 16 + "22" * 16,
        "44" * 32,
        "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
        "3333333333" + "00" * 11,
    ),
    Answer(
        "IEEE 1619 vector 2, the unit's number alone",
        Algorithm.AES,
        Mode.XTS,
        "11" * 16 + "22" * 16,
        "44" * 32,
        "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
        "3333333333",
    ),
    Answer(
        "RFC 3394 4.1",
        Algorithm.AES,
        Mode.NIST_KEY_WRAP,
        IV,
        "00112233445566778899aabbccddeeff",
        "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
    ),
    Answer(
        "RFC 5649 6, 20 octets",
        Algorithm.AES,
        Mode.AES_KEY_WRAP_PADDING,
        "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
        "c37b7e6492584340bed12207808941155068f738",
        "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
    ),
    Answer(
        "RFC 8439 2.4.2",
        Algorithm.CHACHA20,
        None,
        bytes(range(32)).hex(),
        SUNSCREEN.hex(),
        "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593d"
        "abcd62b3571639d624e65152ab8f530c359f0861d807ca0dbf500d6a6156a38e088a22b65e52bc514d16cc"
        "f806818ce91ab77937365af90bbf74a35be6b40b8eedf2785e42874d",
        "000000000000004a00000000",
        counter=1,
    ),
    Answer(
        "OASIS CS-BC-M-CHACHA20-3-21: a nonce of 8 bytes",
        Algorithm.CHACHA20,
        None,
        "00" * 32,
        "00" * 60,
        "de9cba7bf3d69ef5e786dc63973f653a0b49e015adbff7134fcb7df137821031"
        "e85a050278a7084527214f73efc7fa5b5277062eb7a0433e445f41e3",
        "0000000000000001",
    ),
    Answer(
        "RFC 8439 2.8.2",
        Algorithm.CHACHA20_POLY1305,
        None,
        bytes(range(0x80, 0xA0)).hex(),
        SUNSCREEN.hex(),
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb"
        "69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad6"
        "75945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116",
        "070000004041424344454647",
        "50515253c0c1c2c3c4c5c6c7",
        "1ae10b594f09e26a7e902ecbd0600691",
    ),
    Answer(
        "SP 800-67 B.1",
        Algorithm.THREE_DES,
        Mode.ECB,
        "0123456789abcdef23456789abcdef01456789abcdef0123",
        b"The qufck brown fox jump".hex(),
        "a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900",
    ),
]
# fmt: on


@pytest.mark.parametrize("known", ANSWERS, ids=lambda known: known.source)
def test_a_cipher_gives_the_standards_answer_both_ways(known: Answer) -> None:
    parameters = Parameters(block_cipher_mode=known.mode, padding_method=known.padding)
    ready = cipher(known.algorithm, parameters).prepare(bytes.fromhex(known.key))
    plain, nonce, aad, tag = map(
        bytes.fromhex, (known.plaintext, known.nonce, known.aad, known.tag)
    )
    sealed = ready.encrypt(plain, nonce or None, aad, len(tag) or None, counter=known.counter)
    assert sealed.ciphertext.hex() == known.ciphertext
    assert sealed.tag == tag
    assert plain == ready.decrypt(
        sealed.ciphertext, sealed.nonce, aad, tag, len(tag) or None, counter=known.counter
    )


def test_two_key_3des_repeats_its_first_key() -> None:
    short = bytes.fromhex("0123456789abcdef23456789abcdef01")
    parameters = Parameters(block_cipher_mode=Mode.ECB)
    row = cipher(Algorithm.THREE_DES, parameters)
    whole = row.prepare(short + short[:8]).encrypt(b"12345678")
    assert row.prepare(short).encrypt(b"12345678") == whole


@pytest.mark.parametrize(
    ("kek", "wrapped"),
    [
        (24, "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"),
        (32, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
    ],
)
def test_rfc_3394_wraps_under_longer_keys(kek: int, wrapped: str) -> None:
    key = bytes.fromhex("00112233445566778899aabbccddeeff")
    assert keywrap.rfc3394_wrap(bytes(range(kek)), key).hex() == wrapped
    assert keywrap.rfc3394_unwrap(bytes(range(kek)), bytes.fromhex(wrapped)) == key


def test_rfc_5649_wraps_seven_bytes() -> None:
    kek = bytes.fromhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
    wrapped = keywrap.rfc5649_wrap(kek, bytes.fromhex("466f7250617369"))
    assert wrapped.hex() == "afbeb0f07dfbf5419200f2ccb50bb24f"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ],
)
def test_aes_cmac_is_that_of_rfc_4493(size: int, expected: str) -> None:
    row = mac.select(Algorithm.AES, Parameters(block_cipher_mode=Mode.CMAC))
    assert row.compute(bytes.fromhex(KEY_128), bytes.fromhex(BLOCKS)[:size]).hex() == expected


@pytest.mark.parametrize(
    ("hashing", "expected"),
    [
        (Hash.SHA1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (Hash.SHA224, "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
        (Hash.SHA256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            Hash.SHA384,
            (
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                "8e2240ca5e69e2c78b3239ecfab21649"
            ),
        ),
        (
            Hash.SHA512,
            (
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
            ),
        ),
    ],
)
def test_hmac_is_that_of_rfc_4231_and_2202(hashing: Hash, expected: str) -> None:
    computed = mac.hmac_fips198(hashing).compute(b"Jefe", b"what do ya want for nothing?")
    assert computed.hex() == expected


@pytest.mark.parametrize(
    ("hashing", "expected"),
    [
        (Hash.SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (Hash.SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (Hash.SHA3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
    ],
)
def test_digests_of_abc_are_those_of_fips_180_and_202(hashing: Hash, expected: str) -> None:
    assert digest(hashing, b"abc").hex() == expected


def test_hkdf_is_that_of_rfc_5869_a_1() -> None:
    request = kdf.Derivation(
        key=b"\x0b" * 22, salt=bytes(range(13)), data=bytes(range(0xF0, 0xFA)), length=42
    )
    assert kdf.derive(DerivationMethod.HKDF, request).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


@pytest.mark.parametrize(
    ("iterations", "expected"),
    [
        (1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
        (4096, "4b007901b765489abead49d926f721d065a429c1"),
    ],
)
def test_pbkdf2_is_that_of_rfc_6070(iterations: int, expected: str) -> None:
    request = kdf.Derivation(
        key=b"password",
        salt=b"salt",
        iterations=iterations,
        length=20,
        parameters=Parameters(hashing_algorithm=Hash.SHA1),
    )
    assert kdf.derive(DerivationMethod.PBKDF2, request).hex() == expected
