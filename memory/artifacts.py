"""Bulk content under its own sha256, compressed; what comes out is what went in or an error."""

from __future__ import annotations

from sqlalchemy import insert, select

from domain.digest import sha256_hex
from domain.errors import InvariantBroken, UnknownSubject
from domain.ports import ArtifactStore
from memory.database import Database
from memory.packing import MAX_ARTIFACT_BYTES, pack, unpack
from memory.tables import artifacts


class SqlArtifactStore(ArtifactStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, content: bytes) -> str:
        if len(content) > MAX_ARTIFACT_BYTES:
            raise InvariantBroken(f"an artifact has {len(content)} bytes, above the limit of {MAX_ARTIFACT_BYTES}")
        digest = sha256_hex(content)
        with self._database.reading() as connection:
            if connection.execute(select(artifacts.c.digest).where(artifacts.c.digest == digest)).first():
                return digest
        row = {"digest": digest, "size_bytes": len(content), "content": pack(content)}
        with self._database.writing() as connection:
            # Looked up again: another process may have put the same content meanwhile.
            if not connection.execute(select(artifacts.c.digest).where(artifacts.c.digest == digest)).first():
                connection.execute(insert(artifacts).values(**row))
        return digest

    def get(self, digest: str) -> bytes:
        with self._database.reading() as connection:
            row = connection.execute(select(artifacts.c.content).where(artifacts.c.digest == digest)).one_or_none()
        if row is None:
            raise UnknownSubject(f"artifact {digest} is not stored")
        return unpack(digest, row.content)
