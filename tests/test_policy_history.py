"""How a wish comes into force: tighter at once, looser after the delay and with a second person, seen to the second."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.change_history import PROPOSAL_LIFETIME, Step
from domain.errors import ApprovalRefused
from domain.policy import Policy
from domain.policy_change import Direction, meet
from tests.builders import NOW
from tests.policy_samples import BASE, PolicyBook, with_limits

DELAY = timedelta(seconds=BASE.changes.loosening_delay_seconds)
SECOND = timedelta(seconds=1)
TIGHT = with_limits(BASE, {"budgets.max_transaction_value_usd": "1000"})
LOOSE = with_limits(BASE, {"budgets.max_week_value_usd": "9000000"})
MIXED = with_limits(BASE, {"budgets.max_transaction_value_usd": "1000", "budgets.max_week_value_usd": "9000000"})
K = Step


@pytest.fixture
def book():
    return PolicyBook()


def test_the_first_start_adopts_the_file(book):
    (event,) = book.events

    assert (event.step, event.in_force, event.digest, event.by) == (K.ADOPTED, None, BASE.digest(), "bob")
    assert book.in_force == BASE
    assert book.follow(BASE) == []


def test_what_is_tighter_takes_effect_at_once(book):
    assert book.follow(TIGHT) == [K.TIGHTENED]

    assert book.in_force == TIGHT
    assert book.standing.proposal is None
    assert (book.events[-1].in_force, book.events[-1].digest) == (BASE.digest(), TIGHT.digest())
    assert [change.direction for change in book.events[-1].changes] == [Direction.TIGHTER]


def test_what_is_looser_is_proposed_and_changes_nothing_yet(book):
    assert book.follow(LOOSE) == [K.PROPOSED]

    proposal = book.standing.proposal
    assert book.in_force == BASE
    assert (proposal.digest, proposal.proposed_by) == (LOOSE.digest(), "bob")
    assert proposal.not_before == NOW + DELAY
    assert book.follow(LOOSE) == []


def test_a_file_that_does_both_is_tighter_now_and_looser_later(book):
    assert book.follow(MIXED) == [K.TIGHTENED, K.PROPOSED]

    assert book.in_force == TIGHT
    assert Policy.model_validate(book.standing.proposal.text) == MIXED


def test_an_approved_loosening_takes_effect_when_the_delay_is_over_and_not_a_second_before(book):
    book.follow(LOOSE)
    book.approve(LOOSE.digest())

    book.now = NOW + DELAY - SECOND
    too_early = book.follow(LOOSE), book.in_force
    book.now = NOW + DELAY
    in_time = book.follow(LOOSE), book.in_force

    assert too_early == ([], BASE)
    assert in_time == ([K.ADOPTED], LOOSE)
    assert (book.events[-1].by, book.events[-1].in_force) == ("alice", BASE.digest())
    assert book.standing.proposal is None


def test_the_delay_alone_loosens_nothing(book):
    book.follow(LOOSE)

    book.now = NOW + DELAY + timedelta(days=1)

    assert (book.follow(LOOSE), book.in_force) == ([], BASE)


def test_the_approval_alone_loosens_nothing(book):
    book.follow(LOOSE)
    book.approve(LOOSE.digest())

    assert (book.follow(LOOSE), book.in_force) == ([], BASE)


def test_the_one_who_proposed_does_not_approve_under_any_spelling(book):
    book.follow(LOOSE)

    for name in ("bob", " Bob "):
        with pytest.raises(ApprovalRefused, match=r"^four_eyes: .* was proposed by bob.*--as NAME"):
            book.approve(LOOSE.digest(), by=name)


def test_one_person_is_enough_where_the_policy_in_force_says_so():
    book = PolicyBook(with_limits(BASE, {"changes.requires_four_eyes": False}))
    loose = with_limits(book.in_force, {"budgets.max_week_value_usd": "9000000"})
    book.follow(loose)

    book.approve(loose.digest(), by="bob")

    assert book.standing.proposal.approved_by == "bob"


def test_the_file_that_drops_four_eyes_still_needs_them(book):
    wish = with_limits(BASE, {"changes.requires_four_eyes": False})
    book.follow(wish)

    with pytest.raises(ApprovalRefused, match="four_eyes"):
        book.approve(wish.digest(), by="bob")


def test_a_shorter_delay_waits_for_the_old_one(book):
    hasty = with_limits(BASE, {"changes.loosening_delay_seconds": 0, "budgets.max_week_value_usd": "9000000"})

    book.follow(hasty)

    assert book.standing.proposal.not_before == NOW + DELAY
    assert book.in_force.changes.loosening_delay_seconds == DELAY.total_seconds()


def test_a_longer_delay_holds_for_what_the_same_file_loosens(book):
    slow = with_limits(BASE, {"changes.loosening_delay_seconds": 172_800, "budgets.max_week_value_usd": "9000000"})

    book.follow(slow)

    assert book.standing.proposal.not_before == NOW + timedelta(days=2)


def test_another_wish_withdraws_the_one_that_waits_and_its_approval(book):
    book.follow(LOOSE)
    book.approve(LOOSE.digest())
    book.now += DELAY
    looser = with_limits(BASE, {"budgets.max_week_value_usd": "unlimited"})

    kinds = book.follow(looser)

    assert kinds == [K.WITHDRAWN, K.PROPOSED]
    assert book.in_force == BASE
    assert (book.standing.proposal.digest, book.standing.proposal.approved_by) == (looser.digest(), None)
    assert book.standing.proposal.not_before == book.now + DELAY


def test_a_file_that_asks_for_what_is_in_force_withdraws_what_waits(book):
    book.follow(LOOSE)

    assert book.follow(BASE) == [K.WITHDRAWN]
    assert book.standing.proposal is None


def test_a_refused_wish_is_not_proposed_again_until_the_file_says_something_else(book):
    book.follow(LOOSE)
    book.refuse(LOOSE.digest())

    again = book.follow(LOOSE)
    other = book.follow(TIGHT)
    back = book.follow(LOOSE)

    assert (again, other, back) == ([], [K.TIGHTENED], [K.PROPOSED])
    assert book.in_force == TIGHT


def test_refusing_a_wish_takes_back_nothing_that_it_tightened(book):
    book.follow(MIXED)
    book.refuse(MIXED.digest())

    assert book.follow(MIXED) == []
    assert book.in_force == TIGHT


def test_an_approved_wish_can_be_refused_while_it_waits_also_by_who_proposed_it(book):
    book.follow(LOOSE)
    book.approve(LOOSE.digest())

    book.refuse(LOOSE.digest(), by="bob")
    book.now += DELAY

    assert (book.follow(LOOSE), book.in_force) == ([], BASE)


def test_what_nobody_settles_expires_and_starts_anew(book):
    book.follow(LOOSE)
    book.approve(LOOSE.digest())
    ending = book.standing.proposal.expires_at

    book.now = ending - SECOND
    assert book.standing.proposal.is_due(book.now)
    book.now = ending
    with pytest.raises(ApprovalRefused, match=r"^expired: "):
        book.approve(LOOSE.digest())

    assert ending == NOW + DELAY + PROPOSAL_LIFETIME
    assert book.follow(LOOSE) == [K.EXPIRED, K.PROPOSED]
    assert book.standing.proposal.approved_by is None
    assert book.standing.proposal.not_before == ending + DELAY


@pytest.mark.parametrize(
    ("digest", "by", "code"),
    [
        (BASE.digest(), "alice", "unknown_digest"),
        (LOOSE.digest()[:7], "alice", "unknown_digest"),
        ("", "alice", "unknown_digest"),
        (LOOSE.digest(), " ", "unnamed"),
    ],
)
def test_an_answer_that_cannot_count_is_refused_with_its_code(book, digest, by, code):
    book.follow(LOOSE)

    for answer in (book.approve, book.refuse):
        with pytest.raises(ApprovalRefused, match=f"^{code}: "):
            answer(digest, by=by)


def test_a_digest_may_be_shortened_to_eight_characters(book):
    book.follow(LOOSE)

    book.approve(LOOSE.digest()[:8])

    assert book.standing.proposal.approved_by == "alice"


def test_nobody_approves_twice_and_nothing_that_does_not_wait(book):
    with pytest.raises(ApprovalRefused, match=r"^unknown_digest: no policy waits; `autofi policy apply`"):
        book.approve(LOOSE.digest())
    book.follow(LOOSE)
    book.approve(LOOSE.digest())

    with pytest.raises(ApprovalRefused, match=r"^already_answered: .* approved by alice"):
        book.approve(LOOSE.digest(), by="carol")


def test_a_new_name_alone_takes_effect_at_once(book):
    renamed = with_limits(BASE, {"name": "other"})

    assert book.follow(renamed) == [K.TIGHTENED]
    assert book.in_force == renamed


def test_an_amount_that_is_only_written_otherwise_starts_nothing(book):
    assert book.follow(with_limits(BASE, {"exposure.min_reserve_share": "0.100"})) == []


def test_every_event_names_the_policy_before_it(book):
    book.follow(MIXED)
    book.approve(MIXED.digest())
    book.now += DELAY
    book.follow(MIXED)

    kinds = [event.step for event in book.events]
    assert kinds == [K.ADOPTED, K.TIGHTENED, K.PROPOSED, K.APPROVED, K.ADOPTED]
    tightened = meet(BASE, MIXED).digest()
    assert [event.in_force for event in book.events] == [None, BASE.digest(), tightened, tightened, tightened]
