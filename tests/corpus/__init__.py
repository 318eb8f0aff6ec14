"""The agreement corpus: allowed transactions and their forbidden neighbours, as data for every ring that judges."""
