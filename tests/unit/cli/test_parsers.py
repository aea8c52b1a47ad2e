from cli.parsers import BY
from kpi_api.questions import By


def test_the_command_line_cuts_windows_as_the_api_does() -> None:
    """The parser spells the words itself, so that an edge box needs no API to know its options."""
    assert tuple(By) == BY
