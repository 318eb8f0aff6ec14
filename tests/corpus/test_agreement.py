"""The corpus is what its generator writes, holds what it promises, and the guards agree with every entry."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter

import pytest

from domain.errors import InvariantBroken
from guards import check
from tests.corpus.entry import FOLDER, Entry, Expected, evidence_of, lay_over, load, load_bases
from tests.corpus.generate import corpus_files, difference
from tests.repository import ROOT

ENTRIES = load()
BASE_DOCUMENTS = load_bases()
FEWEST_ALLOWED = 40
FEWEST_FORBIDDEN = 150
MOST_BYTES = 2_000_000
UNREACHABLE = {
    "evidence_invalid",  # of values that are no evidence at all, which this data cannot spell
    "trading_state",  # the row that passes
}
FOLLOWING = {"policy_digest", "snapshot_digest"}
"""Terms that change with evidence about policy and snapshot."""


@pytest.mark.parametrize("id_", ENTRIES)
def test_guards_agree(id_: str) -> None:
    entry = ENTRIES[id_]

    verdict = check(evidence_of(entry, ENTRIES, BASE_DOCUMENTS))

    assert tuple(sorted({denial.code for denial in verdict.denials})) == entry.codes
    assert verdict.is_pass is (entry.expected is not Expected.DENY)
    assert (verdict.is_pass and verdict.needs_approval) is (entry.expected is Expected.WAIT)
    assert entry.is_exit in {None, verdict.is_exit}
    assert verdict.batch_digest == entry.batch_digest


def test_committed_files_are_what_the_generator_writes() -> None:
    committed = {path.name: path.read_text() for path in FOLDER.iterdir()}

    assert committed == corpus_files(), "run: python -m tests.corpus.generate"


def test_there_are_enough_of_both_kinds_in_little_space() -> None:
    kinds = Counter(entry.expected for entry in ENTRIES.values())

    assert kinds[Expected.ALLOW] >= FEWEST_ALLOWED
    assert kinds[Expected.DENY] >= FEWEST_FORBIDDEN
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MOST_BYTES


def test_every_code_that_can_deny_a_transaction_has_an_entry() -> None:
    rows = [line for line in (ROOT / "docs/guards.md").read_text().splitlines() if line.count("|") == 5]
    documented = {code for row in rows for code in re.findall(r"`([a-z_0-9]+)`", row.split("|")[2])}

    shown = {code for entry in ENTRIES.values() for code in entry.codes}

    assert documented - shown == UNREACHABLE
    assert shown <= documented


def test_every_forbidden_entry_has_an_allowed_neighbour_and_says_what_differs() -> None:
    for entry in ENTRIES.values():
        if entry.expected is Expected.ALLOW:
            assert (entry.neighbour, entry.difference, entry.differs_in, entry.code) == (None, None, None, None)
            continue
        neighbour = ENTRIES[entry.neighbour or ""]
        assert (neighbour.expected, neighbour.base) == (Expected.ALLOW, entry.base), entry.id
        assert entry.sentence == f"{neighbour.sentence}, but {entry.difference}"
        assert entry.code in {*entry.codes, None}
        assert (entry.code is None) is (entry.expected is Expected.WAIT)


def terms_of(entry: Entry) -> dict[str, object]:
    return entry.terms.model_dump(exclude=FOLLOWING)


def differs_where_it_says(entry: Entry, neighbour: Entry) -> bool:
    same_bytes = entry.envelope == neighbour.envelope
    same_terms = (terms_of(entry), entry.calls) == (terms_of(neighbour), neighbour.calls)
    if entry.differs_in == "bytes":
        return not same_bytes
    if entry.differs_in == "terms":
        return same_bytes and (not same_terms or entry.terms != neighbour.terms)
    return same_bytes and same_terms and entry.evidence != {}


def test_an_entry_differs_from_its_neighbour_where_it_says() -> None:
    forbidden = [entry for entry in ENTRIES.values() if entry.neighbour is not None]

    assert [e.id for e in forbidden if not differs_where_it_says(e, ENTRIES[e.neighbour or ""])] == []


def test_no_entry_repeats_another() -> None:
    seen = Counter(
        (entry.neighbour, entry.base, entry.model_dump_json(include={"envelope", "calls", "terms", "evidence"}))
        for entry in ENTRIES.values()
    )

    assert [key[0] for key, count in seen.items() if count > 1] == []


def test_another_process_computes_the_same_digest_from_the_file_alone() -> None:
    """As README.md of the corpus tells it, with nothing but JSON and sha256."""
    entry = ENTRIES["supply-but-other-calls"]
    catalog = BASE_DOCUMENTS[entry.base]["catalog"]
    assert isinstance(catalog, dict)
    terms, calls = entry.terms.model_dump(mode="json"), [call.model_dump(mode="json") for call in entry.calls or ()]
    named = {
        **terms,
        "account": catalog["account"],
        "calls": calls,
        "chain_id": str(catalog["chain_id"]),
        "envelope": entry.envelope.model_dump(mode="json"),
        "expires_at": "2026-03-01T12:10:00+00:00",
    }

    canonical = json.dumps(named, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert hashlib.sha256(b"autofi-batch-v1\0" + canonical.encode()).hexdigest() == entry.batch_digest


def test_laying_over_a_difference_gives_the_changed_document_again() -> None:
    below = {"kept": 1, "nested": {"a": [1, 2], "b": None}, "gone": {"x": 1}}
    above = {"kept": 1, "nested": {"a": [], "b": {"new": 1}}, "gone": None, "added": "text"}

    patch = difference(below, above)

    assert patch == {"nested": {"a": [], "b": {"new": 1}}, "gone": None, "added": "text"}
    assert lay_over(below, patch) == above


def test_a_key_that_would_have_to_go_is_refused() -> None:
    with pytest.raises(InvariantBroken, match=r"keys \['a'\] cannot be taken away"):
        difference({"a": 1}, {})
