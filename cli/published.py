"""What is published follows from the KPI API's own code: here the two meet, since neither knows the other."""

from historian.historian import Historian
from ingest.publisher import Publisher
from kpi_api.published import Publications
from kpi_api.store import Store
from shopfloor.clock import Clock
from shopfloor.plant import Plant


def publications(plant: Plant, historian: Historian, clock: Clock) -> Publications:
    """What is to be published of a plant, by its time."""
    return Publications(Store(plant, historian, clock))


def publisher_of(plant: Plant, historian: Historian, clock: Clock) -> Publisher:
    """A publisher of the plant, for a process without the ingest service."""
    return Publisher(historian, publications(plant, historian, clock), plant.enterprise, clock.now, alone=True)
