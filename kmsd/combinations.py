"""Options that do not go together, each told with what mends it.

A rule is a function from the settings to the sentences that are true of them; no file is opened
and no name is looked up here.
"""

from __future__ import annotations

from collections.abc import Iterator

from kmsd.authentication import providers
from kmsd.options import SettingsError
from kmsd.settings import DatabaseType, Settings
from kmsd.tls.endpoints import speaks_tls


def check(settings: Settings) -> None:
    """Raise SettingsError for the first combination that cannot be meant."""
    for rule in RULES:
        for problem in rule(settings):
            raise SettingsError(problem)


def _database(settings: Settings) -> Iterator[str]:
    kind = settings.database_type
    if kind.is_file and settings.database_url:
        yield (
            f"--database-url: the database type {kind.value} has no URL;"
            " add --database-type=postgresql or mysql, or leave the URL out"
        )
    if not kind.is_file and not settings.effective_database_url:
        yield (
            f"--database-type={kind.value}: needs a --database-url"
            f" ({_SCHEMES[kind]}://user:password@host/name), or KMS_DATABASE_URL"
        )
    scheme = settings.effective_database_url.partition("://")[0].lower()
    if not kind.is_file and scheme in _KINDS and _KINDS[scheme] is not kind:
        yield (
            f"--database-url: a URL of {scheme} does not go with --database-type={kind.value};"
            f" make it --database-type={_KINDS[scheme].value}"
        )


_SCHEMES = {DatabaseType.POSTGRESQL: "postgresql", DatabaseType.MYSQL: "mysql"}
_KINDS = {
    "postgres": DatabaseType.POSTGRESQL,
    "postgresql": DatabaseType.POSTGRESQL,
    "mysql": DatabaseType.MYSQL,
    "mariadb": DatabaseType.MYSQL,
}


def _mysql_certificate(settings: Settings) -> Iterator[str]:
    if settings.mysql_user_cert_password and settings.mysql_user_cert_file is None:
        yield "--mysql-user-cert-password: name its file with --mysql-user-cert-file"
    if settings.mysql_user_cert_file and settings.database_type is not DatabaseType.MYSQL:
        yield (
            "--mysql-user-cert-file: is for --database-type=mysql,"
            f" not {settings.database_type.value}"
        )


def _new_databases(settings: Settings) -> Iterator[str]:
    limited = settings.new_database_limit is not None or settings.new_database_rate
    if limited and settings.database_type is not DatabaseType.SQLITE_ENC:
        yield (
            "--new-database-limit and --new-database-rate: are for --database-type=sqlite-enc,"
            f" not {settings.database_type.value}"
        )


def _certificates(settings: Settings) -> Iterator[str]:
    if settings.https_p12_password is not None and settings.https_p12_file is None:
        yield "--https-p12-password: name its file with --https-p12-file"
    if settings.https_p12_file and settings.tls_cert_file:
        yield "--https-p12-file and --tls-cert-file: each brings a certificate; keep one"
    if settings.tls_cert_file is None and (settings.tls_key_file or settings.tls_chain_file):
        yield "--tls-key-file and --tls-chain-file: name the certificate with --tls-cert-file"
    if settings.authority_cert_file and not settings.serves_tls:
        yield (
            "--authority-cert-file: client certificates need HTTPS; add --https-p12-file and"
            " --https-p12-password, --tls-cert-file, or --use-certbot"
        )
    own = any(speaks_tls(each) for each in settings.endpoint)
    if settings.authority_cert_file and own:
        yield (
            "--authority-cert-file: does not reach an --endpoint that has TLS of its own;"
            " name the file there (kmsd-p12:…:clientCA=FILE)"
        )


def _socket_server(settings: Settings) -> Iterator[str]:
    if not settings.socket_server_start:
        return
    if not settings.authority_cert_file:
        yield (
            "--socket-server-start: its clients are known by their certificates; name who signs"
            " them with --authority-cert-file"
        )
    if settings.database_type is DatabaseType.SQLITE_ENC:
        yield (
            "--socket-server-start: binary KMIP has no place for the secret of an encrypted"
            " database; use another --database-type"
        )


def _certbot(settings: Settings) -> Iterator[str]:
    if settings.use_certbot and not settings.certbot_hostname:
        yield "--use-certbot: needs --certbot-hostname, the name to certify"
    if settings.use_certbot and not settings.certbot_email:
        yield "--use-certbot: needs --certbot-email, an address for the certification authority"
    if settings.certbot_hostname and not settings.use_certbot:
        yield "--certbot-hostname: obtains no certificate by itself; add --use-certbot"


def _issuers(settings: Settings) -> Iterator[str]:
    issuers = len(settings.jwt_issuer_uri)
    for flag, values in (
        ("--jwks-uri", settings.jwks_uri),
        ("--jwt-audience", settings.jwt_audience),
    ):
        if len(values) > issuers:
            yield (
                f"{flag}: there are {len(values)} of them for {issuers} of --jwt-issuer-uri;"
                " they go by position. Several audiences of one issuer:"
                " --jwt-auth-provider=ISSUER,JWKS_URI,AUDIENCE,AUDIENCE"
            )


def _providers(settings: Settings) -> Iterator[str]:
    found = list(providers(settings))
    for each in found:
        if not each.issuer:
            yield "--jwt-auth-provider: begins with the issuer: ISSUER,JWKS_URI,AUDIENCE,..."
        if not each.jwks_uri.lower().startswith("https://"):
            yield (
                f"--jwks-uri: {each.jwks_uri!r} is not https; name where the keys of"
                f" {each.issuer!r} are, by https"
            )
    issuers = [each.issuer for each in found]
    twice = next((each for each in issuers if issuers.count(each) > 1), None)
    if twice is not None:
        yield f"--jwt-issuer-uri: {twice!r} is named twice; keep one"


def _api_token(settings: Settings) -> Iterator[str]:
    if settings.api_token_id and settings.database_type is DatabaseType.SQLITE_ENC:
        yield (
            "--api-token-id: the key of an encrypted database cannot be read without its secret;"
            " use --api-tokens, and `kmsd-admin token create`"
        )


RULES = (
    _database,
    _mysql_certificate,
    _new_databases,
    _certificates,
    _socket_server,
    _certbot,
    _issuers,
    _providers,
    _api_token,
)
"""The rules, in the order in which they speak."""
