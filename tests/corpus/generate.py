"""Writes the corpus: every specimen as data, its evidence as what differs from its neighbour or its base.

python -m tests.corpus.generate
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from eth_abi.exceptions import DecodingError

from domain.errors import InvariantBroken
from domain.verdict import Evidence
from guards.decode import decode_batch
from tests.corpus import (
    circumstances,
    limits_exposure,
    limits_freshness,
    limits_judgement,
    neighbours_arguments,
    neighbours_calls,
    neighbours_wrapper,
    samples,
    simulations,
)
from tests.corpus.entry import BASES, FOLDER, Document, Entry, Group, Terms, inner_calls
from tests.corpus.moves import supply
from tests.corpus.scene import BOOKS, make_evidence, surrounding
from tests.corpus.specimen import Specimen

GROUPS: Final[Mapping[str, tuple[str, Sequence[Specimen]]]] = {
    "1-samples": ("What is built, in every form", samples.ALLOWED),
    "2-arguments": (neighbours_arguments.__doc__ or "", neighbours_arguments.neighbours()),
    "3-calls": (neighbours_calls.__doc__ or "", neighbours_calls.neighbours()),
    "4-wrappers": (neighbours_wrapper.__doc__ or "", neighbours_wrapper.ALLOWED + neighbours_wrapper.neighbours()),
    "5-simulations": (simulations.__doc__ or "", simulations.specimens()),
    "6-circumstances": (circumstances.__doc__ or "", circumstances.specimens()),
    "7-exposure": (limits_exposure.__doc__ or "", limits_exposure.specimens()),
    "8-judgement": (limits_judgement.__doc__ or "", limits_judgement.specimens()),
    "9-freshness": (limits_freshness.__doc__ or "", limits_freshness.specimens()),
}


def write_corpus(folder: Path = FOLDER) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in corpus_files().items():
        (folder / name).write_text(text)


def corpus_files() -> dict[str, str]:
    """File name -> text, always the same."""
    bases = {base: _base(base) for base in BOOKS}
    specimens = {specimen.id: specimen for _, group in GROUPS.values() for specimen in group}
    files = {BASES.name: _pretty(bases, depth=2) + "\n"}
    for name, (about, group) in GROUPS.items():
        entries = tuple(_entry(specimen, specimens, bases) for specimen in group)
        group_document = Group(about=about.splitlines()[0], entries=entries).model_dump(mode="json")
        files[f"{name}.json"] = _pretty(group_document, depth=3) + "\n"
    return files


def _base(base: str) -> Document:
    """As JSON has it; what an entry must bring is left out."""
    sample = make_evidence([supply("aave-usdc", 1)], base=base)
    return dict(sample.model_dump(mode="json", include=set(surrounding(base))))


def _entry(specimen: Specimen, specimens: Mapping[str, Specimen], bases: Mapping[str, Document]) -> Entry:
    evidence, plan = specimen.evidence, specimen.evidence.plan
    below = bases[specimen.base] if specimen.neighbour is None else _around(specimens[specimen.neighbour].evidence)
    return Entry(
        id=specimen.id,
        sentence=specimen.sentence,
        family=specimen.family,
        expected=specimen.expected,
        code=specimen.codes[0] if specimen.codes else None,
        codes=tuple(sorted(specimen.codes)),
        is_exit=specimen.is_exit,
        base=specimen.base,
        neighbour=specimen.neighbour,
        difference=specimen.difference,
        differs_in=specimen.differs_in,
        batch_digest=plan.batch_digest(),
        envelope=plan.envelope,
        calls=None if _is_explained(evidence) else plan.calls,
        terms=Terms.model_validate({name: getattr(plan, name) for name in Terms.model_fields}),
        evidence=difference(below, _around(evidence)),
    )


def _is_explained(evidence: Evidence) -> bool:
    """Whether the plan's calls are those packed in the envelope."""
    try:
        return inner_calls(evidence.plan.envelope) == evidence.plan.calls
    except (DecodingError, OverflowError, ValueError):  # many envelopes are broken on purpose
        return False


def _around(evidence: Evidence) -> Document:
    """All but the plan, which the entry tells by envelope and terms; the judged batch only where it is not theirs."""
    document = evidence.model_dump(mode="json", exclude={"plan", "batch"})
    plan, catalog = evidence.plan, evidence.catalog
    stated = {"chain_id": plan.chain_id, "account": plan.account}
    own = {"chain_id": catalog.chain_id, "account": catalog.account}
    if stated != own:
        document["plan"] = stated
    if evidence.batch != decode_batch(plan.envelope, catalog=catalog):
        document["batch"] = evidence.batch.model_dump(mode="json")
    return dict(document)


def difference(below: Mapping[str, object], above: Mapping[str, object]) -> Document:
    """What laid over `below` gives `above`. Raises InvariantBroken for a key that would have to go."""
    if missing := set(below) - set(above):
        raise InvariantBroken(f"keys {sorted(missing)} cannot be taken away by laying something over them")
    patch: Document = {}
    for key, value in above.items():
        if key in below and below[key] == value:
            continue
        under = below.get(key)
        is_open = isinstance(under, dict) and isinstance(value, dict) and set(under) <= set(value)
        patch[key] = difference(under, value) if is_open else value  # type: ignore[arg-type]  # both are dicts
    return patch


def _pretty(document: object, *, depth: int) -> str:
    """JSON with a line for every key or element down to `depth`, and one line for what is deeper."""
    if depth == 0 or not isinstance(document, (dict, list)) or not document:
        return json.dumps(document, ensure_ascii=False)
    if isinstance(document, list):
        return "[\n" + ",\n".join(_pretty(item, depth=depth - 1) for item in document) + "\n]"
    rows = (f"{json.dumps(key)}: {_pretty(value, depth=depth - 1)}" for key, value in document.items())
    return "{\n" + ",\n".join(rows) + "\n}"


if __name__ == "__main__":
    write_corpus()
