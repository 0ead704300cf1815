"""Makes `twistd kmsd` known; kmsd itself is imported only when that is what runs."""

from twisted.application.service import ServiceMaker

kmsd = ServiceMaker("kmsd", "kmsd.app", "A key management server (KMIP 2.1).", "kmsd")
