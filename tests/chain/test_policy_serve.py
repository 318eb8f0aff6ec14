"""A server on a real local chain that nobody restarts: an edit of the policy binds its next run, or waits."""

from __future__ import annotations

import json
import re

import pytest

from app.policy_edit import replace_limit
from app.settings import POLICY_FILE, STRATEGIES_FILE, Settings, load_catalog, load_policy
from app.status import read_status
from app.wiring import new_request, open_application
from domain.run import RunStatus, Trigger, Workflow
from tests.processes import autofi

pytestmark = pytest.mark.chain


@pytest.fixture
def server(home):
    """As `autofi serve` holds it open."""
    with open_application(Settings(home=home, user="bob")) as application:
        yield application


def run(server):
    request = new_request(server, Workflow.OPTIMIZE, trigger=Trigger.OPERATOR)
    return server.conductor.start(request)


def test_init_adopts_the_file(server, home):
    (event,) = server.stores.policies.history()

    assert (event.kind, event.reason) == ("policy_adopted", "first start")
    assert server.dependencies.policy == load_policy(home / POLICY_FILE)


def test_a_tighter_edit_binds_the_next_run_of_a_running_server(server, home):
    replace_limit(home / POLICY_FILE, "approval", "min_value_without_approval_usd", "1_000")

    status = run(server)

    assert status is RunStatus.WAITING
    assert server.dependencies.policy == load_policy(home / POLICY_FILE)


def test_a_looser_edit_waits_for_another_process_and_its_delay(server, home):
    before = server.dependencies.policy
    replace_limit(home / POLICY_FILE, "budgets", "max_week_value_usd", '"unlimited"')
    digest = load_policy(home / POLICY_FILE).digest()

    first = run(server)
    approved = autofi("policy", "approve", digest[:16], "--as", "alice", AUTOFI_HOME=home)
    run(server)

    assert first is RunStatus.EXECUTED
    assert approved.exit_code == 0, approved
    assert server.dependencies.policy == before
    assert server.policy.pending().approved_by == "alice"


def test_what_a_run_was_judged_on_is_judged_again_by_command(server, home, tmp_path):
    run(server)
    tight = tmp_path / "tight.toml"
    tight.write_text((home / POLICY_FILE).read_text())
    replace_limit(tight, "exposure", "max_run_turnover_share", "0.01")

    found = json.loads(autofi("policy", "test", str(tight), "--json", AUTOFI_HOME=home).stdout)

    (judged,) = found["runs"]
    assert (judged["before"], judged["now"], judged["new_codes"]) == ("pass", "deny", ["run_turnover"])
    assert found["newly_denied"] == 1


def test_a_silent_feed_and_lost_labels_lift_no_limit_of_the_next_start(home):
    with open_application(Settings(home=home, user="bob")) as first:
        before = first.dependencies.catalog
    file = home / STRATEGIES_FILE
    text = file.read_text()
    edited = re.sub(r"(feed_heartbeat_seconds = \d+)", r"\g<1>000", text)
    file.write_text(re.sub(r"(oracles|collateral|factors) = \[.*\]", r"\1 = []", edited))

    with open_application(Settings(home=home, user="bob")) as second:
        catalog, sentences = second.dependencies.catalog, read_status(second).pending_changes

    assert load_catalog(file) != before
    assert catalog == before
    assert [sentence.partition(" ")[0] for sentence in sentences] == ["catalog"]
