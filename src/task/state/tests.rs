//! Each transition of the word, one by one.
