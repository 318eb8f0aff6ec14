"""One numbered file per change of the tables; a released file is never edited."""
