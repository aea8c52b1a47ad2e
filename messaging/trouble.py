"""Why there is no connection for *messages*, in words that say what to do. Pure."""

import socket
import ssl
from collections.abc import Mapping
from typing import Final

from messaging.access import BrokerAccess

_OTHER_CA: Final = "its certificate is not signed by the CA in {ca}; give SHOPFLOOR_MQTT_CA the broker's ca.crt"
_OTHER_NAME: Final = (
    "its certificate is not for {host}; write a name that it has into SHOPFLOOR_MQTT_URL, or give it this one "
    "(shopfloor deploy init --host {host} --renew)"
)
_CERTIFICATE: Final[Mapping[int, str]] = {
    9: "its certificate is not valid yet; is the clock of this machine right?",
    10: "its certificate has expired; renew it (shopfloor deploy init --renew), or set the clock of this machine",
    18: _OTHER_CA,
    19: _OTHER_CA,
    20: _OTHER_CA,
    21: _OTHER_CA,
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
"""By OpenSSL's verify code (X509_V_ERR_...)."""


def no_connection(fault: BaseException | None, access: BrokerAccess) -> str:
    """What stopped a connection before a word of MQTT was spoken."""
    host, port = access.address
    match fault:
        case ssl.SSLCertVerificationError():
            words = _CERTIFICATE.get(fault.verify_code, f"its certificate is refused: {fault.verify_message}")
            return words.format(ca=access.ca or "this system", host=host)
        case ssl.SSLError() | ConnectionResetError() if access.tls:
            return f"it speaks no TLS at port {port}; write mqtt:// for a plain port, or the number of its TLS port"
        case socket.gaierror():
            return f"there is no host {host}; check SHOPFLOOR_MQTT_URL and the name service"
        case ConnectionRefusedError():
            return f"nobody listens at port {port}; is the broker running, is the port right?"
        case TimeoutError():
            return "no answer; is the machine on, is its port open in the firewall?"
        case OSError():
            return f"cannot connect: {fault.strerror or fault}"
    return "cannot connect"


def hung_up(access: BrokerAccess) -> str:
    """The broker closed the connection instead of answering to CONNECT."""
    if access.tls:
        return "it hangs up before it answers"
    return "it hangs up before it answers; if this is its TLS port, write mqtts://"


def refused(access: BrokerAccess, reason: str) -> str:
    """The broker answered, with a refusal."""
    if access.username is None:
        return f"refuses whoever gives no name: {reason}; set SHOPFLOOR_MQTT_USERNAME and SHOPFLOOR_MQTT_PASSWORD"
    return (
        f"refuses user {access.username}: {reason}; check SHOPFLOOR_MQTT_USERNAME and SHOPFLOOR_MQTT_PASSWORD "
        "against the broker's users"
    )


def unusable_ca(path: str | None, fault: OSError) -> str:
    """The CA file cannot be used at all."""
    what = "holds no certificate" if isinstance(fault, ssl.SSLError) else fault.strerror or str(fault)
    return f"SHOPFLOOR_MQTT_CA {path}: {what}; give it the path of the broker's ca.crt"


def driven_out(name: str) -> str:
    """The connection is lost again and again as soon as it stands."""
    return (
        f"hangs up on {name} again and again: another program has connected as {name}. Stop one of the two, or give "
        "each agent a name of its own in the plant file; nothing is lost meanwhile, they take turns"
    )
