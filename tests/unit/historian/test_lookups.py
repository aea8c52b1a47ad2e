"""Letters in place of site names: one each, steady, and not in the order of the file."""

from dataclasses import replace

from historian.lookups import letters_of, lookup_points
from historian.schema import SITE_ID, SITE_LETTER, Measurement
from shopfloor.plant_file import load
from tests.filled_plant import PLANT_FILE


def test_every_site_has_a_letter_of_its_own_that_stays() -> None:
    plant = load(PLANT_FILE)
    sites = tuple(replace(plant.sites[0], id=f"site-{number}") for number in range(30))
    many = replace(plant, sites=sites)
    letters = letters_of(many)
    assert len(set(letters.values())) == 30
    assert {"A", "Z", "AA", "AD"} <= set(letters.values())
    assert letters == letters_of(replace(many, sites=sites[::-1]))
    in_file = [letters[site.id] for site in sites]
    assert in_file != sorted(in_file, key=lambda letter: (len(letter), letter))
    told = {each.tags["site"]: each.fields for each in lookup_points(many) if each.measurement == Measurement.SITES}
    assert {site: fields[SITE_LETTER] for site, fields in told.items()} == letters
    assert all(fields[SITE_ID] == site for site, fields in told.items())
