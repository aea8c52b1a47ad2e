"""Places of the ISA-95 role-based equipment hierarchy."""

import re
from dataclasses import dataclass

from shopfloor.errors import ShopfloorError

ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
LEVELS = ("enterprise", "site", "area", "work_center", "work_unit")


class BadPath(ShopfloorError):
    """A text is not a unit path."""


@dataclass(frozen=True, slots=True, order=True)
class EquipmentPath:
    """One work unit's place. ``str()`` gives ``site/area/work_center/work_unit``, the form on commands and in JSON."""

    enterprise: str
    site: str
    area: str
    work_center: str
    work_unit: str

    def __post_init__(self) -> None:
        for level in LEVELS:
            if not ID.fullmatch(getattr(self, level)):
                raise BadPath(f"{level} id {getattr(self, level)!r} must match [a-z0-9][a-z0-9-]{{0,31}}")

    def __str__(self) -> str:
        return f"{self.site}/{self.area}/{self.work_center}/{self.work_unit}"

    @classmethod
    def parse(cls, enterprise: str, path: str) -> "EquipmentPath":
        """Read ``site/area/work_center/work_unit``; raises BadPath."""
        parts = path.split("/")
        if len(parts) != 4:
            raise BadPath(f"{path!r} is not a unit path; write site/area/work_center/work_unit")
        return cls(enterprise, *parts)

    def tags(self) -> dict[str, str]:
        """The historian tags of this place."""
        return {level: getattr(self, level) for level in LEVELS}
