"""``shopfloor deadletters`` on a real file and store: listed, shown safely, replayed, and clear refusals."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import main
from cli.terminal_text import plain, pretty
from historian.connect import connect
from historian.records import unit_query
from historian.schema import Measurement
from ingest.dead_letters import DeadLetters
from ingest.mapping import DeadLetter
from shopfloor.clock import Trust

PLANT = str(Path(__file__).parents[3] / "plants" / "ceper" / "plant.yaml")
UNIT = "ceper/machining/line-1/cnc-01"
NOON = 1_763_830_000_000
NASTY = "\x1b[2J\x1b]0;owned\x07‮gnp.exe"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOPFLOOR_DATA", str(tmp_path))
    monkeypatch.delenv("SHOPFLOOR_HISTORIAN", raising=False)
    return tmp_path


@pytest.fixture
def letters(folder: Path) -> Iterator[DeadLetters]:
    found = DeadLetters(folder / "dead_letters.db")
    yield found
    found.close()


def refused(
    seq: int, reason: str = "unknown_unit", clock: Trust = Trust.SYNCED, agent: str = "edge-ceper-1"
) -> DeadLetter:
    sample = {"seq": seq, "t": NOON + seq * 1_000, "v": {"state": 1, "good": seq}}
    return DeadLetter(
        topic=f"v1/logam-jaya/{UNIT}/samples/{agent}",
        payload=json.dumps(sample).encode(),
        reason=reason,
        detail="it was not in the plant file",
        received=NOON + seq * 60_000,
        agent=agent,
        outbox="5f0c",
        seq=seq,
        clock=clock,
    )


def garbage(payload: bytes) -> DeadLetter:
    return DeadLetter(topic=f"v1/{NASTY}", payload=payload, reason="wrong_topic", detail=NASTY * 9, received=NOON)


def run(*arguments: str) -> int:
    return main(["deadletters", *arguments])


def test_letters_are_listed_newest_first_with_their_counts(
    letters: DeadLetters, capsys: pytest.CaptureFixture[str]
) -> None:
    letters.add([refused(1), refused(2, "bad_time"), refused(3)])
    assert run("list") == 0
    *lines, summary = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["3", "2", "1"]
    assert lines[1].split()[1:5] == ["2025-11-22T16:48:40Z", "bad_time", "edge-ceper-1", "2"]
    assert summary == "3 in all: bad_time 1, unknown_unit 2"
    assert run("list", "--reason", "unknown_unit", "--limit", "1", "--agent", "edge-ceper-1") == 0
    assert capsys.readouterr().out.splitlines()[0].split()[0] == "3"
    assert run("list", "--since", "2025-11-22T16:49:00Z", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [item["id"] for item in told["items"]] == [3]
    assert (told["by_reason"], told["dropped"]) == ({"bad_time": 1, "unknown_unit": 2}, 0)


def test_nothing_that_a_stranger_sent_reaches_the_terminal_raw(
    letters: DeadLetters, capsys: pytest.CaptureFixture[str]
) -> None:
    letters.add([garbage(f'{{"a": "{NASTY}"}}'.encode()), garbage(NASTY.encode() + b"\xff\r\n"), garbage(b"[" * 9_000)])
    for command in (["list"], *(["show", str(number)] for number in (1, 2, 3))):
        assert run(*command) == 0
        out = capsys.readouterr().out
        assert all(line.isprintable() for line in out.splitlines()), command
        assert len(out) < 20_000


def test_a_letter_is_shown_with_its_payload_laid_out(letters: DeadLetters, capsys: pytest.CaptureFixture[str]) -> None:
    letters.add([refused(7)])
    assert run("show", "1") == 0
    head, _, payload = capsys.readouterr().out.partition("\n\n")
    assert "reason:    unknown_unit" in head
    assert "seq:       7" in head
    assert json.loads(payload) == json.loads(refused(7).payload)
    assert '  "seq": 7,' in payload.splitlines()
    assert run("show", "99") == 1
    assert "there is no letter 99" in capsys.readouterr().err


def test_keys_that_come_twice_are_both_shown() -> None:
    assert pretty(b'{"a":1,"a":2}') == '{\n  "a": 1,\n  "a": 2\n}'
    assert pretty(b"\x00\xfe{") == "\\x00\\xfe{"
    assert plain("Tungku – 5 °C\t\x9b") == "Tungku – 5 °C\\t\\x9b"


def test_a_replay_tells_what_it_stored_and_what_it_kept(
    folder: Path, letters: DeadLetters, capsys: pytest.CaptureFixture[str]
) -> None:
    letters.add([refused(1), refused(2), refused(3, agent="edge-other"), refused(4, clock=Trust.UNSYNCED)])
    for flags, would in ((["--dry-run"], "would be "), ([], "")):
        assert run("replay", PLANT, "--all", *flags) == 0
        unit, summary, hint = capsys.readouterr().out.splitlines()
        assert unit == f"{UNIT}  2"
        kept = "clock_unsynced 1, not_owner 1"
        assert summary in {
            f"4 letters: {would}stored 2, {would}kept 2: {kept}",
            f"4 letters: {would}stored 2, {would}kept 2: {', '.join(reversed(kept.split(', ')))}",
        }
        assert "--accept-times" in hint
    assert letters.count() == 2
    assert run("replay", PLANT, "4", "99", "--accept-times") == 0
    told = capsys.readouterr().out
    assert "stored 1, kept 0" in told
    assert "no letter that tells its sample: 99" in told
    store = connect(str(folder / "historian"))
    assert store.count(unit_query(Measurement.SAMPLES, "logam-jaya", UNIT)) == 3
    store.close()


def test_letters_of_one_outbox_are_moved_to_the_time_that_a_person_knows(
    folder: Path, letters: DeadLetters, capsys: pytest.CaptureFixture[str]
) -> None:
    letters.add([refused(seq, "clock_unsynced", Trust.UNSYNCED) for seq in (5, 6)])
    assert run("replay", PLANT, "--reason", "clock_unsynced", "--shift-to", "2025-11-20T08:00:00+07:00") == 0
    assert "stored 2" in capsys.readouterr().out
    store = connect(str(folder / "historian"))
    found = store.read(unit_query(Measurement.SAMPLES, "logam-jaya", UNIT))
    store.close()
    assert [point.time for point in found] == [1_763_600_400_000, 1_763_600_401_000]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["replay", PLANT], "or --all alone"),
        (["replay", PLANT, "1", "--all"], "or --all alone"),
        (["replay", PLANT, "--all", "--shift-to", "2025-11-20T08:00:00Z"], "one outbox"),
        (["replay", PLANT, "--all", "--shift-to", "noon"], "noon"),
        (["list", "--since", "yesterday"], "yesterday"),
        (["list", "--limit", "0"], "--limit"),
    ],
)
def test_a_wrong_question_is_told_what_to_do(
    letters: DeadLetters, capsys: pytest.CaptureFixture[str], command: list[str], words: str
) -> None:
    letters.add([refused(1)])
    assert run(*command) == 2
    assert words in capsys.readouterr().err
    assert letters.count() == 1


def test_a_folder_without_letters_is_not_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 1
    assert "set SHOPFLOOR_DATA" in capsys.readouterr().err
    assert list(folder.iterdir()) == []
