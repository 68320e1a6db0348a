"""The section on the network's wrong answers, each with a heat map."""

from pipeline.documents.mistakes import Mistake
from pipeline.report.album import data_uri
from pipeline.report.gather import Facts
from pipeline.report.numbers import percent
from pipeline.report.sections import Card, Gallery, Section


def sections(facts: Facts) -> list[Section]:
    """Build the section, the most confident mistakes first; none if verify had no labels."""
    found, verified = facts.mistakes, facts.verified
    if found is None or verified is None:
        return []
    if not found.wrong:
        return [Section("mistakes", "Wrong answers", f"The Keras model is right on all {verified.judged_on}.")]
    lead = (
        f"The Keras model is wrong on {found.wrong:,} of {verified.judged_on}. The picture beside each image shows "
        "where the network looked: the brighter a place, the more it contributes to the answer."
    )
    more = found.wrong > len(found.shown)
    title = f"The {len(found.shown)} with the highest probability" if more else "The highest probability first"
    return [Section("mistakes", "Wrong answers", lead, galleries=[Gallery(title, [_card(row) for row in found.shown])])]


def _card(row: Mistake) -> Card:
    return Card(
        (data_uri(row.picture), data_uri(row.heat)),
        f"{row.shows}, taken for {row.taken_for}",
        (
            f"{row.taken_for} {percent(row.probability, 0)}, {row.shows} {percent(row.own_probability, 0)}",
            row.path or f"image {row.image:,}",
        ),
    )
