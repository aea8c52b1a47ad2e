"""What the page of ``shopfloor ingest`` tells of the service: its figures, by name and with unit."""

import os
from contextlib import AbstractAsyncContextManager
from typing import Final

from historian.historian import Historian
from historian.point import Query
from historian.schema import Measurement
from ingest.service import IngestService
from shopfloor.health_server import Figure, FiguresCollector, health_address, health_page

INGEST: Final = (
    Figure("messages", "shopfloor_ingest_messages", "messages with samples, resends too", counter=True),
    Figure("samples", "shopfloor_ingest_samples", "samples judged, resends too", counter=True),
    Figure("stored", "shopfloor_ingest_stored_samples", "samples that the historian accepted", counter=True),
    Figure("rejected", "shopfloor_ingest_rejected_samples", "samples newly rejected, less those stored after all"),
    Figure("by_reason", "shopfloor_ingest_dead_letters", "new dead letters", label="reason", counter=True),
    Figure("passed_over", "shopfloor_ingest_passed_over_messages", "messages of agents served elsewhere", counter=True),
    Figure("backpressure", "shopfloor_ingest_backpressure", "times that a store asked to wait", counter=True),
    Figure("connected", "shopfloor_ingest_broker_connected", "1 while connected to the broker, else 0"),
    Figure("served", "shopfloor_ingest_served_agents", "agents that this process serves now"),
    Figure("dirty", "shopfloor_ingest_dirty_intervals", "intervals whose facts wait to be derived"),
    Figure("passes", "shopfloor_ingest_derivations", "derivations of a unit", counter=True),
    Figure("letters", "shopfloor_ingest_letters", "dead letters in the file, those of all processes", label="reason"),
    Figure("letters_dropped", "shopfloor_ingest_letters_dropped", "letters of which only the count is left"),
)
"""Of one ingest process since its start; the letters are those of the file."""


def ingest_page(service: IngestService, store: Historian) -> AbstractAsyncContextManager[None]:
    """The ingest service's page, where the environment wants one; raises ServiceUnavailable for a wrong address."""
    collector = FiguresCollector(INGEST, service.figures)
    return health_page(health_address(os.environ), collector, lambda: _answering(service, store))


def _answering(service: IngestService, store: Historian) -> str | None:
    if not service.connected:
        return "not connected to the broker"
    store.read(Query(Measurement.LEDGER, limit=1))
    return None
