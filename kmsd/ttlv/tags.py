"""Every tag of KMIP 1.0 to 2.1, with the product's extension, as one table."""

from typing import NamedTuple


class Tag(NamedTuple):
    """One row: the number on the wire, and the KMIP versions that know it ("1.0" … "2.1")."""

    number: int
    name: str
    since: str
    last: str


# number, name, first version, and last version where that is not 2.1. Source: KMIP 2.1 §11.56.
_TABLE = """
420001 ActivationDate 1.0
420002 ApplicationData 1.0
420003 ApplicationNamespace 1.0
420004 ApplicationSpecificInformation 1.0
420005 ArchiveDate 1.0
420006 AsynchronousCorrelationValue 1.0
420007 AsynchronousIndicator 1.0
420008 Attribute 1.0
420009 AttributeIndex 1.0 1.4
42000A AttributeName 1.0
42000B AttributeValue 1.0
42000C Authentication 1.0
42000D BatchCount 1.0
42000E BatchErrorContinuationOption 1.0
42000F BatchItem 1.0
420010 BatchOrderOption 1.0
420011 BlockCipherMode 1.0
420012 CancellationResult 1.0
420013 Certificate 1.0
420014 CertificateIdentifier 1.0 1.4
420015 CertificateIssuer 1.0 1.4
420016 CertificateIssuerAlternativeName 1.0 1.4
420017 CertificateIssuerDistinguishedName 1.0 1.4
420018 CertificateRequest 1.0
420019 CertificateRequestType 1.0
42001A CertificateSubject 1.0 1.4
42001B CertificateSubjectAlternativeName 1.0 1.4
42001C CertificateSubjectDistinguishedName 1.0 1.4
42001D CertificateType 1.0
42001E CertificateValue 1.0
42001F CommonTemplateAttribute 1.0 1.4
420020 CompromiseDate 1.0
420021 CompromiseOccurrenceDate 1.0
420022 ContactInformation 1.0
420023 Credential 1.0
420024 CredentialType 1.0
420025 CredentialValue 1.0
420026 CriticalityIndicator 1.0
420027 CRTCoefficient 1.0
420028 CryptographicAlgorithm 1.0
420029 CryptographicDomainParameters 1.0
42002A CryptographicLength 1.0
42002B CryptographicParameters 1.0
42002C CryptographicUsageMask 1.0
42002D CustomAttribute 1.0 1.4
42002E D 1.0
42002F DeactivationDate 1.0
420030 DerivationData 1.0
420031 DerivationMethod 1.0
420032 DerivationParameters 1.0
420033 DestroyDate 1.0
420034 Digest 1.0
420035 DigestValue 1.0
420036 EncryptionKeyInformation 1.0
420037 G 1.0
420038 HashingAlgorithm 1.0
420039 InitialDate 1.0
42003A InitializationVector 1.0
42003B Issuer 1.0 1.4
42003C IterationCount 1.0
42003D IVCounterNonce 1.0
42003E J 1.0
42003F Key 1.0
420040 KeyBlock 1.0
420041 KeyCompressionType 1.0
420042 KeyFormatType 1.0
420043 KeyMaterial 1.0
420044 KeyPartIdentifier 1.0
420045 KeyValue 1.0
420046 KeyWrappingData 1.0
420047 KeyWrappingSpecification 1.0
420048 LastChangeDate 1.0
420049 LeaseTime 1.0
42004A Link 1.0
42004B LinkType 1.0
42004C LinkedObjectIdentifier 1.0
42004D MACSignature 1.0
42004E MACSignatureKeyInformation 1.0
42004F MaximumItems 1.0
420050 MaximumResponseSize 1.0
420051 MessageExtension 1.0
420052 Modulus 1.0
420053 Name 1.0
420054 NameType 1.0
420055 NameValue 1.0
420056 ObjectGroup 1.0
420057 ObjectType 1.0
420058 Offset 1.0
420059 OpaqueDataType 1.0
42005A OpaqueDataValue 1.0
42005B OpaqueObject 1.0
42005C Operation 1.0
42005D OperationPolicyName 1.0 1.4
42005E P 1.0
42005F PaddingMethod 1.0
420060 PrimeExponentP 1.0
420061 PrimeExponentQ 1.0
420062 PrimeFieldSize 1.0
420063 PrivateExponent 1.0
420064 PrivateKey 1.0
420065 PrivateKeyTemplateAttribute 1.0 1.4
420066 PrivateKeyUniqueIdentifier 1.0
420067 ProcessStartDate 1.0
420068 ProtectStopDate 1.0
420069 ProtocolVersion 1.0
42006A ProtocolVersionMajor 1.0
42006B ProtocolVersionMinor 1.0
42006C PublicExponent 1.0
42006D PublicKey 1.0
42006E PublicKeyTemplateAttribute 1.0 1.4
42006F PublicKeyUniqueIdentifier 1.0
420070 PutFunction 1.0
420071 Q 1.0
420072 QString 1.0
420073 Qlength 1.0
420074 QueryFunction 1.0
420075 RecommendedCurve 1.0
420076 ReplacedUniqueIdentifier 1.0
420077 RequestHeader 1.0
420078 RequestMessage 1.0
420079 RequestPayload 1.0
42007A ResponseHeader 1.0
42007B ResponseMessage 1.0
42007C ResponsePayload 1.0
42007D ResultMessage 1.0
42007E ResultReason 1.0
42007F ResultStatus 1.0
420080 RevocationMessage 1.0
420081 RevocationReason 1.0
420082 RevocationReasonCode 1.0
420083 KeyRoleType 1.0
420084 Salt 1.0
420085 SecretData 1.0
420086 SecretDataType 1.0
420087 SerialNumber 1.0 1.4
420088 ServerInformation 1.0
420089 SplitKey 1.0
42008A SplitKeyMethod 1.0
42008B SplitKeyParts 1.0
42008C SplitKeyThreshold 1.0
42008D State 1.0
42008E StorageStatusMask 1.0
42008F SymmetricKey 1.0
420090 Template 1.0 1.4
420091 TemplateAttribute 1.0 1.4
420092 TimeStamp 1.0
420093 UniqueBatchItemID 1.0
420094 UniqueIdentifier 1.0
420095 UsageLimits 1.0
420096 UsageLimitsCount 1.0
420097 UsageLimitsTotal 1.0
420098 UsageLimitsUnit 1.0
420099 Username 1.0
42009A ValidityDate 1.0
42009B ValidityIndicator 1.0
42009C VendorExtension 1.0
42009D VendorIdentification 1.0
42009E WrappingMethod 1.0
42009F X 1.0
4200A0 Y 1.0
4200A1 Password 1.0
4200A2 DeviceIdentifier 1.1
4200A3 EncodingOption 1.1
4200A4 ExtensionInformation 1.1
4200A5 ExtensionName 1.1
4200A6 ExtensionTag 1.1
4200A7 ExtensionType 1.1
4200A8 Fresh 1.1
4200A9 MachineIdentifier 1.1
4200AA MediaIdentifier 1.1
4200AB NetworkIdentifier 1.1
4200AC ObjectGroupMember 1.1
4200AD CertificateLength 1.1
4200AE DigitalSignatureAlgorithm 1.1
4200AF CertificateSerialNumber 1.1
4200B0 DeviceSerialNumber 1.1
4200B1 IssuerAlternativeName 1.1
4200B2 IssuerDistinguishedName 1.1
4200B3 SubjectAlternativeName 1.1
4200B4 SubjectDistinguishedName 1.1
4200B5 X509CertificateIdentifier 1.1
4200B6 X509CertificateIssuer 1.1
4200B7 X509CertificateSubject 1.1
4200B8 KeyValueLocation 1.2
4200B9 KeyValueLocationValue 1.2
4200BA KeyValueLocationType 1.2
4200BB KeyValuePresent 1.2
4200BC OriginalCreationDate 1.2
4200BD PGPKey 1.2
4200BE PGPKeyVersion 1.2
4200BF AlternativeName 1.2
4200C0 AlternativeNameValue 1.2
4200C1 AlternativeNameType 1.2
4200C2 Data 1.2
4200C3 SignatureData 1.2
4200C4 DataLength 1.2
4200C5 RandomIV 1.2
4200C6 MACData 1.2
4200C7 AttestationType 1.2
4200C8 Nonce 1.2
4200C9 NonceID 1.2
4200CA NonceValue 1.2
4200CB AttestationMeasurement 1.2
4200CC AttestationAssertion 1.2
4200CD IVLength 1.2
4200CE TagLength 1.2
4200CF FixedFieldLength 1.2
4200D0 CounterLength 1.2
4200D1 InitialCounterValue 1.2
4200D2 InvocationFieldLength 1.2
4200D3 AttestationCapableIndicator 1.2
4200D4 OffsetItems 1.3
4200D5 LocatedItems 1.3
4200D6 CorrelationValue 1.3
4200D7 InitIndicator 1.3
4200D8 FinalIndicator 1.3
4200D9 RNGParameters 1.3
4200DA RNGAlgorithm 1.3
4200DB DRBGAlgorithm 1.3
4200DC FIPS186Variation 1.3
4200DD PredictionResistance 1.3
4200DE RandomNumberGenerator 1.3
4200DF ValidationInformation 1.3
4200E0 ValidationAuthorityType 1.3
4200E1 ValidationAuthorityCountry 1.3
4200E2 ValidationAuthorityURI 1.3
4200E3 ValidationVersionMajor 1.3
4200E4 ValidationVersionMinor 1.3
4200E5 ValidationType 1.3
4200E6 ValidationLevel 1.3
4200E7 ValidationCertificateIdentifier 1.3
4200E8 ValidationCertificateURI 1.3
4200E9 ValidationVendorURI 1.3
4200EA ValidationProfile 1.3
4200EB ProfileInformation 1.3
4200EC ProfileName 1.3
4200ED ServerURI 1.3
4200EE ServerPort 1.3
4200EF StreamingCapability 1.3
4200F0 AsynchronousCapability 1.3
4200F1 AttestationCapability 1.3
4200F2 UnwrapMode 1.3
4200F3 DestroyAction 1.3
4200F4 ShreddingAlgorithm 1.3
4200F5 RNGMode 1.3
4200F6 ClientRegistrationMethod 1.3
4200F7 CapabilityInformation 1.3
4200F8 KeyWrapType 1.4
4200F9 BatchUndoCapability 1.4
4200FA BatchContinueCapability 1.4
4200FB PKCS12FriendlyName 1.4
4200FC Description 1.4
4200FD Comment 1.4
4200FE AuthenticatedEncryptionAdditionalData 1.4
4200FF AuthenticatedEncryptionTag 1.4
420100 SaltLength 1.4
420101 MaskGenerator 1.4
420102 MaskGeneratorHashingAlgorithm 1.4
420103 PSource 1.4
420104 TrailerField 1.4
420105 ClientCorrelationValue 1.4
420106 ServerCorrelationValue 1.4
420107 DigestedData 1.4
420108 CertificateSubjectCN 1.4
420109 CertificateSubjectO 1.4
42010A CertificateSubjectOU 1.4
42010B CertificateSubjectEmail 1.4
42010C CertificateSubjectC 1.4
42010D CertificateSubjectST 1.4
42010E CertificateSubjectL 1.4
42010F CertificateSubjectUID 1.4
420110 CertificateSubjectSerialNumber 1.4
420111 CertificateSubjectTitle 1.4
420112 CertificateSubjectDC 1.4
420113 CertificateSubjectDNQualifier 1.4
420114 CertificateIssuerCN 1.4
420115 CertificateIssuerO 1.4
420116 CertificateIssuerOU 1.4
420117 CertificateIssuerEmail 1.4
420118 CertificateIssuerC 1.4
420119 CertificateIssuerST 1.4
42011A CertificateIssuerL 1.4
42011B CertificateIssuerUID 1.4
42011C CertificateIssuerSerialNumber 1.4
42011D CertificateIssuerTitle 1.4
42011E CertificateIssuerDC 1.4
42011F CertificateIssuerDNQualifier 1.4
420120 Sensitive 1.4
420121 AlwaysSensitive 1.4
420122 Extractable 1.4
420123 NeverExtractable 1.4
420124 ReplaceExisting 1.4
420125 Attributes 2.0
420126 CommonAttributes 2.0
420127 PrivateKeyAttributes 2.0
420128 PublicKeyAttributes 2.0
420129 ExtensionEnumeration 2.0
42012A ExtensionAttribute 2.0
42012B ExtensionParentStructureTag 2.0
42012C ExtensionDescription 2.0
42012D ServerName 2.0
42012E ServerSerialNumber 2.0
42012F ServerVersion 2.0
420130 ServerLoad 2.0
420131 ProductName 2.0
420132 BuildLevel 2.0
420133 BuildDate 2.0
420134 ClusterInfo 2.0
420135 AlternateFailoverEndpoints 2.0
420136 ShortUniqueIdentifier 2.0
420138 Tag 2.0
420139 CertificateRequestUniqueIdentifier 2.0
42013A NISTKeyType 2.0
42013B AttributeReference 2.0
42013C CurrentAttribute 2.0
42013D NewAttribute 2.0
420140 CertificateRequestValue 2.0
420141 LogMessage 2.0
420142 ProfileVersion 2.0
420143 ProfileVersionMajor 2.0
420144 ProfileVersionMinor 2.0
420145 ProtectionLevel 2.0
420146 ProtectionPeriod 2.0
420147 QuantumSafe 2.0
420148 QuantumSafeCapability 2.0
420149 Ticket 2.0
42014A TicketType 2.0
42014B TicketValue 2.0
42014C RequestCount 2.0
42014D Rights 2.0
42014E Objects 2.0
42014F Operations 2.0
420150 Right 2.0
420151 EndpointRole 2.0
420152 DefaultsInformation 2.0
420153 ObjectDefaults 2.0
420154 Ephemeral 2.0
420155 ServerHashedPassword 2.0
420156 OneTimePassword 2.0
420157 HashedPassword 2.0
420158 AdjustmentType 2.0
420159 PKCS11Interface 2.0
42015A PKCS11Function 2.0
42015B PKCS11InputParameters 2.0
42015C PKCS11OutputParameters 2.0
42015D PKCS11ReturnCode 2.0
42015E ProtectionStorageMask 2.0
42015F ProtectionStorageMasks 2.0
420160 InteropFunction 2.0
420161 InteropIdentifier 2.0
420162 AdjustmentValue 2.0
420163 CommonProtectionStorageMasks 2.0
420164 PrivateProtectionStorageMasks 2.0
420165 PublicProtectionStorageMasks 2.0
420166 ObjectGroups 2.1
420167 ObjectTypes 2.1
420168 Constraints 2.1
420169 Constraint 2.1
42016A RotateInterval 2.1
42016B RotateAutomatic 2.1
42016C RotateOffset 2.1
42016D RotateDate 2.1
42016E RotateGeneration 2.1
42016F RotateName 2.1
420170 RotateNameValue 2.1
420171 RotateNameType 2.1
420172 RotateLatest 2.1
420173 AsynchronousRequest 2.1
420174 SubmissionDate 2.1
420175 ProcessingStage 2.1
420176 AsynchronousCorrelationValues 2.1
540001 CertificateAttributes 2.1
"""


def _row(line: str) -> Tag:
    number, name, since, *last = line.split()
    return Tag(int(number, 16), name, since, *last or ["2.1"])


TAGS: dict[str, Tag] = {tag.name: tag for tag in map(_row, _TABLE.strip().splitlines())}
NAMES: dict[int, str] = {tag.number: tag.name for tag in TAGS.values()}
_FOLDED: dict[str, str] = {name.lower(): name for name in TAGS}


def tag_name(number: int) -> str:
    """Return the name of tag `number`; an unknown tag is named by its six hex digits."""
    return NAMES.get(number) or f"0x{number:06X}"


def spelled(name: str) -> str:
    """Return the specification's spelling of a tag: `iv_counter_nonce` → `IVCounterNonce`.

    A name that is no tag is returned as it is.
    """
    if name in TAGS:
        return name
    return _FOLDED.get(name.replace("_", "").lower(), name)
