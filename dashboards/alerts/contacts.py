"""By which way people are called: contact points for the channels that the environment names. Pure.

A secret is never written into a file: files name the variable that Grafana finds in its own environment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from dashboards.alerts import messages
from dashboards.text import LANGUAGES
from shopfloor.errors import ShopfloorError

NAME: Final = "shopfloor"
"""The contact point, with one integration for each channel."""
WEBHOOK: Final = "SHOPFLOOR_ALERT_WEBHOOK_URL"
WEBHOOK_TOKEN: Final = "SHOPFLOOR_ALERT_WEBHOOK_TOKEN"  # noqa: S105 - the variable's name
EMAIL: Final = "SHOPFLOOR_ALERT_EMAIL"
TELEGRAM_TOKEN: Final = "SHOPFLOOR_ALERT_TELEGRAM_TOKEN"  # noqa: S105
TELEGRAM_CHAT: Final = "SHOPFLOOR_ALERT_TELEGRAM_CHAT"
WHATSAPP: Final = "SHOPFLOOR_ALERT_WHATSAPP_URL"
WHATSAPP_TOKEN: Final = "SHOPFLOOR_ALERT_WHATSAPP_TOKEN"  # noqa: S105
LANGUAGE: Final = "SHOPFLOOR_ALERT_LANGUAGE"


class ContactError(ShopfloorError):
    """The environment names a way to people that cannot be gone."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A setting whose value stands in a variable of the environment."""

    name: str


Setting = str | Variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One channel: an integration of the contact point."""

    uid: str
    type: str
    """As Grafana calls it."""
    settings: Mapping[str, Setting]
    secrets: Mapping[str, Variable] = field(default_factory=dict)
    """Settings that Grafana keeps to itself."""


def contacts(environment: Mapping[str, str], default_language: str) -> tuple[Contact, ...]:
    """The channels that the environment names; none, and Grafana's own contact point stays. Raises ContactError."""
    language = environment.get(LANGUAGE) or default_language
    if language not in LANGUAGES:
        raise ContactError(f"{LANGUAGE}={language!r} is no language; write {' or '.join(LANGUAGES)}")
    given = {name for name, value in environment.items() if value.strip()}
    if (TELEGRAM_TOKEN in given) is not (TELEGRAM_CHAT in given):
        missing = TELEGRAM_CHAT if TELEGRAM_TOKEN in given else TELEGRAM_TOKEN
        raise ContactError(f"Telegram needs the bot's token and the chat's number; set {missing} too")
    for name in (WEBHOOK, WHATSAPP):
        if name in given and not environment[name].startswith(("http://", "https://")):
            raise ContactError(f"{name} is no address; write https://host/path")
    return tuple(_channels(given, language))


def _channels(given: set[str], language: str) -> Iterator[Contact]:
    subject, message = messages.subject(language), messages.message(language)
    for channel, address, token in (("webhook", WEBHOOK, WEBHOOK_TOKEN), ("whatsapp", WHATSAPP, WHATSAPP_TOKEN)):
        if address in given:
            bearer = {"authorization_scheme": "Bearer"} if token in given else {}
            yield Contact(
                uid=f"shopfloor-{channel}",
                type="webhook",
                settings={
                    "url": Variable(address),
                    "httpMethod": "POST",
                    "title": subject,
                    "message": message,
                    **bearer,
                },
                secrets={"authorization_credentials": Variable(token)} if bearer else {},
            )
    if EMAIL in given:
        settings: Mapping[str, Setting] = {"addresses": Variable(EMAIL), "subject": subject, "message": message}
        yield Contact(uid="shopfloor-email", type="email", settings=settings)
    if TELEGRAM_TOKEN in given:
        yield Contact(
            uid="shopfloor-telegram",
            type="telegram",
            settings={"chatid": Variable(TELEGRAM_CHAT), "message": message},
            secrets={"bottoken": Variable(TELEGRAM_TOKEN)},
        )
