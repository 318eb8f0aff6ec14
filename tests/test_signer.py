"""The signer signs the bytes that a certificate names and refuses each neighbour of them by name."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from eth_account import Account

from chain.signer import LocalSigner
from domain.errors import ConfigurationInvalid, SigningRefused
from domain.plan import RebalancePlan
from domain.transaction import FeeQuote, UnsignedCall, UnsignedTransaction
from domain.verdict import Certificate
from tests.builders import ACCOUNT, CHAIN_ID, NOW, address

KEY = "0x" + "4c" * 32
SIGNER = LocalSigner.from_key(KEY, chain_id=CHAIN_ID)
FEES = FeeQuote(gas_limit=600_000, max_fee_per_gas_wei=41 * 10**9, max_priority_fee_per_gas_wei=10**9)


def make_plan(**changes: object) -> RebalancePlan:
    fields: dict[str, object] = {
        "run_id": "run-1",
        "chain_id": CHAIN_ID,
        "account": ACCOUNT,
        "candidate": "optimal",
        "moves": (),
        "calls": (UnsignedCall(target=address(0x101), data="0x1234"),),
        "envelope": UnsignedCall(target=ACCOUNT, data="0x6a761202"),
        "minimum_outs": (),
        "fee_cap_wei": FEES.cost_cap_wei,
        "policy_digest": "1" * 64,
        "snapshot_digest": "2" * 64,
        "expires_at": NOW + timedelta(minutes=30),
    }
    return RebalancePlan.model_validate({**fields, **changes})


def make_certificate(plan: RebalancePlan, **changes: object) -> Certificate:
    fields: dict[str, object] = {
        "batch_digest": plan.batch_digest(),
        "simulation_digest": "3" * 64,
        "verdict_digest": "4" * 64,
        "account": plan.account,
        "expires_at": plan.expires_at,
    }
    return Certificate.model_validate({**fields, **changes})


def make_transaction(plan: RebalancePlan, **changes: object) -> UnsignedTransaction:
    fields: dict[str, object] = {
        "chain_id": plan.chain_id,
        "sender": SIGNER.address,
        "nonce": 7,
        "target": plan.envelope.target,
        "value_wei": plan.envelope.value_wei,
        "data": plan.envelope.data,
        "fees": FEES,
    }
    return UnsignedTransaction.model_validate({**fields, **changes})


def test_signs_exactly_the_envelope():
    from eth_account.typed_transactions import TypedTransaction
    from hexbytes import HexBytes

    plan = make_plan()

    signed = LocalSigner.from_key(KEY, chain_id=CHAIN_ID).sign(
        make_transaction(plan), plan=plan, certificate=make_certificate(plan), now=NOW
    )

    fields = TypedTransaction.from_bytes(HexBytes(signed.raw)).as_dict()
    assert Account.recover_transaction(signed.raw).lower() == SIGNER.address
    assert bytes(fields["to"]).hex() == plan.envelope.target[2:]
    assert bytes(fields["data"]).hex() == plan.envelope.data[2:]
    assert (fields["nonce"], fields["chainId"], fields["value"]) == (7, CHAIN_ID, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain_id", 1),
        ("sender", address(0xBAD)),
        ("target", address(0xBAD)),
        ("value_wei", 1),
        ("data", "0x6a761203"),
        ("fees", FEES.model_copy(update={"max_fee_per_gas_wei": FEES.max_fee_per_gas_wei + 1})),
        ("fees", FEES.model_copy(update={"max_priority_fee_per_gas_wei": FEES.max_fee_per_gas_wei + 1})),
    ],
)
def test_refuses_a_transaction_that_differs_from_the_plan_in_one_field(field, value):
    plan = make_plan()

    with pytest.raises(SigningRefused, match="fee" if field == "fees" else field):
        SIGNER.sign(make_transaction(plan, **{field: value}), plan=plan, certificate=make_certificate(plan), now=NOW)


def test_refuses_a_plan_that_was_changed_after_it_was_certified():
    certified = make_plan()
    changed = make_plan(calls=(UnsignedCall(target=address(0xBAD), data="0x1234"),))

    with pytest.raises(SigningRefused, match="batch_digest"):
        SIGNER.sign(make_transaction(changed), plan=changed, certificate=make_certificate(certified), now=NOW)


def test_refuses_a_certificate_of_another_account():
    plan = make_plan()
    foreign = make_certificate(plan, account=address(0xBAD))

    with pytest.raises(SigningRefused, match="account"):
        SIGNER.sign(make_transaction(plan), plan=plan, certificate=foreign, now=NOW)


def test_signs_one_second_before_the_expiry_and_refuses_at_it():
    signer = LocalSigner.from_key(KEY, chain_id=CHAIN_ID)
    plan = make_plan()
    certificate = make_certificate(plan)
    last = certificate.expires_at - timedelta(seconds=1)

    signer.sign(make_transaction(plan), plan=plan, certificate=certificate, now=last)

    with pytest.raises(SigningRefused, match="expires_at"):
        signer.sign(make_transaction(plan), plan=plan, certificate=certificate, now=certificate.expires_at)


def test_a_certificate_expires_before_its_plan_does():
    plan = make_plan()
    short = make_certificate(plan, expires_at=NOW)

    with pytest.raises(SigningRefused, match="expires_at of the certificate"):
        SIGNER.sign(make_transaction(plan), plan=plan, certificate=short, now=NOW)


def test_signing_again_under_the_same_nonce_gives_the_same_bytes():
    signer = LocalSigner.from_key(KEY, chain_id=CHAIN_ID)
    plan = make_plan()
    certificate = make_certificate(plan)

    first = signer.sign(make_transaction(plan), plan=plan, certificate=certificate, now=NOW)
    second = signer.sign(make_transaction(plan), plan=plan, certificate=certificate, now=NOW)

    assert first == second


def test_a_certificate_is_good_for_one_nonce_only():
    signer = LocalSigner.from_key(KEY, chain_id=CHAIN_ID)
    plan = make_plan()
    certificate = make_certificate(plan)
    signer.sign(make_transaction(plan), plan=plan, certificate=certificate, now=NOW)

    with pytest.raises(SigningRefused, match="nonce is 8"):
        signer.sign(make_transaction(plan, nonce=8), plan=plan, certificate=certificate, now=NOW)


def test_a_refused_certificate_is_not_used_up():
    signer = LocalSigner.from_key(KEY, chain_id=CHAIN_ID)
    plan = make_plan()
    certificate = make_certificate(plan)

    with pytest.raises(SigningRefused):
        signer.sign(make_transaction(plan, nonce=8, value_wei=1), plan=plan, certificate=certificate, now=NOW)

    signer.sign(make_transaction(plan, nonce=9), plan=plan, certificate=certificate, now=NOW)


def test_the_key_shows_in_no_text_of_the_signer():
    signer = LocalSigner.from_key(KEY, chain_id=CHAIN_ID)

    assert KEY[2:] not in f"{signer} {signer!r}"


@pytest.mark.parametrize("key", ["", "0x12", "zz" * 32, "0x" + "00" * 32, "ff" * 32])
def test_a_wrong_key_is_refused_without_being_repeated(key):
    with pytest.raises(ConfigurationInvalid) as refusal:
        LocalSigner.from_key(key, chain_id=CHAIN_ID)

    assert not key or key not in str(refusal.value)


def test_loads_the_key_of_an_encrypted_keystore(tmp_path):
    path = tmp_path / "keystore.json"
    path.write_text(json.dumps(Account.encrypt(KEY, "correct horse", kdf="pbkdf2", iterations=1000)))

    signer = LocalSigner.from_keystore(path, "correct horse", chain_id=CHAIN_ID)

    assert signer.address == SIGNER.address


def test_a_wrong_passphrase_names_the_keystore_and_not_the_passphrase(tmp_path):
    path = tmp_path / "keystore.json"
    path.write_text(json.dumps(Account.encrypt(KEY, "correct horse", kdf="pbkdf2", iterations=1000)))

    with pytest.raises(ConfigurationInvalid, match=r"keystore\.json") as refusal:
        LocalSigner.from_keystore(path, "battery staple", chain_id=CHAIN_ID)

    assert "battery" not in str(refusal.value)


def test_a_missing_keystore_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigurationInvalid, match="cannot be read"):
        LocalSigner.from_keystore(tmp_path / "none.json", "x", chain_id=CHAIN_ID)
