"""TLS under *messages*: who signs the broker's certificate, and a socket that ends with its handshake."""

import ssl

from messaging import trouble
from messaging.access import BrokerAccess
from shopfloor.errors import ServiceUnavailable


class _Socket(ssl.SSLSocket):
    """Closes itself when the handshake fails: the MQTT library leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def context(access: BrokerAccess) -> ssl.SSLContext:
    """Checks certificate and host name against the CA file, or the system's; raises ServiceUnavailable."""
    try:
        made = ssl.create_default_context(cafile=access.ca)
    except OSError as fault:
        raise ServiceUnavailable(trouble.unusable_ca(access.ca, fault)) from None
    made.sslsocket_class = _Socket
    return made
