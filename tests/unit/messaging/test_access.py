import pytest

from messaging.access import BrokerAccess
from shopfloor.errors import ServiceUnavailable


@pytest.mark.parametrize(
    ("url", "address", "tls"),
    [
        ("mqtt://127.0.0.1", ("127.0.0.1", 1883), False),
        ("mqtt://broker.local:18830", ("broker.local", 18830), False),
        ("mqtts://[::1]", ("::1", 8883), True),
    ],
)
def test_a_broker_url_names_host_port_and_encryption(url, address, tls):
    access = BrokerAccess(url)
    assert (access.address, access.tls) == (address, tls)


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:1883", "http://broker", "mqtt://", "mqtt://host:high", "mqtt://h:99999"]
)
def test_anything_else_is_refused_with_an_example(url):
    with pytest.raises(ServiceUnavailable, match="mqtt://host:1883"):
        _ = BrokerAccess(url).address


def test_the_password_is_never_printed():
    assert "s3cret" not in repr(BrokerAccess("mqtt://host", "edge-1", "s3cret"))


def test_access_comes_from_the_environment():
    environment = {
        "SHOPFLOOR_MQTT_URL": "mqtts://broker",
        "SHOPFLOOR_MQTT_USERNAME": "u",
        "SHOPFLOOR_MQTT_PASSWORD": "p",
        "SHOPFLOOR_MQTT_CA": "/ca.crt",
    }
    assert BrokerAccess.from_environment(environment) == BrokerAccess("mqtts://broker", "u", "p", "/ca.crt")
    assert BrokerAccess.from_environment(dict.fromkeys(environment, "")) == BrokerAccess("mqtt://127.0.0.1")


@pytest.mark.parametrize(
    "url", ["mqtt://edge-1:s3cret@host", "mqtts://s3cret@host", "http://u:s3cret@h", "mqtt://u:s3cret@h:high"]
)
def test_a_secret_in_the_url_is_refused_and_not_repeated(url):
    with pytest.raises(ServiceUnavailable, match="SHOPFLOOR_MQTT_URL") as refused:
        _ = BrokerAccess(url).address
    assert "s3cret" not in str(refused.value)
