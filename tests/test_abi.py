"""Selectors and encodings against published values; decoding accepts only bytes that it can explain."""

from __future__ import annotations

import pytest
from eth_abi.exceptions import DecodingError, EncodingError

from domain import abi
from domain.abi import AbiFunction
from tests.builders import ACCOUNT, OPERATOR, address

# Selectors as listed by 4byte.directory and the verified contracts on Etherscan.
SELECTORS = {
    abi.APPROVE: "0x095ea7b3",
    abi.TRANSFER: "0xa9059cbb",
    abi.BALANCE_OF: "0x70a08231",
    abi.ALLOWANCE: "0xdd62ed3e",
    abi.AAVE_SUPPLY: "0x617ba037",
    abi.AAVE_WITHDRAW: "0x69328dec",
    abi.VAULT_DEPOSIT: "0x6e553f65",
    abi.VAULT_REDEEM: "0xba087652",
    abi.SWAP_EXACT_INPUT_SINGLE: "0x04e45aaf",
    abi.SAFE_EXEC_TRANSACTION: "0x6a761202",
    abi.MULTISEND: "0x8d80ff0a",
    abi.AGGREGATE_3: "0x82ad56cb",
    abi.LATEST_ROUND_DATA: "0xfeaf968c",
}


@pytest.mark.parametrize(("function", "selector"), SELECTORS.items(), ids=lambda value: getattr(value, "name", None))
def test_selectors_are_the_published_ones(function, selector):
    assert function.selector_hex == selector


def test_approve_encodes_as_the_abi_specification_says():
    data = abi.APPROVE.encode(address(0xA1), 1_000)

    assert data == "0x095ea7b3" + f"{0xA1:064x}" + f"{1000:064x}"


def test_decoding_returns_the_arguments():
    data = bytes.fromhex(abi.APPROVE.encode(address(0xA1), 5)[2:])

    assert abi.APPROVE.decode_input(data) == (address(0xA1), 5)


def test_decoding_refuses_another_selector():
    with pytest.raises(DecodingError, match="is not approve"):
        abi.APPROVE.decode_input(bytes.fromhex(abi.TRANSFER.encode(address(1), 5)[2:]))


def test_decoding_refuses_trailing_bytes():
    data = bytes.fromhex(abi.APPROVE.encode(address(1), 5)[2:]) + b"\0"

    with pytest.raises(DecodingError, match="do not explain"):
        abi.APPROVE.decode_input(data)


def test_encoding_refuses_a_number_out_of_range():
    with pytest.raises(EncodingError):
        abi.APPROVE.encode(address(1), 2**256)


def test_outputs_decode_by_their_types():
    assert abi.BALANCE_OF.decode_output("0x" + f"{7:064x}") == (7,)


def test_the_swap_fields_spell_the_tuple_of_the_signature():
    kinds = ",".join(kind for kind, _ in abi.SWAP_EXACT_INPUT_SINGLE_FIELDS)

    assert abi.SWAP_EXACT_INPUT_SINGLE.types == (f"({kinds})",)


def test_a_prevalidated_signature_is_owner_zero_and_one():
    signature = abi.prevalidated_signature(OPERATOR)

    assert signature == bytes(12) + bytes.fromhex(OPERATOR[2:]) + bytes(32) + b"\x01"
    assert signature != abi.prevalidated_signature(ACCOUNT)


def test_every_function_of_the_table_has_its_own_selector():
    functions = [value for value in vars(abi).values() if isinstance(value, AbiFunction)]

    assert len({function.selector for function in functions}) == len(functions)
