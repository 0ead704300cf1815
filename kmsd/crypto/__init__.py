"""Cryptography: bytes and key objects in, bytes out; no input or output, no clock, no Twisted.

Every refusal is a `KmipError`; a failure that depends on secrets always reads the same
(`errors.decryption_failed`). `random` is always a function `(count: int) -> bytes`.

**algorithms** — the table of ciphers: algorithm x mode x padding -> function and sizes.
    cipher(algorithm, parameters=None, *, generation=5) -> Cipher
        `generation` 4 reads the request as the 4.x product did (ChaCha20 is the AEAD, NISTKeyWrap
        pads); the mode wins over the key's algorithm. Raises UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS.
    Cipher: .name .algorithm .mode .padding .key_sizes .nonce_size .nonce_sizes .tag_size .aead
        .legacy .may_protect .may_process .prepare(key: bytes) -> ReadyCipher
    ReadyCipher (cheap to hold; one per key and Cipher; its repr shows no secret):
        .encrypt(data, nonce=None, aad=b"", tag_length=None, *, counter=None, random=os.urandom)
            -> Encrypted(ciphertext, nonce, tag): nonce and tag are b"" where the mode has none
        .decrypt(data, nonce=None, aad=b"", tag=b"", tag_length=None, *, counter=None) -> bytes
        .encryptor(nonce, aad, tag_length, *, counter, random) -> Stream: .nonce,
            .update(data) -> bytes, .finalize(data=b"") -> Encrypted(rest, nonce, tag)
        .decryptor(nonce, aad, tag_length, *, counter) -> Stream: .update(data) -> bytes,
            .finalize(data=b"", tag=b"") -> bytes; AEAD releases nothing before the tag is checked
    encrypt_bulk(ready, data, aad, random) / decrypt_bulk(ready, data, aad) -> bytes: BulkData
**bulk** — is_bulk(data), parse(data) -> list[bytes], build(items) -> bytes (0x87 0x87 ...), LEB128.
**asymmetric** — encryption by what the key is: RSA, EC (ECIES), X25519/Ed25519 (sealed box).
    encrypt(public_key, data, parameters=None) -> bytes; decrypt(private_key, data, parameters=None)
    For ML-KEM use pqc.encapsulate / decapsulate (`pqc.is_kem(key)` tells).
**signatures** — by what the key is: RSA (PSS, PKCS#1), ECDSA, EdDSA, ML-DSA, SLH-DSA.
    sign(private_key, data, parameters=None, *, digested=None) -> bytes
    verify(public_key, data, signature, parameters=None, *, digested=None) -> bool
    hash_of(key, parameters=None) -> HashingAlgorithm | None: what a stream must be hashed with
        (then pass `digested`); None: the algorithm signs whole messages, collect them
**mac** — select(algorithm, parameters=None) -> Mac; Mac.compute(key, data), Mac.verify(key, data,
    mac) -> bool, Mac.context(key) -> object with update(data), finalize() -> bytes.
**digest** — digest(hashing_algorithm, data) -> bytes; context(hashing_algorithm) -> Digest with
    update(data), finalize(data=b"") -> bytes, copy().
**kdf** — derive(method, Derivation(key=, length=, data=, salt=, iterations=, iv=, parameters=))
    -> bytes for DeriveKey, lengths in bytes; ASYMMETRIC_KEY is ec.agree(private_key, public_key)
    -> bytes, AWS_SIGNATURE_VERSION_4 aws_signature_v4(key, (date, region, service)).
**keywrap** — rfc3394_wrap, rfc3394_unwrap, rfc5649_wrap, rfc5649_unwrap of (kek, key).
**wrapping** — by parameters and by what the wrapping key is (AES, RSA, EC, X25519/Ed25519):
    wrap(wrapping_key: bytes | PublicKey, plain, parameters=None, *, aad=b"", generation=5, random)
    unwrap(wrapping_key: bytes | PrivateKey, wrapped, parameters=None, *, aad=b"", generation=5)
**formats** — KMIP key material <-> key objects.
    load_private(key_block, *, trusted=False, password=None) -> PrivateKey
    load_public(key_block, *, trusted=False) -> PublicKey
    load_symmetric(key_block) -> bytes
    export(key, key_format_type=None, *, password=b"", certificates=()) -> bytes | Transparent...
    key_block(key, key_format_type=None, ...) -> KeyBlock, complete with algorithm and length
    describe(key) -> Description(algorithm, length_bits, curve)
    symmetric_material(key: bytes, key_format_type=None) -> bytes | TransparentSymmetricKey
    default_format(key) -> KeyFormatType; wrapped_form(key) -> bytes: what NoEncoding wraps
    `trusted`: rows of our own store, no RSA validation (microseconds). Otherwise everything is
    checked: up to 0.25 s for RSA-4096, so callers go off the reactor thread.
**jwk** — export(key | bytes) -> dict; load(dict) -> key | bytes.
**generate** — generate_symmetric(algorithm, bits=None, random=os.urandom) -> bytes,
    generate_pair(algorithm, bits=None, curve=None) -> PrivateKey (its public_key() is the other
    half), check_new_key(algorithm, bits, curve), is_slow(algorithm, bits) -> bool: offload it.
**rng** — Rng: retrieve(count) -> bytes, seed(data) -> int (bytes taken).
**rsa, ec, pqc** — the functions behind the above, named after their documents.
**split** — split(method, secret, parts, threshold, random, *, prime=None) -> Parts(parts by
    identifier, prime_field_size); join(method, parts, threshold, *, prime=None, length=None).
**x509** — times are seconds since the epoch; certificates and names are the library's objects.
    issue(Subject(name, key, extensions), Issuer(key, certificate|None), *, now, days, extensions=
        b"[v3_ca]...") -> Certificate; der(certificate); load_certificate(data); public_key_of
    load_request(data) -> Subject (PKCS#10, DER or PEM); make_request(key, name) -> bytes;
    renewal(certificate) -> Subject; pkcs7_of(certificates, key=None) -> bytes; load_pkcs7(data)
    x509_names: subject_name(CertificateAttributes) -> Name, attributes_of(certificate) -> the same,
        key_identifier, authority_identifier
    x509_chains: problem(certificates, now, crls=None) -> str | None (None: valid), order(...)
    x509_crl: make_crl(issuer, key, [Revoked(serial, at, reason)], *, now, number), crl_bytes,
        load_crl, distribution_points(certificate) -> [url]
**pkcs12** — load_pkcs12(data, password) -> Contents(private_key, certificates, friendly_name);
    pkcs12_of(key, certificates, password, *, name=None, legacy=False) -> bytes
**covercrypt** — CoverCrypt over the optional package `cover-crypt`; keys and policies are bytes.
    available() -> bool; covercrypt_policy.to_v2(policy) -> bytes (takes V1, V2, specification ...)
    generate_master_keys(policy) -> MasterKeys(secret, public)
    generate_user_key(master_secret, access_policy: str, policy) -> bytes
    refresh_user_key(user_key, master_secret, *, keep_old_rights=True) -> bytes
    encrypt(master_public, policy, payload, aad=b"") -> bytes; decrypt(user_key, data, aad=b"")
        -> metadata after its length, then plaintext; encrypt_bulk / decrypt_bulk: CoverCryptBulk
    rekey(action_json, keys, policy) -> Rekeyed(keys, policy, refresh_user_keys)
"""
