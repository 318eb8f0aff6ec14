"""`autofi policy` over both files: one digest names whichever waits, and every answer says which file it is about."""

from __future__ import annotations

import pytest

from app.settings import STRATEGIES_FILE, load_catalog
from memory import books
from memory.database import open_database
from memory.hash_chain import Book
from memory.policies import SqlCatalogStore, SqlPolicyStore
from tests.builders import NOW
from tests.repository import ROOT
from tests.test_policy_commands import Home, refusal

LOOSER = ("feed_heartbeat_seconds = ", "feed_heartbeat_seconds = 1000")


class BothFiles(Home):
    def __init__(self, folder):
        super().__init__(folder)
        self.strategies = folder / STRATEGIES_FILE
        self.strategies.write_text((ROOT / "config" / STRATEGIES_FILE).read_text())
        self.edit("changes.loosening_delay_seconds", "0")
        self.data("apply")

    def loosen_catalog(self):
        self.strategies.write_text(self.strategies.read_text().replace(*LOOSER, 1))

    def catalog(self):
        return load_catalog(self.strategies)


@pytest.fixture
def home(tmp_path):
    return BothFiles(tmp_path)


def test_a_looser_catalog_goes_its_whole_way_by_command(home):
    before = home.catalog()
    home.loosen_catalog()
    digest = home.catalog().digest()

    planned = home.data("diff")
    (proposed,) = home.data("apply")
    waiting = home.data("pending")
    own = refusal(home.type("approve", digest))
    approved = home.type("approve", digest[:8], "--as", "alice")
    between = home.data("show")["catalog"]["digest"]
    (adopted,) = home.data("apply")

    (change,) = planned["catalog"]["changes"]
    assert (change["key"].partition(".")[0], change["direction"], planned["changes"]) == ("tokens", "looser", [])
    assert "if proposed now" in change["takes_effect"]
    assert (proposed["kind"], proposed["digest"]) == ("catalog_proposed", digest)
    assert (waiting["pending"], waiting["catalog"]["digest"]) == (None, digest)
    assert "four_eyes: catalog" in own
    assert "next start of a server" in approved.stdout
    assert between == before.digest()
    assert (adopted["kind"], adopted["by"]) == ("catalog_adopted", "alice")
    assert home.data("show")["catalog"]["digest"] == digest


def test_each_digest_answers_its_own_proposal_where_both_wait(home):
    home.loosen_catalog()
    home.edit("budgets.max_week_value_usd", "9_000_000")
    home.data("apply")

    of_policy = home.data("reject", home.digest(), "--reason", "too much", "--as", "alice")
    unknown = refusal(home.type("approve", "0" * 64, "--as", "alice"))
    of_catalog = home.data("reject", home.catalog().digest(), "--reason", "too slow", "--as", "alice")

    assert [event["kind"] for event in (*of_policy, *of_catalog)] == ["policy_refused", "catalog_refused"]
    assert "is not the catalog that waits" in unknown
    assert home.data("pending") == {"pending": None, "catalog": None}


def test_people_are_told_which_file_is_meant(home):
    home.loosen_catalog()

    diff, applied, pending = home.type("diff").stdout, home.type("apply").stdout, home.type("pending").stdout
    shown, history = home.type("show").stdout, home.type("history").stdout

    assert all(words in diff for words in ("policy in force", "catalog in force", "differences of the catalog"))
    assert all(words in applied for words in ("proposed by bob: catalog", "autofi policy approve"))
    assert all(words in pending for words in ("catalog ", "waits for an approval", "feed_heartbeat_seconds"))
    assert f"digest {load_catalog(ROOT / 'config' / STRATEGIES_FILE).digest()}, in force since" in " ".join(
        shown.split()
    )
    assert all(word in history for word in ("catalog", "policy", "adopted", "proposed"))


def test_the_diff_of_a_named_file_is_about_the_policy_alone(home):
    home.loosen_catalog()

    assert home.data("diff", str(home.file))["catalog"] is None


@pytest.mark.parametrize("store", [SqlPolicyStore, SqlCatalogStore])
def test_only_what_cannot_be_read_is_adopted(home, store):
    database = open_database(f"sqlite:///{home.folder / 'autofi.db'}")
    event = store(database).history()[0]
    foreign = event.model_copy(update={"text": {**event.text, "moon_phase": "full"}})
    with database.writing() as connection:
        body = foreign.model_dump_json().encode()
        books.append(connection, Book.TRADING, kind=event.kind, subject=event.digest, body=body, at=NOW)
    database.close()

    (adopted,) = home.data("adopt", "--reason", "a newer program", "--yes", "--as", "alice")

    assert adopted["kind"] == event.kind
    assert "readable" in refusal(home.type("adopt", "--reason", "again", "--yes"))
