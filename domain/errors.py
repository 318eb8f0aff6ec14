"""One tree: as many classes as there are different reactions. A refusal is a Denial value, not an exception.

AutofiError                    we could not know or could not act
├── ConfigurationInvalid       the user mends a file, a flag or the environment; nothing was started
├── UnknownSubject             an id that the catalog or a store does not list
├── StaleOrDisputed            data exist but may not be trusted: hold, reduce only
├── Unavailable                an outside part did not answer: hold, try later
│   ├── ChainUnavailable       RPC down or lying about its chain: hold
│   ├── ModelUnavailable       model down, over budget or unreadable twice: hold, mitigate by rule
│   └── StoreUnavailable       our own database or journal is unwritable or corrupt: halt
├── Infeasible                 no allocation satisfies the constraints; says which
├── SimulationFailed           the exact bytes revert at the named block
├── BroadcastUnknown           sent or not, nobody knows: reconcile, never resend under a new nonce
├── ExecutionFailed            the chain answered and the answer is no
├── SigningRefused             the signer was asked for something that its own checks do not allow
├── ApprovalRefused            an answer to an approval that may not count; carries a code
├── BudgetExceeded             another run took what was left of a budget since the guards judged
└── InvariantBroken            our own logic is wrong: halt trading and alert
"""

from __future__ import annotations


class AutofiError(Exception):
    """Root of everything this product raises on purpose. The text states fact, limit, value and subject."""


class ConfigurationInvalid(AutofiError):
    pass


class UnknownSubject(AutofiError):
    pass


class StaleOrDisputed(AutofiError):
    pass


class Unavailable(AutofiError):
    pass


class ChainUnavailable(Unavailable):
    pass


class ModelUnavailable(Unavailable):
    pass


class StoreUnavailable(Unavailable):
    pass


class Infeasible(AutofiError):
    pass


class SimulationFailed(AutofiError):
    pass


class BroadcastUnknown(AutofiError):
    pass


class ExecutionFailed(AutofiError):
    pass


class SigningRefused(AutofiError):
    pass


class ApprovalRefused(AutofiError):
    pass


class BudgetExceeded(AutofiError):
    pass


class InvariantBroken(AutofiError):
    pass
