"""The broker forgets, drops, comes late and slowly: in the end every sample is stored once, and the ledger balances."""

import resource
from dataclasses import replace

import pytest

from ingest.ledger import stored_samples
from ingest.mapping import Refusal
from shopfloor.plant_file import load
from tests.integration.conftest import require_mosquitto
from tests.two_agents import plant_text
from tests.wired_plant import slow_link, wired

TICKS = 120


@pytest.fixture(autouse=True)
def _mosquitto() -> None:
    require_mosquitto()


def lines(caplog, words: str) -> list[str]:
    return [record.message for record in caplog.records if words in record.message]


async def test_a_broker_that_is_killed_again_and_again_in_the_middle_of_traffic(tmp_path, caplog):
    async with wired(tmp_path, ticks=TICKS) as works:
        await works.broker.start()
        ingest = works.ingest()
        agents = [works.agent(agent_id) for agent_id in works.plant.agents]
        for agent in agents:
            works.start(agent)
        for kill in (1, 2):
            await works.until(lambda kill=kill: ingest.counts.stored >= kill * TICKS)
            await works.broker.kill()
            await works.broker.start()
        await works.drained(*agents)
        for agent in agents:
            works.assert_balanced(agent)
    assert len(lines(caplog, "is back")) == len(lines(caplog, "trying again")) <= 6


async def test_a_broker_that_keeps_one_message(tmp_path):
    async with wired(tmp_path, ticks=60, max_queued_messages="1", max_inflight_messages="1") as works:
        await works.broker.start()
        works.ingest()
        agents = [
            works.agent(agent_id, resend_ms=20, window=4, clock=works.free_clock()) for agent_id in works.plant.agents
        ]
        for agent in agents:
            works.start(agent)
        await works.drained(*agents)
        for agent in agents:
            works.assert_balanced(agent)
        assert "being dropped" in works.broker.words


async def test_a_broker_that_has_forgotten_the_receipts(tmp_path):
    async with wired(tmp_path, ticks=TICKS) as works:
        rights = works.made.directory / "mosquitto" / "rights"
        text = rights.read_text("utf-8")
        rights.write_text(text.replace("topic write v1/receipts/edge-1\n", ""), "utf-8")
        await works.broker.start()
        ingest, agent = works.ingest(), works.agent("edge-1", resend_ms=60_000, clock=works.free_clock())
        works.start(agent)
        await works.polled(agent)
        await works.until(lambda: ingest.counts.stored > 0)
        await works.end_all()
        assert agent.ledger_counts().in_outbox == 2 * TICKS  # some are stored, none is confirmed
        await works.broker.kill()
        rights.write_text(text, "utf-8")
        await works.broker.start()
        ingest = works.ingest()
        again = works.agent("edge-1", clock=works.free_clock(TICKS))  # it polls no more
        works.start(again)
        await works.drained(again)
        works.assert_balanced(again)
        assert ingest.counts.stored >= 2 * TICKS  # what was stored before was written again


@pytest.mark.parametrize("late", ["agents", "ingest"])
async def test_parts_that_start_before_their_broker(tmp_path, caplog, late):
    async with wired(tmp_path, ticks=TICKS) as works:
        agents = [works.agent(agent_id) for agent_id in works.plant.agents]
        if late == "agents":
            works.ingest()
        else:
            for agent in agents:
                works.start(agent)
        await works.until(lambda: lines(caplog, "nobody listens"))
        await works.broker.start()
        if late == "ingest":
            works.ingest()
        else:
            for agent in agents:
                works.start(agent)
        await works.drained(*agents)
        for agent in agents:
            works.assert_balanced(agent)


