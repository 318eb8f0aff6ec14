"""`autofi policy` from the first start to a loosened limit, as two people use it, on a home without a chain."""

from __future__ import annotations

import json
import re
import shutil
from datetime import datetime, timedelta

import pytest

from app.books import note_identity
from app.policy_edit import replace_limit
from app.settings import POLICY_FILE, load_policy
from memory import books
from memory.database import open_database
from memory.hash_chain import Book
from memory.policies import SqlPolicyStore
from tests.builders import NOW, POLICY_PATH
from tests.fakes import Treasury
from tests.processes import Answer, autofi

IN_FORCE = "policy: the file is in force\ncatalog: the file is in force\n"


class Home:
    """A home with a database and a policy file; bob's machine."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / POLICY_FILE
        shutil.copyfile(POLICY_PATH, self.file)
        open_database(f"sqlite:///{folder / 'autofi.db'}").close()

    def type(self, *words: str, **environment: object) -> Answer:
        return autofi("policy", *words, AUTOFI_HOME=self.folder, AUTOFI_USER="bob", **environment)

    def data(self, *words: str):
        answer = self.type(*words, "--json")
        assert answer.exit_code == 0, answer
        return json.loads(answer.stdout)

    def edit(self, key, value):
        replace_limit(self.file, *key.split("."), value)

    def digest(self):
        return load_policy(self.file).digest()


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path)
    home.data("apply")
    return home


@pytest.fixture
def quick_home(tmp_path):
    """Loosening waits for a second person and not for a day."""
    home = Home(tmp_path)
    home.edit("changes.loosening_delay_seconds", "0")
    home.data("apply")
    return home


def refusal(answer: Answer) -> str:
    assert (answer.exit_code, answer.stdout) == (2, ""), answer
    (line,) = answer.stderr.splitlines()
    return line


def test_the_first_start_adopts_the_file(tmp_path):
    home = Home(tmp_path)

    before, (event, of_catalog), after = home.type("diff"), home.data("apply"), home.type("apply")

    assert "nothing is in force yet; the first start adopts the file" in before.stdout
    assert (event["kind"], event["by"], event["digest"]) == ("policy_adopted", "bob", home.digest())
    assert (of_catalog["kind"], of_catalog["by"]) == ("catalog_adopted", "bob")
    assert after.stdout == IN_FORCE


def test_show_tells_what_is_in_force_and_not_what_the_file_says(home):
    in_force = home.digest()
    home.edit("budgets.max_week_value_usd", "9_000_000")
    home.data("apply")

    shown, of_file = home.data("show"), home.data("show", str(home.file))

    assert shown["digest"] == in_force
    assert datetime.fromisoformat(shown["since"]).tzinfo is not None
    assert shown["policy"]["budgets"]["max_week_value_usd"] == "3000000"
    assert (of_file["digest"], of_file["since"]) == (home.digest(), None)


def test_a_tighter_limit_is_in_force_after_the_next_command(home):
    home.edit("approval.min_value_without_approval_usd", "10_000")

    planned, (event,) = home.data("diff"), home.data("apply")

    assert planned["changes"] == [
        {
            "key": "approval.min_value_without_approval_usd",
            "before": "400000",
            "after": "10000",
            "direction": "tighter",
            "takes_effect": "at once",
        }
    ]
    assert (event["kind"], event["in_force"], event["digest"]) == (
        "policy_tightened",
        planned["in_force"],
        home.digest(),
    )
    assert home.data("show")["digest"] == home.digest()
    assert home.data("diff")["changes"] == []


def test_a_looser_limit_says_when_it_takes_effect_before_and_after_it_is_proposed(home):
    home.edit("budgets.max_week_value_usd", "9_000_000")

    before = home.data("diff")["changes"]
    (event,) = home.data("apply")
    after = home.data("diff")["changes"]
    pending = home.data("pending")["pending"]

    assert "if proposed now (autofi policy apply)" in before[0]["takes_effect"]
    assert event["kind"] == "policy_proposed"
    assert after[0]["direction"] == "looser"
    assert re.fullmatch(r"when approved, from \d{4}-\d\d-\d\d \d\d:\d\d UTC", after[0]["takes_effect"])
    proposed, due = (datetime.fromisoformat(pending[name]) for name in ("proposed_at", "not_before"))
    assert due - proposed == timedelta(days=1)
    assert (pending["proposed_by"], pending["approved_by"], pending["digest"]) == ("bob", None, home.digest())


def test_two_people_and_a_delay_loosen_a_limit(home):
    home.edit("budgets.max_week_value_usd", "9_000_000")
    home.data("apply")
    short = home.digest()[:12]

    own = refusal(home.type("approve", short))
    approved = home.type("approve", short, "--as", "alice")
    too_early = home.type("apply")

    assert "four_eyes: policy" in own
    assert "--as NAME" in own
    assert "approved by alice" in approved.stdout
    assert "takes effect at the next command" in approved.stdout
    assert "`autofi policy pending` shows what waits" in too_early.stdout
    assert "approved by alice" in home.data("diff")["changes"][0]["takes_effect"]
    assert home.data("show")["policy"]["budgets"]["max_week_value_usd"] == "3000000"


def test_without_a_delay_the_next_command_after_the_approval_loosens(quick_home):
    quick_home.edit("budgets.max_week_value_usd", "9_000_000")
    quick_home.data("apply")
    quick_home.type("approve", quick_home.digest(), "--as", "alice")

    (event,) = quick_home.data("apply")

    assert (event["kind"], event["by"], event["digest"]) == ("policy_adopted", "alice", quick_home.digest())
    assert "proposed by bob" in event["reason"]
    assert quick_home.data("show")["digest"] == quick_home.digest()
    assert quick_home.data("pending")["pending"] is None


def test_a_rejected_policy_waits_no_longer_and_the_diff_says_so(home):
    home.edit("budgets.max_week_value_usd", "9_000_000")
    home.data("apply")

    rejected = home.type("reject", home.digest()[:8], "--reason", "too much", "--as", "alice")

    assert "refused by alice" in rejected.stdout
    assert home.type("pending").stdout.strip() == "nothing waits"
    assert "was refused" in home.data("diff")["changes"][0]["takes_effect"]
    assert home.data("apply") == []
    assert home.type("apply").stdout.startswith("policy: the file is not in force: what it loosens was refused")


def test_a_file_that_says_again_what_is_in_force_is_in_force_whatever_was_refused(home):
    home.edit("budgets.max_week_value_usd", "9_000_000")
    home.data("apply")
    home.type("reject", home.digest()[:8], "--reason", "too much", "--as", "alice")

    home.edit("budgets.max_week_value_usd", "3_000_000")

    assert home.type("apply").stdout == IN_FORCE


def test_before_the_first_start_a_shown_file_is_not_said_to_be_in_force(tmp_path):
    shown = Home(tmp_path).type("show")

    assert shown.exit_code == 0
    assert f"warning: nothing is in force yet; this is the file {tmp_path / POLICY_FILE}" in shown.stderr


def test_the_history_tells_who_did_what_newest_first(quick_home):
    quick_home.edit("budgets.max_week_value_usd", "9_000_000")
    quick_home.data("apply")
    quick_home.type("approve", quick_home.digest(), "--as", "alice")
    quick_home.data("apply")

    events, table = quick_home.data("history"), quick_home.type("history").stdout

    assert [(event["kind"], event["by"]) for event in events] == [
        ("policy_adopted", "alice"),
        ("policy_approved", "alice"),
        ("policy_proposed", "bob"),
        ("catalog_adopted", "bob"),
        ("policy_adopted", "bob"),
    ]
    assert "first start" in table
    assert autofi("audit", "verify", AUTOFI_HOME=quick_home.folder).exit_code == 0


def test_people_get_tables(home):
    home.edit("approval.min_value_without_approval_usd", "10_000")
    home.edit("budgets.max_week_value_usd", "9_000_000")

    diff, applied, pending = home.type("diff").stdout, home.type("apply").stdout, home.type("pending").stdout

    assert all(word in diff for word in ("takes effect", "tighter", "looser", "at once", "400000", "10000"))
    assert all(word in applied for word in ("tightened by bob", "proposed by bob", "autofi policy approve"))
    assert all(
        word in pending for word in ("waits for an approval", "budgets.max_week_value_usd", "autofi policy reject")
    )


def test_a_file_that_is_none_changes_nothing_and_names_its_line(home):
    before = home.data("show")
    text = home.file.read_text()
    home.file.write_text(text.replace("max_day_loss_usd = 5_000", "max_day_loss_usd = 50_000"))

    refusals = [refusal(home.type(command)) for command in ("apply", "diff", "check", "test")]

    line = text[: text.index("max_day_loss_usd")].count("\n") + 1
    said = f", line {line}: key 'budgets.max_day_loss_usd' is '50000'; allowed: at most 10000"
    assert [each for each in refusals if said not in each] == []
    assert home.data("show") == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("approve", "0" * 64, "--as", "alice"), "unknown_digest: no policy waits"),
        (("reject", "0" * 64, "--reason", "why"), "unknown_digest: no policy waits"),
        (("adopt", "--reason", "why"), "then add --yes"),
        (("adopt", "--reason", "why", "--yes"), "is in force and readable; edit the file instead"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(home, words, said):
    assert said in refusal(home.type(*words))


def test_the_file_that_another_version_wrote_is_adopted_on_request(home, tmp_path):
    break_reading(tmp_path)

    unreadable = refusal(home.type("show"))
    (event,) = home.data("adopt", "--reason", "a newer program", "--yes", "--as", "alice")

    assert "`autofi policy adopt --reason WHY --yes`" in unreadable
    assert (event["kind"], event["by"], event["reason"]) == ("policy_adopted", "alice", "a newer program")
    assert home.data("show")["digest"] == home.digest()


def break_reading(folder):
    database = open_database(f"sqlite:///{folder / 'autofi.db'}")
    event = SqlPolicyStore(database).history()[0]
    foreign = event.model_copy(update={"text": {**event.text, "moon_phase": "full"}})
    with database.writing() as connection:
        body = foreign.model_dump_json().encode()
        books.append(connection, Book.TRADING, kind=event.kind, subject=event.digest, body=body, at=NOW)
    database.close()


def test_recorded_runs_are_judged_again_under_a_file(tmp_path):
    """The demo's slippage limit is tighter than the one that the run was planned under."""
    treasury = Treasury(tmp_path)
    treasury.run()
    treasury.close()
    tight = tmp_path / "tight.toml"
    shutil.copyfile(POLICY_PATH, tight)
    replace_limit(tight, "approval", "min_value_without_approval_usd", "1_000")
    replace_limit(tight, "budgets", "max_transaction_value_usd", "1_000")
    command = ("policy", "test", str(tight), "--days", "1")
    note_identity(tmp_path, treasury.database.identity())
    where = {"AUTOFI_HOME": tmp_path, "AUTOFI_DATABASE_URL": f"sqlite:///{tmp_path / 'treasury.db'}"}

    data, table = autofi(*command, "--json", **where), autofi(*command, **where).stdout

    found = json.loads(data.stdout)
    (run,) = found["runs"]
    assert (run["run_id"], run["before"], run["now"], run["new_codes"]) == (
        "run-1",
        "pass",
        "deny",
        ["trade_slippage", "transaction_value"],
    )
    assert (found["newly_denied"], found["newly_passing"]) == (1, 0)
    assert "pass → deny" in table
    assert "1 judged again: 1 would newly be denied" in table


def test_a_home_without_runs_says_so(home):
    assert "none reached the guards" in home.type("test").stdout
