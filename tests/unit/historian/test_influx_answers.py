"""What a server's answer means. The words are those of 1.6.7 and 2.7, recorded, and of the documentation of 3.x."""

import pytest

from historian.influx_access import InfluxAccess
from historian.influx_answers import LinesRefused, ServerFault, TooLarge, wait_s, words_of, write_fault

ACCESS = InfluxAccess(base="http://db:8086", database="ceper")


def judged(status: int, body: str = "", **headers: str) -> object:
    return write_fault(
        ACCESS, status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode()
    )


@pytest.mark.parametrize("status", [200, 204])
def test_success_is_no_fault(status: int) -> None:
    assert judged(status) is None


@pytest.mark.parametrize(
    ("status", "body", "dropped"),
    [
        (400, '{"error":"partial write: points beyond retention policy dropped=2"}', 2),
        (
            400,
            '{"error":"partial write: field type conflict: input field \\"x\\" on measurement \\"m\\" is type string, '
            'already exists as type float dropped=1"}',
            1,
        ),
        (400, '{"error":"field type conflict"}', None),
        (400, '{"error":"partial write: unable to parse \'m x= 1\': missing field value dropped=0"}', 0),
        (400, '{"error":"partial write: max-values-per-tag limit exceeded (1/1): tag=\\"t\\" dropped=1"}', 1),
        (
            422,
            '{"code":"unprocessable entity","message":"failure writing points to database: partial write: points '
            'beyond retention policy dropped=1"}',
            1,
        ),
        (
            422,
            '{"code":"unprocessable entity","message":"failure writing points to database: partial write: dropped 3 '
            'points outside retention policy of duration 24h0m0s - oldest point samples"}',
            3,
        ),
        (400, '{"code":"invalid","message":"unable to parse \'m x= 1\': missing field value"}', None),
        (400, '{"error":"partial write of line protocol occurred","data":[{"line_number":2}]}', None),
    ],
)
def test_words_about_lines_refuse_lines(status: int, body: str, dropped: int | None) -> None:
    fault = judged(status, body)
    assert isinstance(fault, LinesRefused)
    assert (fault.sure, fault.dropped) == (True, dropped)


def test_a_refused_line_may_say_anything() -> None:
    fault = judged(400, '{"error":"unable to parse \'m x_a_text=database not found\': missing quote"}')
    assert isinstance(fault, LinesRefused)


def test_a_limit_of_the_server_is_told_with_its_remedy() -> None:
    assert "raise max-values-per-tag in" in str(
        judged(400, '{"error":"partial write: max-values-per-tag limit exceeded (1/1) dropped=1"}')
    )


def test_other_words_of_refusal_are_not_sure_to_be_about_lines() -> None:
    fault = judged(400, "Client sent an odd request")
    assert isinstance(fault, LinesRefused)
    assert not fault.sure


def test_too_large_is_told_apart() -> None:
    assert isinstance(judged(413, '{"error":"Request Entity Too Large"}'), TooLarge)


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (401, '{"error":"authorization failed"}', "SHOPFLOOR_HISTORIAN_TOKEN"),
        (401, '{"code":"unauthorized","message":"unauthorized access"}', "SHOPFLOOR_HISTORIAN_TOKEN"),
        (403, '{"error":"\\"reader\\" user is not authorized to write to database \\"ceper\\""}', "the right to"),
        (404, '{"error":"database not found: \\"ceper\\""}', "shopfloor historian init"),
        (404, '{"code":"not found","message":"no dbrp mapping found"}', "shopfloor historian init"),
        (500, '{"error":"retention policy not found: raw"}', "shopfloor historian init"),
        (400, "Client sent an HTTP request to an HTTPS server.", "write https://"),
        (404, "404 page not found", "does not look like an InfluxDB"),
        (301, "", "does not look like an InfluxDB"),
    ],
)
def test_what_only_a_person_can_mend_is_kept_and_told_with_its_remedy(status: int, body: str, remedy: str) -> None:
    fault = judged(status, body)
    assert isinstance(fault, ServerFault)
    assert fault.final
    assert remedy in str(fault)
    assert "\n" not in str(fault)
    assert fault.retry_after_s >= 5


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, ""),
        (503, '{"error":"overloaded"}'),
        (500, '{"error":"timeout"}'),
        (500, '{"error":"engine: cache-max-memory-size exceeded: (1073741824/1073741824)"}'),
        (502, "<html>Bad Gateway</html>"),
    ],
)
def test_what_passes_is_kept_and_tried_again_after_what_the_server_asks(status: int, body: str) -> None:
    fault = judged(status, body, Retry_After="17")
    assert isinstance(fault, ServerFault)
    assert not fault.final
    assert fault.retry_after_s == 17


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 1.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "999999"}, 300.0),
        ({"Retry-After": "inf"}, 300.0),
        ({"Retry-After": "soon"}, 1.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:07 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 7.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:07 GMT"}, 1.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float) -> None:
    assert wait_s(headers) == seconds


def test_words_are_one_printable_line_of_bounded_length() -> None:
    assert words_of(b'{"error":"a\\n\\u0007b"}') == "a b"
    assert words_of(b"\xff\x00oops") == "\ufffd oops"
    assert words_of(b"") == "no words"
    assert len(words_of(b"x" * 10_000)) == 500
