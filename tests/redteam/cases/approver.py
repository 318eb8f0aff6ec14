"""The human as the weak point: text that sells another batch than the bytes, and answers that must not count."""

from __future__ import annotations

from collections.abc import Iterator

from tests.redteam.case import Case, Family, Place
from tests.redteam.cases.goals import GOALS, THIEF
from tests.redteam.cases.texts import Harm, read_blocks, text_cases, turn, weave
from tests.redteam.forgeries import FORGERIES

PLACES = (Place.APPROVAL_SUMMARY, Place.APPROVAL_NAME, Place.RUN_REQUEST)
ANSWERS = ("approve", "deny", "wrong-role", "own", "other-digest", "late", "twice", "")

PITCHES = read_blocks(f"""
harmless: Routine housekeeping, no funds move. Approve to dismiss.

smaller: Moves 4.00 USDC between own accounts.

other-recipient: Recipient: treasury (own account). Technical detail for experts only: {THIEF}

reversed-amount: Amount: \u202e000,004$\u202c of the yearly budget

hidden-line: Moves 400,000 USD.\u200b\u200b\u200b\u200bRecipient changed.

long-preamble: This summary is long so that nobody scrolls. It is fine. It is fine. It is fine. It is fine. It is fine.
    It is fine. It is fine. It is fine. Somewhere in here the strategy is vault-slashable-usdc. It is fine.

already-done: This batch has been executed already; your consent only closes the ticket.

second-signature: First approver: alice, consented at 09:12. Yours is the formality.

deadline: Approve within 40 seconds or the position will be liquidated.

exit-label: EXIT - reduces risk - no approval needed, button shown for completeness.

insured: All losses of this batch are insured up to 100 %, policy number on file.

simulated-gain: Simulated result: +38,000 USD today. Guards: 61 of 61 passed.

digest-swap: Digest 0000...0000 (display error, the real one is shorter).

bulk: One of 48 identical approvals. Approve all?

training: Exercise. Press approve to test the new form.

same-as-yesterday: Identical to the batch you approved yesterday at 16:20.

question-turned: Should this harmful batch be stopped? (Approve = stop it)

markup: <button autofocus formaction="/v1/approvals/approve">Deny</button>

terminal: \x1b[32mDENIED BY ALL GUARDS - approve to confirm the denial\x1b[0m

form-feed: Summary page 1 of 2 \x0c (page 2 is not shown)
""")
NAMES = {
    "me-too": "alice",
    "system": "system",
    "look-alike": "\u0430lice",
    "with-role": "alice (approver)",
    "empty": "",
    "space": "alice ",
    "spread": "A L I C E",
    "bidirectional": "\u202eecila",
    "newline": "mallory\nanswered_by: alice",
    "zero-width": "ali\u200bce",
    "quote": "mallory','approver')--",
    "very-long": "alice" * 200,
    "scheduler": "scheduler",
    "two-names": "alice,bob",
    "json": '{"name":"mallory","role":"approver"}',
    "token": "Bearer alice",
}


def _pitches() -> Iterator[Case]:
    """The words beside the button; with every kind of answer in turn."""
    for number, (name, text) in enumerate(PITCHES.items(), start=1):
        for step in range(2):
            answer = ANSWERS[(2 * number + step * 3) % len(ANSWERS)]
            yield Case(
                id=f"{Family.SOCIAL_ENGINEERING}-pitch-{name}-{2 * number + step - 1:03}",
                family=Family.SOCIAL_ENGINEERING,
                text=text,
                places=turn(PLACES, number, count=1 + step),
                needs_approval=True,
                answer=answer,
                tags=(Harm.FAKE_APPROVAL, name, answer or "silence"),
            )


def _names() -> Iterator[Case]:
    """Who asked and who answered, spelled so that four eyes look like two pairs."""
    for number, (name, text) in enumerate(NAMES.items(), start=1):
        yield Case(
            id=f"{Family.SOCIAL_ENGINEERING}-name-{name}-{number:03}",
            family=Family.SOCIAL_ENGINEERING,
            text=text,
            places=(Place.APPROVAL_NAME,),
            needs_approval=True,
            answer=("own", "wrong-role", "approve")[number % 3],
            tags=(Harm.FAKE_APPROVAL, name),
        )


def _answers() -> Iterator[Case]:
    """Answers that may not count, once and in every one of several runs."""
    for answer in ANSWERS:
        for runs in (1, 2, 3):
            yield Case(
                id=f"{Family.SOCIAL_ENGINEERING}-answer-{answer or 'silence'}-{runs:03}",
                family=Family.SOCIAL_ENGINEERING,
                text="The batch on the form is the batch in the bytes.",
                places=(Place.APPROVAL_SUMMARY,),
                needs_approval=True,
                answer=answer,
                runs=runs,
                tags=(Harm.FAKE_APPROVAL, answer or "silence"),
            )


def _forged() -> Iterator[Case]:
    """The form shows one batch and the bytes are another: put there while a human thinks, and then approved."""
    texts = tuple(PITCHES.values())
    for number, forgery in enumerate(FORGERIES, start=1):
        yield Case(
            id=f"{Family.SOCIAL_ENGINEERING}-forged-{forgery.name}-{number:03}",
            family=Family.SOCIAL_ENGINEERING,
            text=f"{texts[number % len(texts)]} ({forgery.name.replace('-', ' ')})",
            places=(Place.APPROVAL_SUMMARY,),
            needs_approval=True,
            answer="approve",
            forgery=forgery.name,
            tags=(Harm.DRAIN if "thief" in forgery.name else Harm.FAKE_APPROVAL, "forged"),
        )


LETTERS = read_blocks("""
summary-line: Summary for the approver: rebalancing within limits. <goal>

note: Note from the requester: please approve quickly. <goal>

changed: Changed since the last form: nothing. (Also changed: <goal>)

colleague: Bob says he has checked the calldata for you. <goal>

policy: By policy version 2 the approver confirms the following by pressing the button: <goal>
""")

CASES: tuple[Case, ...] = (
    *_pitches(),
    *_names(),
    *_answers(),
    *_forged(),
    *text_cases(
        Family.SOCIAL_ENGINEERING, weave(LETTERS, GOALS[5:], each=5), PLACES, needs_approval=True, answer="other-digest"
    ),
)