async def test_a_slow_link_that_is_cut(tmp_path):
    async with wired(tmp_path, ticks=TICKS) as works, slow_link(works.made.port, 100_000) as (port, cut):
        await works.broker.start()
        ingest = works.ingest()
        access = replace(works.made.access("edge-1"), url=f"mqtts://127.0.0.1:{port}")
        agent = works.agent("edge-1", access=access)
        works.start(agent)
        for share in (1, 2):
            await works.until(lambda share=share: ingest.counts.stored >= share * TICKS // 2)
            cut()
        await works.drained(agent)
        works.assert_balanced(agent)


@pytest.mark.parametrize("persistence", ["false", "true"])
async def test_a_broker_whose_disk_is_full(tmp_path, persistence):
    saving = {"persistence": persistence, "autosave_interval": "1", "persistence_location": f"{tmp_path}/"}
    async with wired(tmp_path, ticks=TICKS, **saving) as works:
        await works.broker.start()
        # from now on every write of the broker to a file fails: its log, and what it would save
        resource.prlimit(works.broker.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        ingest, agent = works.ingest(), works.agent("edge-1")
        works.start(agent)
        await works.until(lambda: ingest.counts.stored >= TICKS)
        works.broker.reload()
        await works.drained(agent)
        works.assert_balanced(agent)
        assert works.broker.process.alive
        saved = tmp_path / "mosquitto.db"
        assert not saved.exists() or saved.stat().st_size == 0


async def test_two_machines_with_one_agent_s_name_take_turns_and_both_are_stored(tmp_path, caplog):
    async with wired(tmp_path, ticks=TICKS) as works:
        await works.broker.start()
        ingest = works.ingest()
        twins = []
        for unit in works.plant.agents["edge-1"].units:  # one unit each: their samples can be told apart
            plant = replace(works.plant, agents={"edge-1": replace(works.plant.agents["edge-1"], units=(unit,))})
            outbox = unit.replace("/", "-")
            twins.append(works.agent("edge-1", outbox=outbox, plant=plant, clock=works.free_clock()))
        for twin in twins:
            works.start(twin)
        await works.drained(*twins)
        await works.until(lambda: len(lines(caplog, "has another program connected as edge-1")) == 2)
        assert all(counts.confirmed == counts.appended for counts in (twin.ledger_counts() for twin in twins))
        assert sum(twin.ledger_counts().appended for twin in twins) == 2 * TICKS
        assert stored_samples(works.store, works.plant, "edge-1") == 2 * TICKS
        assert ingest.counts.dead_letters == 0
    assert len(lines(caplog, "two outboxes are alive as agent edge-1")) <= 1


async def test_rights_of_an_older_plant_file_are_told_and_cost_nothing_once_they_are_renewed(tmp_path, caplog):
    async with wired(tmp_path, ticks=TICKS) as works:
        await works.broker.start()
        works.made.plant.write_text(plant_text({"edge-1": ("u1", "u2", "u3"), "edge-2": ("u4",)}), "utf-8")
        moved = load(works.made.plant)
        ingest = works.ingest(plant=moved)
        agent = works.agent("edge-1", plant=moved, resend_ms=100, clock=works.paced_clock(30))
        works.start(agent)
        await works.until(lambda: lines(caplog, "of these alone none is confirmed"))
        assert works.made.init() == 0
        works.broker.reload()
        await works.drained(agent)
        counts = agent.ledger_counts()
        assert (counts.confirmed, counts.evicted) == (3 * TICKS, 0)
        assert stored_samples(works.store, moved, "edge-1") == 3 * TICKS
        assert ingest.counts.dead_letters == 0
    doubted = lines(caplog, "of these alone none is confirmed")
    assert all("site/area/line/u3" in line for line in doubted)
    assert len(doubted) == len(lines(caplog, "messages of site/area/line/u3 are confirmed again"))


async def test_an_ingest_service_that_is_not_there_is_missed(tmp_path, caplog):
    async with wired(tmp_path, ticks=TICKS) as works:
        await works.broker.start()
        agent = works.agent("edge-1", resend_ms=100)
        works.start(agent)
        await works.until(lambda: lines(caplog, "nobody confirms them"))
        ingest = works.ingest()
        await works.drained(agent)
        works.assert_balanced(agent)
        assert ingest.counts.dead_letters == 0
    missed = lines(caplog, "nobody confirms them")
    assert (
        len(missed) == len(lines(caplog, "are confirmed again")) <= 3
    )  # resends so quick that a pause may look like it


async def test_two_agents_on_one_unit_are_told_by_ingest_and_the_owner_loses_nothing(tmp_path, caplog):
    async with wired(tmp_path, ticks=TICKS) as works:
        works.made.plant.write_text(plant_text({"edge-1": ("u1", "u2"), "edge-2": ("u3", "u4")}), "utf-8")
        rights = works.made.directory / "mosquitto" / "rights"
        text = rights.read_text("utf-8")
        own = "v1/works/site/area/line/u3/samples/edge-2"
        rights.write_text(text.replace(own, own.replace("u3", "u1")), "utf-8")  # a broker with the thief's idea
        file = tmp_path / "another.yaml"
        file.write_text(plant_text({"edge-2": ("u1",), "edge-1": ("u2",)}), "utf-8")
        await works.broker.start()
        ingest = works.ingest()
        owner = works.agent("edge-1")
        thief = works.agent("edge-2", plant=load(file), clock=works.free_clock())
        for agent in (owner, thief):
            works.start(agent)
        await works.drained(owner, thief)
        works.assert_balanced(owner)
        assert thief.ledger_counts().confirmed == TICKS == ingest.rejected("edge-2")
        assert ingest.counts.by_reason == {Refusal.NOT_OWNER: TICKS}
    told = lines(caplog, "not_owner")
    assert len(told) == 3  # at the first, tenth and hundredth
    assert "two agents on one unit?" in told[0]
