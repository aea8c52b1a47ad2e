"""The shape of a calendar in plant.yaml: shifts, breaks, rules for other days, exceptions by date."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from shopfloor.plant_fields import Doc, Id, LocalDate, LocalTimes, Weekday


def written_as(text: str, mapping: str) -> Discriminator:
    """A choice between a plain text and a mapping, told by what stands there."""
    return Discriminator(lambda raw: text if isinstance(raw, str | bool | int | float) else mapping)


class ShiftDoc(Doc):
    """A shift that does not start every day."""

    hours: LocalTimes
    days: list[Weekday] | None = Field(
        default=None, min_length=1, description="Days on which it starts; default every day."
    )


class BreakDoc(Doc):
    """A break of some days only, e.g. Friday prayer."""

    at: LocalTimes
    days: list[Weekday] = Field(min_length=1, description="Days on which the shift starts that has this break.")
    replaces: LocalTimes | list[LocalTimes] | None = Field(
        default=None, description="The daily break, or breaks, that this one stands for on these days."
    )

    @property
    def replaced(self) -> list[str]:
        """The daily breaks that this one stands for, as written."""
        return [self.replaces] if isinstance(self.replaces, str) else list(self.replaces or ())


ShiftEntry = LocalTimes | ShiftDoc
BreakEntry = Annotated[
    Annotated[LocalTimes, Tag("[text]")] | Annotated[BreakDoc, Tag("BreakDoc")], written_as("[text]", "BreakDoc")
]
Breaks = dict[Id, list[BreakEntry]]


class RamadanDoc(Doc):
    """How Ramadan at the site differs from the Umm al-Qura calendar."""

    offset_days: Annotated[int, Field(ge=-3, le=3)] | dict[int, Annotated[int, Field(ge=-3, le=3)]] = Field(
        default=0, description="Days later (or earlier, below 0) than Umm al-Qura; or by Hijri year, e.g. {1447: 1}."
    )


class HolidaysDoc(Doc):
    """A country's national holidays."""

    country: str = Field(description="ISO 3166 code, e.g. ID")
    subdivision: str | None = Field(default=None, description="State or province, e.g. BY for Bavaria in DE")
    categories: list[str] = Field(default=["public"], min_length=1, description="e.g. [public, government]")


class RuleDoc(Doc):
    """Other days: which (one of ``from`` with ``to``, ``ramadan``, ``holidays``), and closed or with other shifts."""

    from_: LocalDate | None = Field(default=None, alias="from", description="First day.")
    to: LocalDate | None = Field(default=None, description="Last day, included.")
    ramadan: (
        Annotated[
            Annotated[Literal[True], Tag("[text]")] | Annotated[RamadanDoc, Tag("RamadanDoc")],
            written_as("[text]", "RamadanDoc"),
        ]
        | None
    ) = Field(default=None, description="Every Ramadan: true, or how the site differs.")
    holidays: (
        Annotated[
            Annotated[str, Tag("[text]")] | Annotated[HolidaysDoc, Tag("HolidaysDoc")],
            written_as("[text]", "HolidaysDoc"),
        ]
        | None
    ) = Field(default=None, description="National holidays: a country, e.g. ID.")
    closed: Literal[True] | None = Field(default=None, description="Nobody works on these days.")
    shifts: dict[Id, ShiftEntry] | None = Field(default=None, min_length=1, description="The shifts of these days.")
    breaks: Breaks | None = Field(
        default=None, description="Their breaks; left out: the calendar's, where they lie within the hours."
    )


class CalendarDoc(Doc):
    """The week's shifts and breaks. For a day its exception holds, else the first rule that names it, else the week."""

    shifts: dict[Id, ShiftEntry] = Field(min_length=1)
    breaks: Breaks = Field(default_factory=dict)
    rules: list[RuleDoc] = Field(default_factory=list, description="Other days; the first that names a day holds.")
    exceptions: dict[
        LocalDate,
        Annotated[
            Annotated[Literal["closed"], Tag("[text]")]
            | Annotated[dict[Id, LocalTimes], Field(min_length=1), Tag("[shifts]")],
            written_as("[text]", "[shifts]"),
        ],
    ] = Field(default_factory=dict)


def country_of(holidays: str | HolidaysDoc) -> HolidaysDoc:
    """Either way of naming holidays as the longer one."""
    return HolidaysDoc(country=holidays) if isinstance(holidays, str) else holidays


def ramadan_of(ramadan: "Literal[True] | RamadanDoc") -> RamadanDoc:
    """Either way of naming Ramadan as the longer one."""
    return RamadanDoc() if ramadan is True else ramadan


def hours_of(entry: "str | ShiftDoc") -> str:
    """A shift's hours as written."""
    return entry if isinstance(entry, str) else entry.hours


def days_of(entry: Any) -> list[Weekday] | None:
    """The weekdays to which a shift or break is bound; None for all."""
    return entry.days if isinstance(entry, ShiftDoc | BreakDoc) else None
