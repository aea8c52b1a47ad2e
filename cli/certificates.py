"""Certificates of a plant: its own authority, and what that signs for the broker of *messages*. Pure but for chance.

PEM in, PEM out. Keys are on the curve P-256. Times are ms since 1970.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shopfloor.errors import PlantError
from shopfloor.instant import HOUR, Instant, to_datetime, to_instant

AUTHORITY_DAYS: Final = 20 * 365
SERVER_DAYS: Final = 5 * 365
"""Nobody on site renews anything: long, but shorter than a machine's life."""
RENEW_BEFORE: Final = 30 * 24 * HOUR
"""What expires sooner is to be renewed (ms)."""
_SLOW_CLOCKS: Final = timedelta(days=1)
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes

    @property
    def expires(self) -> Instant:
        """The end of its validity."""
        return to_instant(_read(self.certificate).not_valid_after_utc)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names and addresses that it is for, its common name first."""
        certificate = _read(self.certificate)
        common = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        addresses = map(str, names.get_values_for_type(x509.IPAddress))
        return tuple(dict.fromkeys([*common, *names.get_values_for_type(x509.DNSName), *addresses]))

    def check(self) -> None:
        """Raises ValueError or TypeError unless certificate and key can be read and belong together."""
        if _key(self.key).public_key() != _read(self.certificate).public_key():
            raise ValueError("the key is of another certificate")

    def expires_soon(self, now: Instant) -> bool:
        """Whether it is to be renewed."""
        return self.expires - now < RENEW_BEFORE

    def is_signed_by(self, authority: "Signed") -> bool:
        """Whether this authority's key has signed it."""
        try:
            _read(self.certificate).verify_directly_issued_by(_read(authority.certificate))
        except Exception:  # noqa: BLE001 - whatever the library finds wrong with it
            return False
        return True


def authority(name: str, now: Instant, *, key: bytes | None = None, days: int = AUTHORITY_DAYS) -> Signed:
    """A certificate authority; with the ``key`` of the one before, what that has signed stays good."""
    own = _key(key)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, subject, own.public_key(), now, days)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return Signed(_pem(builder.sign(own, hashes.SHA256())), _key_pem(own))


def server(hosts: Sequence[str], signer: Signed, now: Instant, *, days: int = SERVER_DAYS) -> Signed:
    """A server's certificate for names and addresses, the first being its common name."""
    issuer, own = _read(signer.certificate), _key(None)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    builder = _builder(subject, issuer.subject, own.public_key(), now, days)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([_name(host) for host in hosts]), critical=False)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(issuer))
    builder = builder.add_extension(issuer_id, critical=False)
    return Signed(_pem(builder.sign(_key(signer.key), hashes.SHA256())), _key_pem(own))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: Instant, days: int
) -> x509.CertificateBuilder:
    at = to_datetime(now)
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    builder = builder.not_valid_before(at - _SLOW_CLOCKS).not_valid_after(at + timedelta(days=days))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not _HOST.fullmatch(host):
        raise PlantError(f"--host {host!r} is no host name and no address; write broker.example or 192.0.2.1")
    return x509.DNSName(host)


def _key(pem: bytes | None) -> ec.EllipticCurvePrivateKey:
    if pem is None:
        return ec.generate_private_key(ec.SECP256R1())
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("no key on an elliptic curve")
    return key


def _public(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("no key on an elliptic curve")
    return key


def _read(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
