"""Build and metadata of kmsd; tool tables live in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
INIT = (HERE / "kmsd/__init__.py").read_text(encoding="utf-8")
VERSION = re.search(r'^__version__ = "(.+)"', INIT, re.MULTILINE)[1]

INSTALL_REQUIRES = [
    "twisted[tls]>=26.4",
    "klein>=24.8",
    "treq>=26.7",
    "cryptography>=49",
    "pyopenssl>=26",
    "service-identity>=24",
    "msgspec>=0.19",
    "httptools>=0.6",
    "sqlcipher3>=0.6",
    "psycopg2-binary>=2.9.10",
    "pymysql>=1.1",
    "joserfc>=1.1",
    "pynacl>=1.6",
    # The command line. Pure Python without dependencies of its own, so no extra: `pip install` is
    # to give `ckms`. From 8.5 on its parameter types are generic.
    "click>=8.5",
    # What cryptography lacks of FIPS 203 and 205: ML-KEM-512 and SLH-DSA.
    "pqcrypto>=1.0,<2",
]

EXTRAS_REQUIRE = {
    # Covercrypt keys. AGPLv3 or a commercial licence, unlike all the rest: see README.md.
    "covercrypt": ["cover-crypt>=14,<15"],
    # Certificates by ACME. txacme 0.9.3 caps acme below 1.0 (2019) and brings seventeen packages,
    # several unmaintained, that a server without ACME never imports: hence not a plain dependency.
    # Pinned, because pip would otherwise fall back to 0.9.2, which does not import.
    "acme": ["txacme==0.9.3"],
    "test": [
        "coverage[toml]>=7.6",
        "hypothesis>=6.120",
        "import-linter>=2.3",
        "mypy>=1.15",
        "mypy-zope>=1.0.11",
        "pytest>=8.3",
        "pytest-cov>=6",
        "pytest-twisted>=1.14.3",
        "ruff>=0.12",
        "types-psycopg2",
        "types-PyMySQL",
        "types-setuptools",
    ],
}

setup(
    name="kmsd",
    version=VERSION,
    description="A key management server: KMIP 2.1 over HTTP, on Twisted",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    # "twisted.plugins" has no __init__.py, here or when installed: Twisted merges such folders.
    packages=[*find_packages(include=["kmsd", "kmsd.*"]), "twisted.plugins"],
    # Spelled out so that an editable install is one .pth line, which Twisted's plugin search sees.
    package_dir={"": "."},
    package_data={"kmsd": ["py.typed"]},
    include_package_data=True,
    entry_points={
        "console_scripts": [
            "ckms = kmsd.cli.main:main",
            # The same, as it was called up to 4.3: it looks for kms.json in the working folder.
            "cosmian_kms_cli = kmsd.cli.main:main",
            "kmsd-admin = kmsd.admin.main:main",
        ],
    },
    zip_safe=False,
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    classifiers=[
        "Framework :: Twisted",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Security :: Cryptography",
    ],
)
