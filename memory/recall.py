"""Finding past runs by words, for chat. An index that can be rebuilt from SQL at any time and decides nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from domain.run import RunRecord

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

logger = logging.getLogger(__name__)

COLLECTION: Final = "runs"
DIMENSIONS: Final = 512  # not Chroma's default of 384: mixing the two fails loudly
MAX_EXCERPT_CHARACTERS: Final = 400
MAX_RESULTS: Final = 20
_ROWS_PER_BATCH: Final = 1000


class Recalled(NamedTuple):
    run_id: str
    excerpt: str


class ChromaRecall:
    """One process owns the folder: Chroma loses vectors silently with several writers.

    Vectors are passed in and never left to Chroma, whose default embedding would download a model.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: ClientAPI | None = None

    def rebuild(self, records: Iterable[RunRecord]) -> int:
        """Forget everything and index these; returns how many."""
        client = self._client()
        if COLLECTION in {collection.name for collection in client.list_collections()}:
            client.delete_collection(COLLECTION)
        collection, rows, count = self._collection(), iter(records), 0
        while batch := list(islice(rows, _ROWS_PER_BATCH)):
            _add(collection, batch)
            count += len(batch)
        return count

    def add(self, record: RunRecord) -> None:
        _add(self._collection(), [record])

    def nearest(self, text: str, records: Sequence[RunRecord], *, limit: int) -> Sequence[str]:
        """Run ids out of these records, which are indexed first where they are not yet.

        Empty where the index cannot be used: it helps a reader, and a chat must not end because of it.
        """
        from chromadb.errors import ChromaError

        try:
            return self._nearest(text, records, limit=limit)
        except ChromaError as error:
            logger.warning("recall_unusable problem=%s", type(error).__name__)
            return ()

    def _nearest(self, text: str, records: Sequence[RunRecord], *, limit: int) -> Sequence[str]:
        offered = {record.request.run_id: record for record in records}
        collection = self._collection()
        indexed = set(collection.get(ids=list(offered), include=[])["ids"]) if offered else set()
        missing = [record for run_id, record in offered.items() if run_id not in indexed]
        if missing:
            _add(collection, missing)
        found = self.search(text, limit=MAX_RESULTS)
        return [recalled.run_id for recalled in found if recalled.run_id in offered][:limit]

    def search(self, text: str, limit: int = 5) -> Sequence[Recalled]:
        """Nearest first; empty when nothing is indexed."""
        collection = self._collection()
        wanted = min(limit, MAX_RESULTS, collection.count())
        if wanted <= 0:
            return ()
        found = collection.query(query_embeddings=_vectors([text]), n_results=wanted, include=["documents"])
        documents = (found["documents"] or [[]])[0]
        return tuple(Recalled(run_id, excerpt) for run_id, excerpt in zip(found["ids"][0], documents, strict=True))

    def _client(self) -> ClientAPI:
        if self._opened is None:
            import chromadb
            from chromadb.config import Settings

            self._opened = chromadb.PersistentClient(str(self._folder), settings=Settings(anonymized_telemetry=False))
        return self._opened

    def _collection(self) -> Collection:
        return self._client().get_or_create_collection(COLLECTION, embedding_function=None)


def describe(record: RunRecord) -> str:
    """From codes and numbers only: a model's reasons or outside text would otherwise come back into a prompt."""
    parts = [
        f"{record.request.requested_at.date().isoformat()} {record.request.workflow} run by {record.request.trigger}",
        f"ended {record.status}: {record.summary}",
        *(f"event {event.kind} on {event.subject}" for event in record.events),
        *(f"{decision.agent} chose {decision.choice}" for decision in record.decisions),
        *(
            f"moved {move.kind} {move.token_in} {move.strategy or ''}"
            for move in (record.plan.moves if record.plan else ())
        ),
        *(f"denied {denial.code} {denial.subject}" for denial in (record.verdict.denials if record.verdict else ())),
    ]
    return ". ".join(part.strip() for part in parts)[:MAX_EXCERPT_CHARACTERS]


def _add(collection: Collection, records: Sequence[RunRecord]) -> None:
    documents = [describe(record) for record in records]
    ids = [record.request.run_id for record in records]
    collection.upsert(ids=ids, documents=documents, embeddings=_vectors(documents))


def _vectors(texts: Sequence[str]) -> list[list[float]]:
    """Hashed words and pairs of words, length 1: nothing to train, nothing to download."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(n_features=DIMENSIONS, ngram_range=(1, 2), alternate_sign=True, norm="l2")
    vectors: list[list[float]] = vectorizer.transform(texts).toarray().tolist()
    return vectors
