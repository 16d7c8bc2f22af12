//! Session descriptions: a bounded reader for offers and a writer for answers.
