"""The only place that holds a key. It signs exactly the bytes that a valid certificate names, and nothing else."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from domain.errors import ConfigurationInvalid, SigningRefused
from domain.plan import RebalancePlan
from domain.ports import Signer
from domain.transaction import SignedTransaction, UnsignedTransaction
from domain.verdict import Certificate

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

KEY_TEXT: Final = re.compile(r"(0x)?[0-9a-fA-F]{64}", re.ASCII)
DYNAMIC_FEE_TYPE: Final = 2  # EIP-1559


class LocalSigner(Signer):
    """Signs for one address on one chain."""

    def __init__(self, account: LocalAccount, *, chain_id: int) -> None:
        self._account = account
        self._chain_id = chain_id
        self._nonce_by_certificate: dict[str, int] = {}

    @classmethod
    def from_key(cls, key: str, *, chain_id: int) -> Self:
        """Raises ConfigurationInvalid, without the key in it."""
        from eth_account import Account
        from eth_utils.exceptions import ValidationError

        if not KEY_TEXT.fullmatch(key):
            raise ConfigurationInvalid("the signing key is not 32 bytes of hexadecimal text")
        try:
            return cls(Account.from_key(key), chain_id=chain_id)
        except (ValueError, ValidationError):  # what a library says about a key must not travel on
            raise ConfigurationInvalid("the signing key is outside the range of the curve") from None

    @classmethod
    def from_keystore(cls, path: Path, passphrase: str, *, chain_id: int) -> Self:
        """From an encrypted Web3 Secret Storage file. Raises ConfigurationInvalid."""
        from eth_account import Account

        try:
            key = Account.decrypt(json.loads(path.read_text()), passphrase)
        except OSError as error:
            raise ConfigurationInvalid(f"keystore {path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, NotImplementedError):
            raise ConfigurationInvalid(f"keystore {path} cannot be decrypted with this passphrase") from None
        return cls.from_key(key.hex(), chain_id=chain_id)

    @property
    def address(self) -> str:
        return str(self._account.address).lower()

    def __repr__(self) -> str:
        return f"LocalSigner(address={self.address}, chain_id={self._chain_id})"

    def sign(
        self, transaction: UnsignedTransaction, *, plan: RebalancePlan, certificate: Certificate, now: datetime
    ) -> SignedTransaction:
        """Raises SigningRefused, naming the field that does not match."""
        self._check_sender(transaction)
        _check_envelope(transaction, plan)
        _check_certificate(plan, certificate, now)
        self._bind_to_nonce(transaction.nonce, certificate)
        return self._sign_checked(transaction)

    def _check_sender(self, transaction: UnsignedTransaction) -> None:
        if transaction.chain_id != self._chain_id:
            raise SigningRefused(f"chain_id is {transaction.chain_id}, this signer is for {self._chain_id}")
        if transaction.sender != self.address:
            raise SigningRefused(f"sender is {transaction.sender}, this signer is {self.address}")

    def _bind_to_nonce(self, nonce: int, certificate: Certificate) -> None:
        """Under one nonce at most one transaction is ever mined: a certificate is good for one effect."""
        bound = self._nonce_by_certificate.setdefault(certificate.digest(), nonce)
        if bound != nonce:
            raise SigningRefused(f"nonce is {nonce}, but certificate {certificate.digest()} was used for nonce {bound}")

    def _sign_checked(self, transaction: UnsignedTransaction) -> SignedTransaction:
        from eth_utils.address import to_checksum_address

        signed = self._account.sign_transaction(
            {
                "type": DYNAMIC_FEE_TYPE,
                "chainId": transaction.chain_id,
                "nonce": transaction.nonce,
                "to": to_checksum_address(transaction.target),
                "value": transaction.value_wei,
                "data": bytes.fromhex(transaction.data[2:]),
                "gas": transaction.fees.gas_limit,
                "maxFeePerGas": transaction.fees.max_fee_per_gas_wei,
                "maxPriorityFeePerGas": transaction.fees.max_priority_fee_per_gas_wei,
            }
        )
        return SignedTransaction(
            raw="0x" + bytes(signed.raw_transaction).hex(), transaction_hash="0x" + bytes(signed.hash).hex()
        )


def _check_envelope(transaction: UnsignedTransaction, plan: RebalancePlan) -> None:
    """The outer call is the plan's, byte for byte, and costs at most what was approved."""
    envelope = plan.envelope
    pairs = (
        ("chain_id", transaction.chain_id, plan.chain_id),
        ("target", transaction.target, envelope.target),
        ("value_wei", transaction.value_wei, envelope.value_wei),
        ("data", transaction.data, envelope.data),
    )
    for field, observed, expected in pairs:
        if observed != expected:
            raise SigningRefused(f"{field} is {str(observed)[:80]}, the plan's envelope has {str(expected)[:80]}")
    fees = transaction.fees
    if fees.max_priority_fee_per_gas_wei > fees.max_fee_per_gas_wei:
        raise SigningRefused(
            f"max_priority_fee_per_gas_wei is {fees.max_priority_fee_per_gas_wei}, "
            f"above max_fee_per_gas_wei {fees.max_fee_per_gas_wei}"
        )
    if fees.cost_cap_wei > plan.fee_cap_wei:
        raise SigningRefused(f"fees may reach {fees.cost_cap_wei} wei, the plan's fee_cap_wei is {plan.fee_cap_wei}")


def _check_certificate(plan: RebalancePlan, certificate: Certificate, now: datetime) -> None:
    digest = plan.batch_digest()
    if certificate.batch_digest != digest:
        raise SigningRefused(f"batch_digest is {digest}, the certificate names {certificate.batch_digest}")
    if certificate.account != plan.account:
        raise SigningRefused(f"account is {plan.account}, the certificate names {certificate.account}")
    for name, expiry in (("certificate", certificate.expires_at), ("plan", plan.expires_at)):
        if now >= expiry:
            raise SigningRefused(f"expires_at of the {name} is {expiry.isoformat()}, now is {now.isoformat()}")
